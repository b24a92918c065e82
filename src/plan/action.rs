//! What a step does to an instance, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{BackendKind, RunId, ServiceName};

/// What a step does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Makes what is not there.
    Create,
    /// Changes it in place while it keeps serving.
    Update,
    /// Puts a new object in the place of the old one.
    Replace {
        /// Which one first.
        order: ReplaceOrder,
    },
    /// Starts it again under the same definition; a job runs again.
    Restart,
    /// Takes it down.
    Delete,
    /// Records what already runs, after its gate.
    Adopt,
    /// Drops the record of what is no longer there.
    Forget,
    /// Stops it and keeps it, so that it can be started again (`orch stop`).
    Stop,
    /// Starts what was stopped (`orch start`).
    Start,
}

/// Which of the two objects of a replace is up while the other is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReplaceOrder {
    /// The new one passes its gate before the old one is taken down.
    CreateBeforeDestroy,
    /// The old one is stopped, and kept until the new one has passed its gate.
    DestroyBeforeCreate,
    /// It stays the same object, such as a unit, and gets another definition; the one before is kept.
    InPlace,
}

impl Action {
    /// The word for a table or a count: `create`, `replace` ...
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace { .. } => "replace",
            Self::Restart => "restart",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
            Self::Forget => "forget",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }

    /// The sign in front of a step in a plan, as Terraform's users know them.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Update => "~",
            Self::Replace { order: ReplaceOrder::CreateBeforeDestroy } => "+/-",
            Self::Replace { order: ReplaceOrder::DestroyBeforeCreate | ReplaceOrder::InPlace } => "-/+",
            Self::Restart => "!",
            Self::Delete => "-",
            Self::Adopt => "=",
            Self::Forget => "x",
            Self::Stop => "v",
            Self::Start => "^",
        }
    }

    /// Whether the instance does not serve for a while, or from then on.
    #[must_use]
    pub fn interrupts(self) -> bool {
        matches!(
            self,
            Self::Replace { order: ReplaceOrder::DestroyBeforeCreate | ReplaceOrder::InPlace }
                | Self::Restart
                | Self::Delete
                | Self::Stop
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a step is in the plan; for people, never read by code that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Reason {
    /// The file has it and nothing is recorded or running.
    New,
    /// Fields changed; the ones that decided the action.
    Changed {
        /// Their paths.
        fields: Vec<String>,
    },
    /// The name of its image stands for another image than the one that runs.
    ImageMoved {
        /// The image, as the file names it.
        image: String,
    },
    /// A file that triggers it changed.
    Triggered {
        /// The file.
        path: String,
    },
    /// What is recorded is gone or no longer runs.
    Drifted {
        /// What was found.
        detail: String,
    },
    /// It runs but does not pass its checks.
    Unhealthy {
        /// The answer of the check.
        detail: String,
    },
    /// The last step on it failed.
    FailedBefore,
    /// A run was killed while it worked on it.
    Interrupted {
        /// That run.
        run: RunId,
    },
    /// It was stopped by `orch stop`.
    WasStopped,
    /// Something of orch's that runs already is taken over.
    FoundRunning,
    /// Something that is not of orch's making runs already, and is taken over.
    RunsAlready {
        /// What its backend calls it.
        name: String,
        /// Why it is taken for the instance: `label com.docker.compose.service=web`.
        matched_by: String,
    },
    /// `lifecycle.replace_triggered_by`, or a dependency with `restart: true`.
    FollowsDependency {
        /// The service that is replaced or restarted.
        service: ServiceName,
    },
    /// Another backend is to run it.
    Moved {
        /// The backend that has it now.
        from: BackendKind,
    },
    /// It has a new name.
    Renamed {
        /// The name before.
        from: ServiceName,
    },
    /// The file no longer has it.
    RemovedFromFile,
    /// The file wants fewer copies of the service.
    Scaled {
        /// How many it wants.
        replicas: u32,
    },
    /// The active profiles leave it out.
    ProfileInactive,
    /// The project is being destroyed.
    Destroy,
    /// The object is gone already; only the record is left.
    AlreadyGone,
    /// The user asked for it: `--replace`, or a verb such as `orch restart`.
    Asked {
        /// What was asked: `--replace web`.
        by: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new in the file"),
            Self::Changed { fields } if fields.is_empty() => f.write_str("its definition changed"),
            Self::Changed { fields } => write!(f, "{} changed", fields.join(", ")),
            Self::ImageMoved { image } => write!(f, "{image} is another image now"),
            Self::Scaled { replicas } => write!(f, "the file wants {replicas} of it"),
            Self::Triggered { path } => write!(f, "{path} changed"),
            Self::Drifted { detail } => write!(f, "drift: {detail}"),
            Self::Unhealthy { detail } => write!(f, "unhealthy: {detail}"),
            Self::FailedBefore => f.write_str("the last step on it failed"),
            Self::Interrupted { run } => write!(f, "run {run} was interrupted while it worked on it"),
            Self::WasStopped => f.write_str("stopped by `orch stop`"),
            Self::FoundRunning => f.write_str("runs already but is not recorded"),
            Self::RunsAlready { name, matched_by } => write!(f, "{name} runs already ({matched_by})"),
            Self::FollowsDependency { service } => write!(f, "follows {service}"),
            Self::Moved { from } => write!(f, "moves from backend {from}"),
            Self::Renamed { from } => write!(f, "renamed from {from}"),
            Self::RemovedFromFile => f.write_str("no longer in the file"),
            Self::ProfileInactive => f.write_str("no active profile has it"),
            Self::Destroy => f.write_str("the project is destroyed"),
            Self::AlreadyGone => f.write_str("already gone"),
            Self::Asked { by } => write!(f, "asked for by `{by}`"),
        }
    }
}
