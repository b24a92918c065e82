//! The plan as plain data: every decision is in it, so that the executor makes none.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Part, Reason};
use crate::model::{
    Address, BackendKind, Digest, Drift, FieldValue, Input, ObjectId, OnFailure, OpId, Pause, Pins, ProjectName,
    RollFailure, ServiceName,
};

/// The version of the plan format that this orch writes and reads.
pub const PLAN_FORMAT: u32 = 1;

/// An ordered set of steps, and all that they rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// The version of this format.
    pub format: u32,
    /// The project.
    pub project: ProjectName,
    /// What was asked for.
    pub mode: Mode,
    /// When it was made.
    pub created_at: Timestamp,
    /// The lineage of the state it rests on; empty when there was none yet.
    pub lineage: String,
    /// The serial of the state it rests on.
    pub serial: u64,
    /// What the definition was read from, so that apply can read it again.
    pub source: PlanSource,
    /// The digest of everything the definition was read from; apply refuses when one differs.
    pub inputs: Vec<Input>,
    /// What the images of the services stood for; apply runs just these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: Pins,
    /// How many steps run at once.
    pub max_parallel: usize,
    /// What happens when a step fails.
    pub on_failure: OnFailure,
    /// The steps, in an order in which each comes after all that it needs.
    pub steps: Vec<Step>,
    /// How changes go over the copies of a service, batch by batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolls: Vec<Roll>,
    /// How many instances are as they should be.
    pub unchanged: usize,
    /// Where observed differs from recorded, by address.
    pub drift: Vec<DriftNote>,
    /// Who feels it while the plan is applied.
    pub disruptions: Vec<Disruption>,
    /// What the user should know and the plan does not act on.
    pub warnings: Vec<Warning>,
}

/// What the definition was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanSource {
    /// The configuration files and folders, as they were given.
    pub files: Vec<String>,
    /// The active profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// The deployment, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The variable files, as they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub var_files: Vec<String>,
    /// The variables that were given on the command line; sensitive ones are left out and must be
    /// given to apply again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// The state folder, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Make the machine as the file says.
    #[default]
    Apply,
    /// Take everything down.
    Destroy,
    /// Only bring the records up to what is observed.
    RefreshOnly,
    /// `orch restart`, `stop` or `start` of some services.
    Verb,
}

/// The number of a step in its plan, from 1, in plan order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One action on one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// The instance.
    pub address: Address,
    /// The address that its record has until now, when the step renames it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Address>,
    /// The backend that runs the instance from now on (for a delete, that has it now).
    pub backend: BackendKind,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Why the old one of a replace must stop before the new one starts, where it is not by choice:
    /// `port 8080 cannot be held twice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops_first: Option<String>,
    /// The fields that change, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What happens to each part of it, where it has several: to each service of a Compose project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The steps that come first, and how far they must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// The wave it belongs to, from 1: all that it needs is in earlier waves.
    pub wave: u32,
    /// What the executor asks of the backends, in order.
    pub operations: Vec<Operation>,
    /// What it asks, in order, to put back the last healthy version when an operation fails and the
    /// failure policy is `rollback`; empty where there is none to go back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<Operation>,
    /// What it asks, in order, to put back the version before when the step was done but the roll that
    /// it is part of stops; empty where there is none to go back to, or where the roll does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Operation>,
    /// What it asks, in order, once the roll that it is part of has ended well: what was kept for
    /// going back goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Operation>,
    /// How long the instance must stay well after its gate, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_healthy_ms: u64,
    /// How long its host waits, after the change, to be told over a fresh connection that it can still
    /// be reached, in milliseconds; then it goes back by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_ms: Option<u64>,
    /// The revision that will run; the executor refuses an instance with another one. `None` when
    /// nothing will run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Digest>,
    /// The op-id that the object carries which the step takes over as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<OpId>,
    /// What the step takes over that was not made by orch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<TakenOver>,
    /// What was observed when the plan was made; apply refuses when it differs. `None` when the plan
    /// was made without looking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// How long each operation of the step may take, its gate too, in milliseconds.
    pub timeout_ms: u64,
    /// How long the same step took before, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<u64>,
}

