//! Health checks: what is probed, how often, and when it counts.

use std::path::PathBuf;
use std::time::Duration;

use super::Text;

/// One check of a service; all checks of a service must pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is probed.
    pub probe: Probe,
    /// How often, and when it counts.
    pub policy: CheckPolicy,
}

/// What a check probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// An HTTP or HTTPS GET; redirects are not followed.
    Http {
        /// The address, `http://` or `https://`.
        url: Text,
        /// Which statuses are healthy.
        expected_status: StatusMatch,
        /// What the body must hold, if anything.
        body: Option<BodyMatch>,
        /// Headers to send, in order.
        headers: Vec<(String, Text)>,
    },
    /// A TCP connection that is accepted.
    Tcp {
        /// Host name or address.
        host: Host,
        /// Port.
        port: u16,
    },
    /// A command that exits as expected. It runs in the service's folder with its environment.
    Command {
        /// The program; a bare name is looked up in `PATH`.
        command: Text,
        /// Its arguments; no shell is involved.
        args: Vec<Text>,
        /// The exit code that is healthy.
        expected_exit_code: i32,
    },
    /// A script file that exits 0.
    Script {
        /// The file, absolute.
        path: PathBuf,
    },
    /// The backend's own notion of health.
    Backend,
}

/// A host name or address to connect to.
pub type Host = String;

/// Which HTTP statuses are healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusMatch {
    /// Any of 200 to 299.
    Success,
    /// One of these.
    OneOf(Vec<u16>),
}

impl StatusMatch {
    /// Whether a status is healthy.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        match self {
            Self::Success => (200..300).contains(&status),
            Self::OneOf(list) => list.contains(&status),
        }
    }
}

/// What the body of an HTTP answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyMatch {
    /// The body holds this text.
    Contains(String),
    /// The body, without white space around it, is this text.
    Equals(String),
}

/// How often a check is probed and when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckPolicy {
    /// The time between probes once the service runs; while a gate waits, probes come more often.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// How many intervals in a row may fail before the service counts as unhealthy.
    pub retries: u32,
    /// How long after the start failures do not count.
    pub start_period: Duration,
    /// How many probes in a row must pass.
    pub success_threshold: u32,
    /// How long a gate waits at most; the service's timeout where it is not given.
    pub deadline: Option<Duration>,
}

impl Default for CheckPolicy {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::ZERO,
            success_threshold: 1,
            deadline: None,
        }
    }
}
