//! What is taken over, and the steps that record it.

use super::input::PlanInput;
use super::planner::{plan_of, timeout_ms};
use super::{Action, Change, Plan, Reason, Step, StepId, TakenOver};
use crate::model::{Address, Instance};

/// What was found to take over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// What would be recorded, in the order of the addresses.
    pub found: Vec<Adoptable>,
    /// What nobody gets, because it is not clear who should.
    pub disputed: Vec<Disputed>,
    /// The instances that nothing was found for.
    pub without: Vec<Address>,
    /// What is orch's already, of what was asked for.
    pub owned: Vec<Address>,
}

/// Something that runs and would become an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoptable {
    /// The instance.
    pub address: Address,
    /// What the backend calls the object, for a person.
    pub name: String,
    /// What it is matched by: `label com.docker.compose.service=web`.
    pub matched_by: String,
    /// How the file differs from what runs.
    pub changes: Vec<Change>,
    /// What it has that a file cannot say.
    pub beyond: Vec<String>,
}

impl Adoptable {
    /// Whether the next apply would make it anew.
    #[must_use]
    pub fn is_replaced_next(&self) -> bool {
        self.changes.iter().any(|change| change.forces)
    }
}

/// An instance that several objects could be, or that shares what could be either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disputed {
    /// The instance.
    pub address: Address,
    /// What they are matched by.
    pub matched_by: String,
    /// The objects.
    pub names: Vec<String>,
}

/// Something to take over, as the instance that it is recorded as: as it is, whatever the file wants.
#[derive(Debug, Clone)]
pub struct Found {
    /// The instance.
    pub instance: Instance,
    /// What it is.
    pub object: TakenOver,
    /// Why it is taken over.
    pub reason: Reason,
}

/// Plans to record what was found, and nothing else.
#[must_use]
pub fn plan_adoption(input: &PlanInput<'_>, found: &[Found]) -> Plan {
    let mut plan = plan_of(input);
    add_steps(&mut plan, found);
    plan
}

/// Adds to a plan, which was made as if what was found were recorded already, the steps that record it.
pub fn add_adoptions(plan: &mut Plan, found: &[Found]) {
    plan.unchanged = plan.unchanged.saturating_sub(found.len());
    add_steps(plan, found);
}

/// No such step touches anything, so that none waits for another, nor another for it.
fn add_steps(plan: &mut Plan, found: &[Found]) {
    let place = plan.steps.len() + 1;
    let step = |(place, Found { instance, object, reason }): (usize, &Found)| Step {
        id: StepId(u32::try_from(place).unwrap_or(u32::MAX)),
        address: instance.address.clone(),
        renamed_from: None,
        backend: instance.service.spec.backend(),
        action: Action::Adopt,
        reason: reason.clone(),
        stops_first: None,
        changes: Vec::new(),
        parts: Vec::new(),
        needs: Vec::new(),
        wave: 1,
        operations: Vec::new(),
        rollback: Vec::new(),
        undo: Vec::new(),
        after: Vec::new(),
        min_healthy_ms: 0,
        confirm_ms: None,
        revision: Some(instance.revision),
        adopts: None,
        takes_over: Some(object.clone()),
        fingerprint: None,
        timeout_ms: timeout_ms(Some(instance)),
        expected_ms: None,
    };
    plan.steps.extend((place..).zip(found).map(step));
}
