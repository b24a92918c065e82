//! What runs a service, one type for each backend.

mod claim;
mod compose;
mod container;
mod docker;
mod external;
mod helm;
mod kube;
mod kubernetes;
mod network;
mod package;
mod process;
mod remote;
mod unit;
mod wireguard;

pub use claim::Claim;
pub use compose::{ComposeProject, ComposePull, ComposeService, ComposeSpec, compose_digest_field};
pub use container::{Gpus, HostPort, Mount, MountSource, PortMapping, Protocol, PullPolicy, RestartRule, Ulimit};
pub use docker::{DockerSpec, EngineCheck, NetworkUse, shown_cpus};
pub use external::ExternalSpec;
pub use helm::{ADOPTED_REVISION, Chart, HelmSpec, Rendered, Values, ValuesFile};
pub use kube::{KubeId, KubeObject};
pub use kubernetes::{KubeCluster, KubernetesSpec, Manifest};
pub use network::NetworkSpec;
pub use package::{PackageSource, PackageSpec};
pub use process::{LogPolicy, ProcessSpec, RestartMode, RestartPolicy, StopSignal};
pub use remote::{RemoteSpec, Upload};
pub use unit::{Exec, HostFile, UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer};
pub use wireguard::WireguardSpec;

use std::sync::Arc;
use std::time::Duration;

use super::field::Fields;
use super::{BackendKind, Machine, Place, Text};

/// What runs a service, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A local process under a supervisor.
    Process(Box<ProcessSpec>),
    /// A container of a Docker engine.
    Docker(Box<DockerSpec>),
    /// A network that containers are in; no service of the file, but made for those that are.
    Network(NetworkSpec),
    /// A Compose project of a Docker engine.
    Compose(Box<ComposeSpec>),
    /// A program on a host, as a service.
    Ssh(Box<RemoteSpec>),
    /// A unit of systemd.
    Systemd(Box<UnitSpec>),
    /// A package on a host.
    Package(Box<PackageSpec>),
    /// A release of a Helm chart.
    Helm(Box<HelmSpec>),
    /// Manifests that are applied to a Kubernetes cluster.
    Kubernetes(Box<KubernetesSpec>),
    /// A WireGuard interface of this machine; no service of the file, but brought up for those that use it.
    Wireguard(Box<WireguardSpec>),
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
            Self::Compose(_) => BackendKind::Compose,
            Self::Ssh(_) => BackendKind::Ssh,
            Self::Systemd(_) => BackendKind::Systemd,
            Self::Package(_) => BackendKind::Package,
            Self::Helm(_) => BackendKind::Helm,
            Self::Kubernetes(_) => BackendKind::Kubernetes,
            Self::Wireguard(_) => BackendKind::Wireguard,
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
            Self::Compose(spec) => spec.ports(),
            Self::Ssh(_)
            | Self::Systemd(_)
            | Self::Package(_)
            | Self::Helm(_)
            | Self::Kubernetes(_)
            | Self::Network(_)
            | Self::Wireguard(_)
            | Self::External(_) => Vec::new(),
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
            Self::Compose(spec) => spec.claims(),
            Self::Ssh(spec) => host_claims(&spec.place, &spec.ports, None),
            Self::Systemd(spec) => host_claims(&spec.place, &spec.ports, Some(&spec.unit)),
            Self::Package(spec) => host_claims(&spec.place, &spec.ports, Some(&spec.install_path)),
            Self::Helm(spec) => spec.claims(),
            Self::Kubernetes(_) | Self::Network(_) | Self::Wireguard(_) | Self::External(_) => Vec::new(),
        }
    }

    /// How long it may take to stop before it is killed; zero where there is nothing to stop.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        match self {
            Self::Process(spec) => spec.stop_timeout,
            Self::Docker(spec) => spec.stop_timeout,
            Self::Ssh(spec) => spec.stop_timeout,
            Self::Systemd(spec) => spec.stop_timeout,
            Self::Package(spec) => spec.stop_timeout,
            Self::Compose(_)
            | Self::Helm(_)
            | Self::Kubernetes(_)
            | Self::Network(_)
            | Self::Wireguard(_)
            | Self::External(_) => Duration::ZERO,
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

    /// Where it runs, where it can run elsewhere than on this machine.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Ssh(spec) => Some(&spec.place),
            Self::Systemd(spec) => Some(&spec.place),
            Self::Package(spec) => Some(&spec.place),
            Self::Process(_)
            | Self::Docker(_)
            | Self::Helm(_)
            | Self::Kubernetes(_)
            | Self::Compose(_)
            | Self::Network(_)
            | Self::Wireguard(_)
            | Self::External(_) => None,
        }
    }

    /// The same on a machine, with every `${host:...}` filled in.
    #[must_use]
    pub fn on(&self, machine: &Arc<Machine>) -> Self {
        let mut spec = self.clone();
        if spec.place().is_none() {
            return spec;
        }
        spec.each_text(&mut |text: &mut Text| *text = machine.fill(text));
        let place = match &mut spec {
            Self::Ssh(spec) => &mut spec.place,
            Self::Systemd(spec) => &mut spec.place,
            Self::Package(spec) => &mut spec.place,
            Self::Process(_)
            | Self::Docker(_)
            | Self::Compose(_)
            | Self::Helm(_)
            | Self::Kubernetes(_)
            | Self::Network(_)
            | Self::Wireguard(_)
            | Self::External(_) => {
                return spec;
            }
        };
        *place = Place::On(machine.clone());
        spec
    }

    /// Goes over every text that may hold references.
    /// Whether a tool of the backend says what it comes to, when a plan is made.
    #[must_use]
    pub fn is_rendered(&self) -> bool {
        matches!(self, Self::Compose(_) | Self::Helm(_) | Self::Kubernetes(_))
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::Process(spec) => spec.each_text(change),
            Self::Docker(spec) => spec.each_text(change),
            Self::Ssh(spec) => spec.each_text(change),
            Self::Systemd(spec) => spec.each_text(change),
            Self::Package(spec) => spec.each_text(change),
            Self::Compose(spec) => spec.env.values_mut().for_each(change),
            Self::Helm(spec) => spec.change_texts(change),
            Self::Kubernetes(_) | Self::Network(_) | Self::Wireguard(_) | Self::External(_) => {}
        }
    }

    pub(super) fn fields(&self, fields: &mut Fields<'_>) {
        match self {
            Self::Process(spec) => spec.fields(fields),
            Self::Docker(spec) => spec.fields(fields),
            Self::Network(spec) => spec.fields(fields),
            Self::Compose(spec) => spec.fields(fields),
            Self::Ssh(spec) => spec.fields(fields),
            Self::Systemd(spec) => spec.fields(fields),
            Self::Package(spec) => spec.fields(fields),
            Self::Helm(spec) => spec.fields(fields),
            Self::Kubernetes(spec) => spec.fields(fields),
            Self::Wireguard(spec) => spec.fields(fields),
            Self::External(ExternalSpec {}) => {}
        }
    }
}

/// What only one object of a machine can have: ports, and the name that it goes by there.
fn host_claims(place: &Place, ports: &[u16], name: Option<&str>) -> Vec<Claim> {
    let host = || place.machine().map(|machine| machine.name.clone());
    let port = |&port: &u16| Claim::Port { port, protocol: Protocol::Tcp }.at(host());
    let name = name.map(|name| Claim::Name(name.to_owned()).at(host()));
    ports.iter().map(port).chain(name).collect()
}
