//! Plans of the verbs `orch restart`, `stop` and `start`: they act on what is applied, not on what
//! the file says now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::decide::Decision;
use super::diff::Diff;
use super::input::PlanInput;
use super::planner::{fingerprint, plan_of, recorded_graph, timeout_ms};
use super::{Action, GateBy, Milestone, Need, ObjectRef, Operation, Plan, PlanError, Reason, Step, StepId, Warning};
use crate::graph::Graph;
use crate::model::{Address, BackendKind, Kind, ObjectState, Observation, ObservedObject, ServiceName};
use crate::state::{Record, RecordStatus};

/// What is to be done with services that are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Stop and start again, dependencies first.
    Restart,
    /// Stop and keep, dependents first.
    Stop,
    /// Start what was stopped, dependencies first.
    Start,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        })
    }
}

/// Plans a verb for the services that `input.request.target` names; all where it names none.
///
/// # Errors
/// When a name is not recorded.
pub fn plan_verb(input: &PlanInput<'_>, verb: Verb) -> Result<Plan, Vec<PlanError>> {
    let target = &input.request.target;
    let known: BTreeSet<&ServiceName> = input.recorded.records.keys().map(|address| &address.service).collect();
    let unknown: Vec<_> = target.iter().filter(|name| !known.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(unknown.into_iter().map(|name| PlanError::UnknownService { name: name.clone() }).collect());
    }
    let graph = recorded_graph(input);
    let places: BTreeMap<&ServiceName, usize> = graph.order().enumerate().map(|(i, name)| (name, i)).collect();
    // A network neither stops nor starts.
    let meant = |name: &ServiceName| target.contains(name) || target.is_empty() && !name.is_network();
    let mut chosen: Vec<(&Address, &Record)> =
        input.recorded.records.iter().filter(|(address, _)| meant(&address.service)).collect();
    chosen.sort_by_key(|(address, _)| (places.get(&address.service), *address));
    if verb == Verb::Stop {
        chosen.reverse();
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut placed: BTreeMap<&ServiceName, Vec<(StepId, u32)>> = BTreeMap::new();
    let mut warnings = Vec::new();
    for (address, record) in chosen {
        match decide(verb, address, record, input) {
            Ok(decision) => {
                let id = StepId(u32::try_from(steps.len() + 1).unwrap_or(u32::MAX));
                let step = step(id, decision, address, record, input, &placed, &graph);
                placed.entry(&address.service).or_default().push((id, step.wave));
                steps.push(step);
            }
            Err(Some(message)) => warnings.push(Warning { address: Some(address.clone()), message }),
            Err(None) => {}
        }
    }
    steps.sort_by(|a, b| (a.wave, &a.address).cmp(&(b.wave, &b.address)));
    renumber(&mut steps);
    Ok(Plan { steps, warnings, ..plan_of(input) })
}

/// What the verb asks of one instance; `Err` with a warning, or with nothing where there is nothing
/// to do.
fn decide(verb: Verb, address: &Address, record: &Record, input: &PlanInput<'_>) -> Result<Decision, Option<String>> {
    let object = input.observed.get(address).and_then(|found| own_object(record, found));
    let Some(object) = object.filter(|object| object.state != ObjectState::Lost) else {
        let nothing_to_run = record.backend == BackendKind::External || record.kind == Kind::Job || verb == Verb::Stop;
        return Err((!nothing_to_run).then(|| "nothing of it is left: `orch apply` makes it again".to_owned()));
    };
    if record.kind == Kind::Job && !object.is_up() {
        return Err(None);
    }
    let reference = ObjectRef::Existing { backend: object.backend, id: object.id.clone() };
    let gate = Operation::Gate { object: Some(reference.clone()), by: gate_by(address, record, input) };
    let (action, operations) = match verb {
        Verb::Restart => (Action::Restart, vec![Operation::Restart { object: reference }, gate]),
        Verb::Stop if object.is_up() => (Action::Stop, vec![Operation::Stop { object: reference }]),
        Verb::Start if !object.is_up() => (Action::Start, vec![Operation::Restart { object: reference }, gate]),
        Verb::Stop if record.status != RecordStatus::Stopped => (Action::Stop, Vec::new()),
        Verb::Stop | Verb::Start => return Err(None),
    };
    let reason = Reason::Asked { by: format!("orch {verb} {}", address.service) };
    Ok(Decision {
        action,
        reason,
        changes: Vec::new(),
        operations,
        rollback: Vec::new(),
        adopts: None,
        stops_first: None,
        undo: Vec::new(),
    })
}

/// The file's checks judge what was applied only where it was applied with them.
fn gate_by(address: &Address, record: &Record, input: &PlanInput<'_>) -> GateBy {
    let wanted = input.desired.get(address);
    let own =
        wanted.is_some_and(|wanted| !Diff::between(record.backend, &record.fields, &wanted.fields).touches_checks());
    if own { GateBy::Checks } else { GateBy::Running }
}

/// The object that a record is about.
#[must_use]
pub(super) fn own_object<'o>(record: &Record, found: &'o Observation) -> Option<&'o ObservedObject> {
    found.objects.iter().find(|object| record.object.as_ref() == Some(&object.id))
}

fn step(
    id: StepId,
    decision: Decision,
    address: &Address,
    record: &Record,
    input: &PlanInput<'_>,
    placed: &BTreeMap<&ServiceName, Vec<(StepId, u32)>>,
    graph: &Graph,
) -> Step {
    let Decision { action, reason, changes, operations, rollback, adopts, stops_first: _, undo: _ } = decision;
    // Not only the direct ones: what stands between two of the named services may not be named.
    let related: BTreeSet<&ServiceName> = match action {
        Action::Stop => graph.dependents_of([&address.service]),
        _ => graph.dependencies_of([&address.service]),
    };
    // Of several copies one restarts after the other, so that the others go on serving.
    let copy = (action == Action::Restart).then(|| placed.get(&address.service)?.last()).flatten();
    let comes_first = related.iter().filter_map(|name| placed.get(name)).flatten().chain(copy);
    let comes_first: Vec<(StepId, u32)> = comes_first.copied().collect();
    let nothing = Observation::default();
    let found = input.observed.get(address).unwrap_or(&nothing);
    Step {
        id,
        address: address.clone(),
        renamed_from: None,
        backend: record.backend,
        action,
        reason,
        stops_first: None,
        changes,
        parts: Vec::new(),
        needs: comes_first.iter().map(|&(step, _)| Need { step, milestone: Milestone::Done }).collect(),
        wave: comes_first.iter().map(|&(_, wave)| wave).max().unwrap_or(0) + 1,
        operations,
        rollback,
        undo: Vec::new(),
        after: Vec::new(),
        min_healthy_ms: 0,
        confirm_ms: None,
        revision: (action != Action::Stop).then_some(record.revision),
        adopts,
        takes_over: None,
        fingerprint: input.looked.then(|| fingerprint(found)),
        timeout_ms: timeout_ms(input.desired.get(address)),
        expected_ms: None,
    }
}

/// Numbers steps by their place, in their needs too.
fn renumber(steps: &mut [Step]) {
    let places = steps.iter().enumerate();
    let ids: BTreeMap<StepId, StepId> =
        places.map(|(place, step)| (step.id, StepId(u32::try_from(place + 1).unwrap_or(u32::MAX)))).collect();
    for step in steps {
        step.id = ids[&step.id];
        step.needs.iter_mut().for_each(|need| need.step = ids[&need.step]);
        step.needs.sort();
    }
}
