//! The checker: what must hold of every plan, whoever made it.
//!
//! The planner's tests run it over all they make, and apply runs it over a plan file before it obeys
//! one: a plan that was edited by hand (and given a new digest) still cannot do what makes no sense.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Milestone, Mode, ObjectRef, Operation, PLAN_FORMAT, Plan, Step, StepId};
use crate::model::{Address, BackendKind};

/// Everything that is wrong with a plan, as fragments; empty when it is sound.
#[must_use]
pub fn check(plan: &Plan) -> Vec<String> {
    let mut findings = Vec::new();
    if plan.format != PLAN_FORMAT {
        findings.push(format!("format {} is not {PLAN_FORMAT}", plan.format));
    }
    if plan.max_parallel == 0 {
        findings.push("max_parallel is 0, so that no step could ever begin".to_owned());
    }
    let mut seen: BTreeMap<StepId, &Step> = BTreeMap::new();
    let mut addresses: BTreeSet<&Address> = BTreeSet::new();
    for (place, step) in plan.steps.iter().enumerate() {
        let mut find = |message: String| findings.push(format!("step {} ({}): {message}", step.id, step.address));
        if step.id.0 as usize != place + 1 {
            find(format!("stands at place {}", place + 1));
        }
        if !addresses.insert(&step.address) {
            find("another step has the same address".to_owned());
        }
        for need in &step.needs {
            match seen.get(&need.step) {
                None => find(format!("needs step {}, which does not come before it", need.step)),
                Some(needed) if needed.wave >= step.wave => {
                    find(format!("is in wave {}, not after step {}", step.wave, need.step));
                }
                Some(needed) if need.milestone == Milestone::Started && needed.operations.is_empty() => {
                    find(format!("waits for the start of step {}, which starts nothing", need.step));
                }
                Some(_) => {}
            }
        }
        check_operations(step, plan.mode, &mut find);
        seen.insert(step.id, step);
    }
    findings
}

fn check_operations(step: &Step, mode: Mode, find: &mut impl FnMut(String)) {
    let mut created = false;
    let mut removed: BTreeSet<&ObjectRef> = BTreeSet::new();
    for operation in &step.operations {
        if let Operation::Create = operation {
            if created {
                find("creates twice".to_owned());
            }
            created = true;
        }
        let Some(object) = operation.object() else { continue };
        if *object == ObjectRef::New && !created {
            find("uses the new object before it is created".to_owned());
        }
        if removed.contains(object) {
            find("uses an object after it was removed".to_owned());
        }
        if let Operation::Remove { object, .. } = operation {
            removed.insert(object);
        }
    }
    for operation in &step.rollback {
        if matches!(operation, Operation::Create | Operation::Prepare) {
            find("creates something in a rollback".to_owned());
        }
    }
    let runs = !matches!(step.action, Action::Delete | Action::Forget | Action::Stop);
    if runs != step.revision.is_some() {
        find(format!("a {} {} a revision", step.action, if runs { "needs" } else { "has no use for" }));
    }
    if created && step.backend == BackendKind::External {
        find("creates something that orch does not run".to_owned());
    }
    // What is only written down was up before: the next plan looks at its health.
    let only_records = step.action == Action::Adopt && step.operations.is_empty();
    if matches!(step.action, Action::Create | Action::Adopt | Action::Restart | Action::Start | Action::Replace { .. })
        && !step.operations.iter().any(|operation| matches!(operation, Operation::Gate { .. }))
        && !only_records
    {
        find("starts something without a gate".to_owned());
    }
    if mode == Mode::RefreshOnly && !step.operations.is_empty() {
        find("touches something in a plan that only refreshes".to_owned());
    }
}

impl Operation {
    /// The object that the operation is about, if it is about one that there is already.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectRef> {
        match self {
            Self::Prepare | Self::Create | Self::Gate { object: None, .. } => None,
            Self::Update { object }
            | Self::Switch { object }
            | Self::Revert { object }
            | Self::Confirm { object }
            | Self::Start { object }
            | Self::Stop { object }
            | Self::Restart { object }
            | Self::Remove { object, .. }
            | Self::Gate { object: Some(object), .. } => Some(object),
        }
    }
}
