//! What runs a service, one type for each backend.

mod external;
mod process;

pub use external::ExternalSpec;
pub use process::{LogPolicy, ProcessSpec, RestartMode, RestartPolicy, StopSignal};

use std::time::Duration;

use super::BackendKind;
use super::field::Fields;

/// What runs a service, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A local process under a supervisor.
    Process(Box<ProcessSpec>),
    /// Something that orch does not run but waits for.
    External(ExternalSpec),
}

impl Spec {
    /// The kind of engine that runs it.
    #[must_use]
    pub fn backend(&self) -> BackendKind {
        match self {
            Self::Process(_) => BackendKind::Process,
            Self::External(_) => BackendKind::External,
        }
    }

    /// The local TCP ports that the service is known to listen on.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        match self {
            Self::Process(spec) => &spec.ports,
            Self::External(_) => &[],
        }
    }

    /// How long it may take to stop before it is killed; zero where there is nothing to stop.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        match self {
            Self::Process(spec) => spec.stop_timeout,
            Self::External(_) => Duration::ZERO,
        }
    }

    pub(super) fn fields(&self, fields: &mut Fields<'_>) {
        match self {
            Self::Process(spec) => spec.fields(fields),
            Self::External(ExternalSpec {}) => {}
        }
    }
}
