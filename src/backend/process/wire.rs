//! What orch and a supervisor say to each other, and what stands in an object's folder.
//!
//! [`Launch`] and [`Program`] hold secrets (arguments, environment). They go through pipes and live in
//! memory only, and for that reason they have no `Debug`. Everything else here may be written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::BackendError;
use crate::model::{Address, Digest, Exit, Kind, LogPolicy, ObjectState, OpId, ProcessSpec, RestartPolicy, StopSignal};
use crate::sys::{Identity, environment_of};

/// The variable in a service's environment that says which attempt started it.
pub(super) const OP_ID_VARIABLE: &str = "ORCH_OP_ID";

/// The variable in a service's environment that says which folder its object is.
pub(super) const PLACE_VARIABLE: &str = "ORCH_OBJECT";

/// Which folder on this machine an object is: device and inode. Moving the folder keeps it; a copy of
/// a state folder has others, and must not take the processes of the original for its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Place(pub(super) String);

/// Whether a process was started for the object at a place under one of these op-ids.
pub(super) fn was_started_for<'a>(pid: u32, place: &Place, mut op_ids: impl Iterator<Item = &'a str>) -> bool {
    environment_of(pid, OP_ID_VARIABLE).is_some_and(|found| op_ids.any(|id| id == found))
        && environment_of(pid, PLACE_VARIABLE).is_some_and(|found| found == place.0)
}

/// What is stamped into an object; also the content of its `object.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) address: Address,
    pub(super) op_id: OpId,
    pub(super) revision: Digest,
    pub(super) kind: Kind,
}

/// What runs. It holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Program {
    /// The file to execute, absolute.
    pub(super) file: PathBuf,
    /// The program as the definition names it, which becomes its argument zero.
    pub(super) name: String,
    /// The name as errors may show it.
    pub(super) shown: String,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_dir: PathBuf,
    pub(super) user: Option<String>,
}

/// What may be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) stop_signal: StopSignal,
    pub(super) stop_timeout: Duration,
    pub(super) log: LogPolicy,
    pub(super) restart: RestartPolicy,
}

impl From<&ProcessSpec> for Policy {
    fn from(spec: &ProcessSpec) -> Self {
        Self { stop_signal: spec.stop_signal, stop_timeout: spec.stop_timeout, log: spec.log, restart: spec.restart }
    }
}

/// Which file a process was started from. The first four change whenever the file does; they are
/// compared first, since a digest costs reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BinaryStamp {
    pub(super) path: PathBuf,
    pub(super) version: FileVersion,
    pub(super) sha256: Digest,
}

/// What `stat` says about a file's content without reading it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct FileVersion {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
}

/// All that a supervisor needs; it gets it on its standard input. It holds secrets.
#[derive(Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) stamp: Stamp,
    pub(super) program: Program,
    pub(super) policy: Policy,
    pub(super) binary: Option<BinaryStamp>,
}

/// The content of `status.json`: what the supervisor last knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) stamp: Stamp,
    pub(super) state: ObjectState,
    /// The leader of what runs; `None` when nothing runs.
    pub(super) child: Option<Identity>,
    pub(super) supervisor: Identity,
    /// The folder that this was written in.
    pub(super) place: Place,
    pub(super) since: Timestamp,
    pub(super) restarts: u32,
    pub(super) last_exit: Option<Exit>,
    pub(super) binary: Option<BinaryStamp>,
    pub(super) policy: Policy,
    /// The control group that all of it is in, where that was permitted.
    pub(super) cgroup: Option<PathBuf>,
}

impl Status {
    /// Whether this is the last word about a job: its supervisor is expected to be gone.
    pub(super) fn is_final(&self) -> bool {
        self.stamp.kind == Kind::Job && matches!(self.state, ObjectState::Exited(_) | ObjectState::CrashLoop(_))
    }

    /// Whether something may be left running if the supervisor died after writing this.
    pub(super) fn may_leave_processes(&self) -> bool {
        self.child.is_some() || (self.state != ObjectState::Stopped && !self.is_final())
    }
}

/// A request to a supervisor: one line of JSON on its control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Answer once the first start is done.
    Ping,
    Start,
    Stop,
    Restart {
        stamp: Stamp,
        policy: Policy,
    },
    Update {
        address: Address,
        policy: Policy,
    },
    /// Stop, and end the supervisor.
    Quit,
}

/// The answer to a request, and to a launch: one line of JSON.
pub(super) type Reply = Result<(), Failure>;

/// Why a supervisor could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        Self { message: failure.message, hint: failure.hint, object: None }
    }
}

/// One value as one line of JSON.
pub(super) fn line<T: Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
