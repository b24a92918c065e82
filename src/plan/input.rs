//! What a plan is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Mode, PlanSource};
use crate::model::{Address, Input, Instance, Observation, OnFailure, Pins, ProjectName, ServiceName};
use crate::state::State;

/// Everything that a plan is made from. The same input gives the same plan, byte for byte.
#[derive(Debug)]
pub struct PlanInput<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// What the file wants, by address.
    pub desired: &'a BTreeMap<Address, Instance>,
    /// Services that the file has but the active profiles leave out.
    pub inactive: &'a BTreeSet<ServiceName>,
    /// What is recorded.
    pub recorded: &'a State,
    /// What was found; an address that is not in it has nothing.
    pub observed: &'a BTreeMap<Address, Observation>,
    /// Whether that is what was found, and not only what should be there (`--refresh=false`).
    pub looked: bool,
    /// The time that the plan is stamped with.
    pub now: Timestamp,
    /// What was asked for.
    pub request: &'a Request,
    /// What the images of the services stand for.
    pub pins: &'a Pins,
    /// How many steps run at once.
    pub max_parallel: usize,
    /// Whether somebody asked for just that many; else steps on several machines may be more.
    pub max_parallel_given: bool,
    /// What happens when a step fails.
    pub on_failure: OnFailure,
    /// What the definition was read from.
    pub source: PlanSource,
    /// The digests of what it was read from.
    pub inputs: Vec<Input>,
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What kind of plan.
    pub mode: Mode,
    /// Only these services and what they depend on; all when empty.
    pub target: BTreeSet<ServiceName>,
    /// Not these services and what depends on them.
    pub exclude: BTreeSet<ServiceName>,
    /// Replace these, changed or not.
    pub replace: BTreeSet<ServiceName>,
}
