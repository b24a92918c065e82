//! What the backends report now.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Address, BackendKind, Digest, ObjectId, OpId};

/// What was found at one address: the objects that orch made there, and what stands in their way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The objects stamped with this address, in the order of their op-ids. More than one means
    /// that a run was interrupted, or that an old one is kept for a rollback.
    pub objects: Vec<ObservedObject>,
    /// What orch does not own and what stands in the way.
    pub conflicts: Vec<Conflict>,
    /// The answer of the service's checks, probed once; `None` where there are none or it is down.
    pub health: Option<Health>,
    /// Why its machine could not be asked: then the objects are what is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// One object of a backend that carries orch's stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedObject {
    /// The backend that has it.
    pub backend: BackendKind,
    /// What the backend calls it.
    pub id: ObjectId,
    /// The attempt that made it, or last restarted it.
    pub op_id: OpId,
    /// The address that is stamped into it.
    pub address: Address,
    /// The revision that is stamped into it.
    pub revision: Digest,
    /// What it is doing.
    pub state: ObjectState,
    /// Which incarnation runs, as the backend names it (for a process boot id, pid and start
    /// ticks); `None` when none does.
    pub incarnation: Option<String>,
    /// The process id, where there is one.
    pub pid: Option<u32>,
    /// When it entered this state.
    pub since: Option<Timestamp>,
    /// How often it was restarted without being asked.
    pub restarts: u32,
    /// How it ended the last time, if it did.
    pub last_exit: Option<Exit>,
    /// How it differs from what it was made as.
    pub drift: Vec<Drift>,
    /// What it takes to bring that back; `None` when there is nothing to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// What the backend itself says of its health; `None` where it knows no finer state than running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Health>,
    /// Why it will not get well by itself, in the backend's words: a gate that waits for it is missed with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Its parts, where it has several, by name: the services of a Compose project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ObservedPart>,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedPart {
    /// Its name: a service of a Compose project.
    pub name: String,
    /// In which way it is not as it should be, as a fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What it takes to bring back an object that differs from what it was made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repair {
    /// An update in place, while it keeps serving.
    Update,
    /// A restart.
    Restart,
}

impl ObservedObject {
    /// An object with its stamp and its state, of which nothing else is known.
    #[must_use]
    pub fn new(
        backend: BackendKind,
        id: ObjectId,
        op_id: OpId,
        address: Address,
        revision: Digest,
        state: ObjectState,
    ) -> Self {
        Self {
            backend,
            id,
            op_id,
            address,
            revision,
            state,
            incarnation: None,
            pid: None,
            since: None,
            restarts: 0,
            last_exit: None,
            drift: Vec::new(),
            repair: None,
            reported: None,
            failure: None,
            parts: Vec::new(),
        }
    }

    /// Whether it serves, or is about to.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, ObjectState::Starting | ObjectState::Running | ObjectState::Restarting)
    }
}

/// What an object is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ObjectState {
    /// Being started.
    Starting,
    /// Running.
    Running,
    /// Down for a moment, between two restarts by its restart policy.
    Restarting,
    /// Stopped because it was asked to; it can be started again.
    Stopped,
    /// Ran to its end.
    Exited(Exit),
    /// Given up after too many restarts in a row; the last exit.
    CrashLoop(Exit),
    /// Its keeper (for a process the supervisor) is gone. What it kept may still run.
    Lost,
}

impl fmt::Display for ObjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Restarting => f.write_str("restarting"),
            Self::Stopped => f.write_str("stopped"),
            Self::Exited(exit) => write!(f, "exited ({exit})"),
            Self::CrashLoop(exit) => write!(f, "crash loop ({exit})"),
            Self::Lost => f.write_str("lost"),
        }
    }
}

/// How a workload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Exit {
    /// The exit code, when it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the kernel ended it for want of memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_memory: bool,
}

impl Exit {
    /// Whether it exited 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}")?,
            (None, Some(signal)) => write!(f, "signal {signal}")?,
            (None, None) => f.write_str("exit unknown")?,
        }
        if self.out_of_memory { f.write_str(", out of memory") } else { Ok(()) }
    }
}

/// Something that orch does not own and that stands in the way of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Conflict {
    /// What is taken: `port 8080`.
    pub what: String,
    /// Who has it: `pid 412 (python3)`.
    pub holder: String,
}

/// Whether the checks of a service passed when they were probed once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Health {
    /// Whether all of them passed.
    pub healthy: bool,
    /// The first that did not, or the last that did: `GET http://... : 200`.
    pub detail: String,
}

/// The kinds of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftKind {
    /// What is recorded is not there, or does not run.
    Missing,
    /// Its definition, or a file it runs from, differs.
    Config,
    /// It runs from another image.
    Image,
    /// Another object has taken its place.
    Identity,
    /// It does not pass its checks.
    Health,
    /// Something that orch does not own stands in its place.
    Unmanaged,
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "missing",
            Self::Config => "config",
            Self::Image => "image",
            Self::Identity => "identity",
            Self::Health => "health",
            Self::Unmanaged => "unmanaged",
        })
    }
}

/// One way in which observed differs from recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drift {
    /// Which kind.
    pub kind: DriftKind,
    /// What was found, as a fragment for a person: `killed by signal 9`.
    pub detail: String,
}
