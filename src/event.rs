//! The vocabulary of everything that happens during a run.
//!
//! The executor and the backends only ever emit events; the report module turns them into progress
//! bars, log lines and NDJSON. An event holds no secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Address, OpId, Pause, ProjectName, RunId, ServiceName};
use crate::plan::{Action, Mode, Reason, StepId};

/// The version of the event format; it is in the first line of every stream.
pub const EVENT_FORMAT: u32 = 1;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum What {
    /// A run begins; always the first event of a stream.
    RunStarted {
        /// The version of this format.
        format: u32,
        /// The version of orch.
        orch: String,
        /// The run.
        run: RunId,
        /// The project.
        project: ProjectName,
        /// What was asked for.
        mode: Mode,
        /// How many steps there are.
        steps: usize,
    },
    /// A step begins; its intent is durable.
    StepStarted {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
        /// The attempt.
        op_id: OpId,
        /// What is done.
        #[serde(flatten)]
        action: Action,
        /// Why.
        reason: Reason,
    },
    /// A step went on to its next operation.
    Operation {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
        /// What is being done, as a fragment: `stopping the old one`.
        detail: String,
    },
    /// A step is further with what takes long, such as the pull of an image.
    Progressed {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
        /// How far it is.
        #[serde(flatten)]
        progress: Progress,
    },
    /// A health probe answered.
    Probed {
        /// The step whose gate it is for.
        step: StepId,
        /// The instance.
        address: Address,
        /// Which of the service's checks, from 0.
        check: usize,
        /// Which probe of this gate, from 1.
        attempt: u32,
        /// Whether it passed.
        healthy: bool,
        /// The answer, as a fragment: `GET http://localhost:8080/health: 503`.
        detail: String,
    },
    /// A step ended.
    StepFinished {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
        /// What was done.
        #[serde(flatten)]
        action: Action,
        /// How it ended.
        outcome: StepOutcome,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A step was not begun.
    StepSkipped {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
        /// What would have been done.
        #[serde(flatten)]
        action: Action,
        /// Why not, as a fragment: `postgres failed`.
        because: String,
    },
    /// The failed service is being put back to its last healthy version.
    RollbackStarted {
        /// The step that failed.
        step: StepId,
        /// The instance.
        address: Address,
        /// What went wrong.
        error: String,
    },
    /// A batch of a roll begins.
    RollBatch {
        /// The service.
        service: ServiceName,
        /// Which batch, from 1.
        batch: usize,
        /// How many there are.
        batches: usize,
    },
    /// A roll pauses after a batch that is well.
    RollPaused {
        /// The service.
        service: ServiceName,
        /// The batch that is done, from 1.
        batch: usize,
        /// How many there are.
        batches: usize,
        /// What it waits for.
        pause: Pause,
    },
    /// A roll stops: what was not begun is skipped.
    RollStopped {
        /// The service.
        service: ServiceName,
        /// Why, as a fragment: `2 of 10 failed`.
        because: String,
        /// How many steps that were done are put back.
        put_back: usize,
    },
    /// A step that was done is being put back, because its roll stopped.
    UndoStarted {
        /// The step.
        step: StepId,
        /// The instance.
        address: Address,
    },
    /// What can be known of a failure was kept.
    Evidence {
        /// The step that failed.
        step: StepId,
        /// The instance.
        address: Address,
        /// What the failed object was doing, or how it ended: `exited (exit code 137, out of memory)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// The last answer of each check that was asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        probes: Vec<String>,
        /// The last log lines, oldest first.
        log: Vec<String>,
        /// The folder that holds all of it.
        folder: String,
    },
    /// The user, or the system, asked the run to end.
    Interrupted {
        /// 1: finish what is running; 2: cancel it.
        level: u8,
        /// The signal: `SIGINT`.
        signal: String,
    },
    /// Something that the user should know.
    Warning {
        /// The instance it is about, if one.
        address: Option<Address>,
        /// The warning, as a fragment.
        message: String,
    },
    /// The run ended; always the last event of a stream.
    RunFinished {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: RunOutcome,
        /// How many steps were done.
        done: usize,
        /// How many failed, rolled back or not.
        failed: usize,
        /// How many were not begun.
        skipped: usize,
        /// How many were cancelled while they ran.
        cancelled: usize,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
}

/// How far something is that takes long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Progress {
    /// What is being got: an image.
    pub what: String,
    /// The part of it, such as a layer; `None` for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What is happening to it, as the backend says it: `Downloading`, `Pull complete`.
    pub status: String,
    /// How much is done, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// How much there is, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum StepOutcome {
    /// As planned.
    Done,
    /// It failed, and what it made is left as it is.
    Failed {
        /// Why.
        error: String,
    },
    /// It failed, and the last healthy version runs again.
    RolledBack {
        /// Why.
        error: String,
    },
    /// It failed, and going back failed too.
    RollbackFailed {
        /// Why.
        error: String,
        /// Why going back failed.
        rollback_error: String,
    },
    /// The run was cancelled while it ran; the next plan observes and finishes it.
    Cancelled,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Every step was done.
    Succeeded,
    /// At least one step failed.
    Failed,
    /// A signal ended it.
    Interrupted,
}

/// Where events go; cheap to clone, never blocks, and a closed receiver is no error.
#[derive(Debug, Clone)]
pub struct EventSink(tokio::sync::mpsc::UnboundedSender<What>);

impl EventSink {
    /// A sink and the end that the report reads from.
    #[must_use]
    pub fn channel() -> (Self, tokio::sync::mpsc::UnboundedReceiver<What>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Emits an event.
    pub fn emit(&self, what: What) {
        // A report that has gone away must not stop a run that changes machines.
        let _ = self.0.send(what);
    }
}
