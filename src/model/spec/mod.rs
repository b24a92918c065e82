//! What runs a service, one type for each backend.

mod claim;
mod container;
mod docker;
mod external;
mod network;
mod process;

pub use claim::Claim;
pub use container::{Gpus, HostPort, Mount, MountSource, PortMapping, Protocol, PullPolicy, RestartRule, Ulimit};
pub use docker::{DockerSpec, EngineCheck, NetworkUse, shown_cpus};
pub use external::ExternalSpec;
pub use network::NetworkSpec;
pub use process::{LogPolicy, ProcessSpec, RestartMode, RestartPolicy, StopSignal};

use std::time::Duration;

use super::BackendKind;
use super::field::Fields;

/// What runs a service, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A local process under a supervisor.
    Process(Box<ProcessSpec>),
    /// A container of a Docker engine.
    Docker(Box<DockerSpec>),
    /// A network that containers are in; no service of the file, but made for those that are.
    Network(NetworkSpec),
    /// Something that orch does not run but waits for.
    External(ExternalSpec),
}

impl Spec {
    /// The kind of engine that runs it.
    #[must_use]
    pub fn backend(&self) -> BackendKind {
        match self {
            Self::Process(_) => BackendKind::Process,
            Self::Docker(_) | Self::Network(_) => BackendKind::Docker,
            Self::External(_) => BackendKind::External,
        }
    }

    /// The local TCP ports that the service is known to listen on.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        match self {
            Self::Process(spec) => spec.ports.clone(),
            Self::Docker(spec) => {
                spec.ports.iter().filter(|port| port.protocol == Protocol::Tcp).filter_map(PortMapping::fixed).collect()
            }
            Self::Network(_) | Self::External(_) => Vec::new(),
        }
    }

    /// What only one object can have at a time, and this one wants.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        match self {
            Self::Process(spec) => {
                spec.ports.iter().map(|&port| Claim::Port { port, protocol: Protocol::Tcp }).collect()
            }
            Self::Docker(spec) => spec.claims(),
            Self::Network(_) | Self::External(_) => Vec::new(),
        }
    }

    /// How long it may take to stop before it is killed; zero where there is nothing to stop.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        match self {
            Self::Process(spec) => spec.stop_timeout,
            Self::Docker(spec) => spec.stop_timeout,
            Self::Network(_) | Self::External(_) => Duration::ZERO,
        }
    }

    /// The same as replica `index` of several.
    #[must_use]
    pub fn replica(&self, index: u32) -> Self {
        match self {
            Self::Docker(spec) => Self::Docker(Box::new(spec.replica(index))),
            other => other.clone(),
        }
    }

    pub(super) fn fields(&self, fields: &mut Fields<'_>) {
        match self {
            Self::Process(spec) => spec.fields(fields),
            Self::Docker(spec) => spec.fields(fields),
            Self::Network(spec) => spec.fields(fields),
            Self::External(ExternalSpec {}) => {}
        }
    }
}
