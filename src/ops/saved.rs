//! A saved plan held against what there is now: it is done as it was reviewed, or refused.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::list_beside;
use super::plan::{PlanOptions, Planned, plan_from};
use super::project::instances;
use super::takeover::Takeover;
use super::{OpError, Project, render};
use crate::model::{Address, DigestKey, Input, InputKind, Observation};
use crate::plan::{self, Mode, Plan, PlanFile, StepId};
use crate::state::State;

const AGAIN: &str = "make a new plan with `orch plan --out FILE`, and have it reviewed";

/// Checks a saved plan; gives what is to be executed of it.
pub(super) async fn check(
    project: &Project,
    file: PlanFile,
    resume: bool,
    state: &State,
    key: &DigestKey,
) -> Result<Planned, OpError> {
    let PlanFile { digest, plan } = file;
    let own = &project.loaded.desired.project;
    if plan.project != *own {
        return Err(OpError::refused(
            format!("it is of project `{}`, the file is of project `{own}`", plan.project),
            AGAIN,
        ));
    }
    if let Some(finding) = plan::check(&plan).first() {
        return Err(OpError::refused(format!("it is not sound: {finding}"), AGAIN));
    }
    check_inputs(&plan, &project.loaded.desired.inputs(key))?;
    match state.applied.iter().find(|applied| applied.digest == digest) {
        Some(applied) if applied.complete => Err(OpError::refused(
            format!("it was applied already, by run {}", applied.run),
            "`orch plan` says what is left, if anything",
        )),
        Some(applied) if !resume => Err(OpError::refused(
            format!(
                "it was applied in part, by run {}: {} of {} steps are done",
                applied.run,
                applied.done.len(),
                plan.steps.len()
            ),
            "`orch apply PLAN --resume` runs the steps that are left",
        )),
        Some(applied) if applied.serial != state.serial => {
            Err(OpError::refused(format!("the state moved on since run {} applied it in part", applied.run), AGAIN))
        }
        Some(applied) => {
            let done = applied.done.iter().map(|step| StepId(*step)).collect();
            rest(project, plan, &done, state, key).await
        }
        None if plan.lineage != state.lineage => Err(OpError::refused("it was made for another state", AGAIN)),
        None if plan.serial != state.serial => Err(OpError::refused(
            format!("it is stale: it rests on serial {} of the state, which is at {}", plan.serial, state.serial),
            AGAIN,
        )),
        None => whole(project, plan, state, key).await,
    }
}

/// Names the first input that is not as it was reviewed.
fn check_inputs(plan: &Plan, now: &[Input]) -> Result<(), OpError> {
    let index = |inputs: &[Input]| -> BTreeMap<(InputKind, String), Option<crate::model::Digest>> {
        inputs.iter().map(|input| ((input.kind, input.name.clone()), input.digest)).collect()
    };
    let (reviewed, now) = (index(&plan.inputs), index(now));
    let differs = reviewed.keys().chain(now.keys()).find(|key| reviewed.get(*key) != now.get(*key));
    let Some(key @ (kind, name)) = differs else { return Ok(()) };
    let what = match kind {
        InputKind::Config => format!("the file {name}"),
        InputKind::Variable => format!("the variable `{name}`"),
        InputKind::Environment => format!("the environment variable `{name}`"),
        InputKind::File => format!("the content of {name}"),
        InputKind::Profiles => "the set of active profiles".to_owned(),
        InputKind::Deployment => "the deployment".to_owned(),
    };
    let hint = match (kind, reviewed.contains_key(key)) {
        (InputKind::Variable, _) => {
            "give it as it was given to `orch plan` (a sensitive one is not kept in the plan), or make a new plan"
        }
        (InputKind::Environment, _) => "set it as it was set for `orch plan`, or make a new plan",
        _ => AGAIN,
    };
    Err(OpError::refused(format!("{what} is not what it was when the plan was made"), hint))
}

async fn whole(project: &Project, plan: Plan, state: &State, key: &DigestKey) -> Result<Planned, OpError> {
    let observers = project.observers(key, state);
    let wanted = async {
        Ok(match plan.mode {
            Mode::Apply => instances(&*render::resolve(project, &observers).await?, key, state, &plan.pins),
            _ => project.instances(key, state, &plan.pins),
        })
    };
    let (found, instances) = list_beside(&observers, state, wanted).await?;
    check_fingerprints(&plan, &found)?;
    let mut instances = instances;
    let taken = Takeover::reviewed(&plan, &observers, &instances, key).await?;
    instances.extend(taken.iter().flat_map(Takeover::instances));
    let is_other = |step: &&plan::Step| {
        let wanted = instances.get(&step.address).map(|instance| instance.revision);
        step.revision.is_some() && wanted.is_some() && step.revision != wanted
    };
    if let Some(step) = plan.steps.iter().find(is_other) {
        return Err(OpError::refused(
            format!("{} would be something else than what was reviewed", step.address),
            AGAIN,
        ));
    }
    Ok(Planned { plan, instances, state: state.clone(), taken })
}

/// Refuses a plan when something that it touches is not what it was.
pub(super) fn check_fingerprints(plan: &Plan, observed: &BTreeMap<Address, Observation>) -> Result<(), OpError> {
    for step in &plan.steps {
        let address = step.renamed_from.as_ref().unwrap_or(&step.address);
        let found = plan::found_at(observed, &step.address, step.renamed_from.as_ref());
        // Of what cannot be asked nobody can say that it changed; its step says that it cannot be reached.
        if found.unreachable.is_some() {
            continue;
        }
        let now = plan::fingerprint(&found);
        if step.fingerprint.is_some_and(|then| then != now) {
            return Err(OpError::refused(format!("{address} is not what it was when the plan was made"), AGAIN));
        }
    }
    Ok(())
}

/// What is left of a plan that was applied in part. What the interrupted run began may be half
/// there, so that the steps are planned again; but only those that were reviewed, to the revisions
/// that were reviewed, under the numbers that they had.
async fn rest(
    project: &Project,
    reviewed: Plan,
    done: &BTreeSet<StepId>,
    state: &State,
    key: &DigestKey,
) -> Result<Planned, OpError> {
    let pins = Some(reviewed.pins.clone());
    let options = PlanOptions { on_failure: Some(reviewed.on_failure), pins, ..PlanOptions::of(reviewed.mode) };
    let mut planned = plan_from(project, &options, state.clone(), key).await?;
    let left: BTreeMap<&Address, _> =
        reviewed.steps.iter().filter(|step| !done.contains(&step.id)).map(|step| (&step.address, step)).collect();
    let again = std::mem::take(&mut planned.plan.steps);
    let ids: BTreeMap<StepId, StepId> =
        again.iter().filter_map(|step| Some((step.id, left.get(&step.address)?.id))).collect();
    for mut step in again {
        let Some(before) = left.get(&step.address) else { continue };
        if step.revision != before.revision {
            return Err(OpError::refused(
                format!("{} would be something else than what was reviewed", step.address),
                AGAIN,
            ));
        }
        step.id = before.id;
        step.needs = step
            .needs
            .into_iter()
            .filter_map(|need| Some(plan::Need { step: *ids.get(&need.step)?, ..need }))
            .collect();
        planned.plan.steps.push(step);
    }
    planned.plan.rolls.retain_mut(|roll| {
        for batch in &mut roll.batches {
            *batch = batch.iter().filter_map(|step| ids.get(step).copied()).collect();
        }
        roll.batches.retain(|batch| !batch.is_empty());
        !roll.batches.is_empty()
    });
    Ok(planned)
}
