//! The parts of a container's definition: ports, mounts, limits, policies.

use core::net::IpAddr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Claim;

/// When the registry is asked about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// When the engine does not have it.
    Missing,
    /// At every plan.
    Always,
    /// Never: the engine has it, or the plan fails.
    Never,
    /// When the engine last tagged it longer ago than this.
    Every(Duration),
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Always => f.write_str("always"),
            Self::Never => f.write_str("never"),
            Self::Every(age) => write!(f, "every {age:?}"),
        }
    }
}

/// When the engine starts a container again that ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartRule {
    /// Never.
    No,
    /// Whatever its exit code, and when the engine starts.
    Always,
    /// As `always`, but not after it was stopped.
    UnlessStopped,
    /// When its exit code is not 0, at most this many times in a row; 0 for without end.
    OnFailure(u32),
}

impl fmt::Display for RestartRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(most) => write!(f, "on-failure:{most}"),
        }
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// The port of the host that a port of a container is published on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPort {
    /// Any that is free; the engine chooses.
    Any,
    /// This one.
    One(u16),
    /// One of these, first and last; replica 0 gets the first.
    Range(u16, u16),
}

/// A port of a container that is published on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMapping {
    /// The host's address; all of them where it is not given.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub host: HostPort,
    /// The container's port.
    pub container: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl PortMapping {
    /// The host's port, where it is fixed.
    #[must_use]
    pub fn fixed(&self) -> Option<u16> {
        match self.host {
            HostPort::One(port) => Some(port),
            HostPort::Any | HostPort::Range(..) => None,
        }
    }

    /// The same port as replica `index` of several: of a range it gets its own.
    #[must_use]
    pub fn replica(&self, index: u32) -> Self {
        match self.host {
            HostPort::Range(first, last) => {
                let port = u32::from(first).saturating_add(index).min(u32::from(last));
                Self { host: HostPort::One(u16::try_from(port).unwrap_or(last)), ..*self }
            }
            HostPort::Any | HostPort::One(_) => *self,
        }
    }

    pub(super) fn claim(&self) -> Option<Claim> {
        Some(Claim::Port { port: self.fixed()?, protocol: self.protocol })
    }
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            None => {}
        }
        match self.host {
            HostPort::Any if self.address.is_some() => f.write_str(":")?,
            HostPort::Any => {}
            HostPort::One(port) => write!(f, "{port}:")?,
            HostPort::Range(first, last) => write!(f, "{first}-{last}:")?,
        }
        write!(f, "{}", self.container)?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol) }
    }
}

/// What a container sees at a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// Where it comes from.
    pub source: MountSource,
    /// The path in the container.
    pub target: String,
    /// Whether the container may not write to it.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountSource {
    /// A file or folder of the engine's machine, absolute.
    Bind(PathBuf),
    /// A named volume.
    Volume {
        /// Its name in the file; for one that is not orch's, the engine's name.
        name: String,
        /// Whether others make and keep it.
        external: bool,
    },
    /// A volume without a name, which lives and dies with the container.
    Anonymous,
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            MountSource::Bind(path) => write!(f, "{}:", path.display())?,
            MountSource::Volume { name, external: false } => write!(f, "{name}:")?,
            MountSource::Volume { name, external: true } => write!(f, "external {name}:")?,
            MountSource::Anonymous => {}
        }
        f.write_str(&self.target)?;
        if self.read_only { f.write_str(":ro") } else { Ok(()) }
    }
}

/// A limit of the processes in a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ulimit {
    /// Its name: `nofile`.
    pub name: String,
    /// The limit at the start; -1 for none.
    pub soft: i64,
    /// The limit that the process may raise it to; -1 for none.
    pub hard: i64,
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}:{}", self.name, self.soft, self.hard)
    }
}

/// Graphics processors for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpus {
    /// All that there are.
    All,
    /// This many.
    Count(u32),
    /// These, by their ids.
    Ids(Vec<String>),
}

impl fmt::Display for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Ids(ids) => f.write_str(&ids.join(", ")),
        }
    }
}
