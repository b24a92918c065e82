//! Identities of runs, operations and the objects that they make.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes an identity that orch made before.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type! {
    /// One run (an apply, a destroy, a restart ...): `20261121T053210Z-3f9a1c`; sorts by time.
    RunId
}
id_type! {
    /// One attempt at one step: `<run>.<step>`; it is stamped into the object that it makes.
    OpId
}
id_type! {
    /// What a backend calls one object of its own: for a process the name of its folder.
    ObjectId
}

impl RunId {
    /// The identity of one attempt at step `step` of this run.
    #[must_use]
    pub fn op(&self, step: u32) -> OpId {
        OpId::new(format!("{self}.{step}"))
    }
}

/// A kind of engine that runs services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// A local process under a supervisor.
    Process,
    /// A container of a Docker engine, or a network of it.
    Docker,
    /// A Compose project of a Docker engine.
    Compose,
    /// A program on a host, as a service.
    Ssh,
    /// A unit of systemd.
    Systemd,
    /// A package on a host.
    Package,
    /// A release of a Helm chart.
    Helm,
    /// Manifests that are applied to a Kubernetes cluster.
    Kubernetes,
    /// A WireGuard interface of this machine.
    Wireguard,
    /// Something that orch does not run but waits for.
    External,
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Ssh => "ssh",
            Self::Systemd => "systemd",
            Self::Package => "package",
            Self::Helm => "helm",
            Self::Kubernetes => "kubernetes",
            Self::Wireguard => "wireguard",
            Self::External => "external",
        })
    }
}

impl BackendKind {
    /// Whether the stamps of an object (address, op-id, revision) can change while it lives. Where
    /// they cannot, what is recorded about an object goes before what is stamped into it.
    #[must_use]
    pub fn restamps(self) -> bool {
        match self {
            Self::Process
            | Self::Compose
            | Self::Ssh
            | Self::Systemd
            | Self::Package
            | Self::Helm
            | Self::Kubernetes
            | Self::Wireguard
            | Self::External => true,
            Self::Docker => false,
        }
    }

    /// Whether what the backend says of the health of an object that starts is how far it is.
    #[must_use]
    pub fn reports_progress(self) -> bool {
        matches!(self, Self::Helm | Self::Kubernetes)
    }

    /// Whether an object stays the same object when its definition changes: it is a place with a name,
    /// such as a unit, which keeps the definition before so that it can go back to it.
    #[must_use]
    pub fn is_slot(self) -> bool {
        match self {
            Self::Compose
            | Self::Ssh
            | Self::Systemd
            | Self::Package
            | Self::Helm
            | Self::Kubernetes
            | Self::Wireguard => true,
            Self::Process | Self::Docker | Self::External => false,
        }
    }
}
