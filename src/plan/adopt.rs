//! What `orch adopt` would take over, and the plan that records it.

use super::input::PlanInput;
use super::planner::{plan_of, timeout_ms};
use super::{Action, Change, Plan, Reason, Step, StepId};
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

/// Plans to record what runs, as these instances have it. No step touches anything, so that none
/// waits for another.
#[must_use]
pub fn plan_adoption(input: &PlanInput<'_>, observed: &[Instance]) -> Plan {
    let step = |(place, instance): (usize, &Instance)| Step {
        id: StepId(u32::try_from(place + 1).unwrap_or(u32::MAX)),
        address: instance.address.clone(),
        renamed_from: None,
        backend: instance.service.spec.backend(),
        action: Action::Adopt,
        reason: Reason::FoundRunning,
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
        fingerprint: None,
        timeout_ms: timeout_ms(Some(instance)),
        expected_ms: None,
    };
    Plan { steps: observed.iter().enumerate().map(step).collect(), ..plan_of(input) }
}