/// Something that runs, is not of orch's making, and becomes an instance as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TakenOver {
    /// The object.
    pub object: ObjectId,
    /// Which of its lives was seen; apply refuses when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How a change goes over the copies of a service: the steps of a batch begin when all of the batch
/// before have ended, and no more than so many of all have failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Roll {
    /// The service.
    pub service: ServiceName,
    /// The steps of each batch.
    pub batches: Vec<Vec<StepId>>,
    /// Whether the first batch is a canary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
    /// How many steps may fail; one more stops the roll.
    pub max_failures: usize,
    /// What happens between two batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// What happens to the steps that were done when the roll stops.
    pub on_failure: RollFailure,
}

/// A step that comes first, and how far it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Need {
    /// The step.
    pub step: StepId,
    /// How far it must be.
    pub milestone: Milestone,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Milestone {
    /// Its object was started; its gate may still be open.
    Started,
    /// It is done, its gate passed, or it failed and the roll that it is part of goes on.
    Done,
}

/// One thing that the executor asks of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum Operation {
    /// Gets what the new object needs, such as its image, before anything is stopped.
    Prepare,
    /// Makes and starts a new object of the step's instance, stamped with the attempt's op-id.
    Create,
    /// Changes an object in place to the step's instance (its policy, its address).
    Update {
        /// Which object.
        object: ObjectRef,
    },
    /// Puts the step's definition in the place of the object's, stamped with the attempt's op-id; what
    /// was there before is kept.
    Switch {
        /// Which object.
        object: ObjectRef,
    },
    /// Brings back the definition that an object had before it was switched.
    Revert {
        /// Which object.
        object: ObjectRef,
    },
    /// Tells the object's host, over a fresh connection, that it can still be reached.
    Confirm {
        /// Which object.
        object: ObjectRef,
    },
    /// Starts an object that was stopped.
    Start {
        /// Which object.
        object: ObjectRef,
    },
    /// Stops an object and keeps it, so that it can be started again.
    Stop {
        /// Which object.
        object: ObjectRef,
    },
    /// Starts an object again under the attempt's op-id and the step's revision.
    Restart {
        /// Which object.
        object: ObjectRef,
    },
    /// Stops an object if it runs, and removes it.
    Remove {
        /// Which object.
        object: ObjectRef,
        /// Whether what it kept, its named volumes, goes too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        volumes: bool,
    },
    /// Waits until the object passes the service's checks (a job: until it exits 0).
    Gate {
        /// Which object; `None` for a service with nothing to run.
        object: Option<ObjectRef>,
        /// What it is judged by.
        by: GateBy,
    },
}

/// What a gate judges an object by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateBy {
    /// The service's checks as the file has them.
    Checks,
    /// That it keeps running: an old version comes back whose own checks the file no longer has.
    Running,
}

/// An object that an operation is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectRef {
    /// The one that this step creates.
    New,
    /// One that was observed when the plan was made.
    Existing {
        /// The backend that has it.
        backend: BackendKind,
        /// What the backend calls it.
        id: ObjectId,
    },
}

/// A field that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Change {
    /// The path of the field.
    pub path: String,
    /// Its value before; `None` when it is new.
    pub old: Option<FieldValue>,
    /// Its value after; `None` when it goes.
    pub new: Option<FieldValue>,
    /// Whether this field asks for more than a change in place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forces: bool,
}

/// Where an instance differs from what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DriftNote {
    /// The instance.
    pub address: Address,
    /// How it differs.
    pub drift: Drift,
}

/// A service that feels the plan being applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Disruption {
    /// The service that is down for a while, or goes.
    pub service: ServiceName,
    /// What happens to it.
    #[serde(flatten)]
    pub action: Action,
    /// The services that stay up, depend on it directly and lose it meanwhile; sorted.
    pub affects: Vec<ServiceName>,
}

/// What the user should know and the plan does not act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Warning {
    /// The instance it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The warning, as a fragment.
    pub message: String,
}

/// How many steps of each action a plan has, in the order of the words of the design.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Counts by action word.
    pub counts: BTreeMap<&'static str, usize>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many steps of each action there are.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut counts = BTreeMap::new();
        for step in &self.steps {
            *counts.entry(step.action.word()).or_default() += 1;
        }
        Summary { counts }
    }
}
