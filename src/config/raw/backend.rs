//! What runs a service, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ByteSize, Delay, Period, RawCompose, RawDocker, RawHelm, RawKubernetes, RawPackage, RawSsh, RawSystemd, Signal,
};
use crate::config::field::{Entries, Field, RawText, Short};
use crate::model::{BackendKind, RestartMode};

/// What runs the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub(crate) enum RawBackend {
    /// A local process under a supervisor.
    Process(Box<RawProcess>),
    /// A container of a Docker engine.
    Docker(Box<RawDocker>),
    /// A Compose project that is brought up as a whole.
    Compose(Box<RawCompose>),
    /// A program on a host that is reached over SSH.
    Ssh(Box<RawSsh>),
    /// A unit of systemd, on this machine or on hosts.
    Systemd(Box<RawSystemd>),
    /// A package that is unpacked on a host as a release.
    Package(Box<RawPackage>),
    /// A release of a Helm chart in a Kubernetes cluster.
    Helm(Box<RawHelm>),
    /// Manifests that are applied to a Kubernetes cluster.
    Kubernetes(Box<RawKubernetes>),
    /// Something that orch does not run but waits for: its health checks are all there is to it.
    External(RawExternal),
}

impl RawBackend {
    /// Which backend it is.
    pub(crate) fn kind(&self) -> BackendKind {
        match self {
            Self::Process(_) => BackendKind::Process,
            Self::Docker(_) => BackendKind::Docker,
            Self::Compose(_) => BackendKind::Compose,
            Self::Ssh(_) => BackendKind::Ssh,
            Self::Systemd(_) => BackendKind::Systemd,
            Self::Package(_) => BackendKind::Package,
            Self::Helm(_) => BackendKind::Helm,
            Self::Kubernetes(_) => BackendKind::Kubernetes,
            Self::External(_) => BackendKind::External,
        }
    }
}

/// A local process under a supervisor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawProcess {
    /// The program: a path (relative to the file when it holds a `/`), or a bare name that is looked
    /// up in `PATH`.
    pub(crate) binary: Field<RawText>,
    /// Its arguments; no shell is involved.
    #[serde(default)]
    pub(crate) args: Option<Field<Vec<Field<RawText>>>>,
    /// Its environment, on top of `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ` and
    /// `TMPDIR`. A value whose name looks secret (`PASSWORD`, `TOKEN`, ...) is never shown or recorded.
    #[serde(default)]
    pub(crate) env: Option<Field<Entries<RawText>>>,
    /// The folder it runs in, relative to the file. Default: the file's folder.
    #[serde(default)]
    pub(crate) working_dir: Option<Field<String>>,
    /// The user it runs as; this needs root. Default: the user who applies.
    #[serde(default)]
    pub(crate) user: Option<Field<String>>,
    /// The local TCP ports it listens on, so that two services with one port are found. Default: the
    /// local ports that its health checks probe.
    #[serde(default)]
    pub(crate) ports: Option<Field<Vec<Field<u16>>>>,
    /// The signal that asks it to stop: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 or SIGKILL.
    /// Default: SIGTERM.
    #[serde(default)]
    pub(crate) stop_signal: Option<Field<Signal>>,
    /// How long it may take to stop before it is killed: seconds or a duration. Default: 10 seconds.
    #[serde(default)]
    pub(crate) stop_timeout: Option<Field<Delay>>,
    /// How its log is rotated.
    #[serde(default)]
    pub(crate) log: Option<Field<RawLog>>,
    /// What happens when it exits by itself: `always`, `on-failure` or `never`, or a map with more.
    /// Default: `on-failure`; for a job `never`.
    #[serde(default)]
    pub(crate) restart: Option<Field<Short<RestartMode, RawRestart>>>,
}

/// How a log is rotated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLog {
    /// The size at which a log file is rotated: bytes, or with a unit (`50MB`, `64MiB`). Default: 50MB.
    pub(crate) max_size: Option<Field<ByteSize>>,
    /// How many rotated files are kept. Default: 10.
    pub(crate) keep: Option<Field<u32>>,
}

/// What happens when a process exits by itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRestart {
    /// When it is started again. Default: `on-failure`.
    pub(crate) policy: Option<Field<RestartMode>>,
    /// The wait before the first restart; it doubles with each one in a row: seconds or a duration.
    /// Default: 100 ms.
    pub(crate) delay: Option<Field<Delay>>,
    /// The longest wait: seconds or a duration. Default: 30 seconds.
    pub(crate) max_delay: Option<Field<Delay>>,
    /// How many restarts in a row are a crash loop, after which it stays down. Default: 5.
    pub(crate) max_restarts: Option<Field<u32>>,
    /// How long it must run for the count to start again: seconds or a duration. Default: 10 seconds.
    pub(crate) reset_after: Option<Field<Period>>,
}

/// Something that orch does not run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawExternal {}
