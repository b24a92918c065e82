//! A service: what runs it, what it needs, how it is known to be well.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ContentDigest, Endpoint, HealthCheck, HostPort, Machine, Probe, Seat, ServiceName, Spec, Strategy, Text};

/// How long a service is meant to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Runs until it is stopped.
    Permanent,
    /// Runs to completion; exit code 0 is success.
    Job,
    /// Runs whenever its timer says; what is up or down is the timer.
    Periodic,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Permanent => "permanent",
            Self::Job => "job",
            Self::Periodic => "periodic",
        })
    }
}

/// What a dependency must have reached before the dependent starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It was started; its gate need not have passed.
    Started,
    /// Its gate passed.
    Healthy,
    /// It is a job that exited 0.
    Completed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Completed => "completed",
        })
    }
}

/// A service that another one needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dependency {
    /// The service that is needed.
    pub service: ServiceName,
    /// What it must have reached. Defaults are already filled in: `healthy` where the dependency
    /// has a check, `completed` where it is a job, else `started`.
    pub condition: Condition,
    /// Whether a restart or replace of the dependency restarts the dependent too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// Rules about a service's life that its definition alone does not give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// No plan may delete or replace it; a restart is allowed.
    pub prevent_destroy: bool,
    /// Fields (a path, or the start of one before a dot) whose changes are not acted on.
    pub ignore_changes: Vec<String>,
    /// Services whose replace or restart replaces this one.
    pub replace_triggered_by: Vec<ServiceName>,
    /// Whether a replace brings the new one up, behind its gate, before the old one goes. `None`: as
    /// the backend can: a container yes, a process, whose ports orch may not know, no.
    pub create_before_destroy: Option<bool>,
}

/// A file whose content reruns a job or restarts a service when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The path as the file gives it.
    pub path: String,
    /// The content; `None` while the file does not exist.
    pub content: Option<ContentDigest>,
}

/// A service as the file wants it, with every default filled in and every path absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// How long it is meant to run.
    pub kind: Kind,
    /// What runs it, and how.
    pub spec: Spec,
    /// How many copies there are; `None` for one without a number.
    pub replicas: Option<u32>,
    /// The machines that each have a copy, in the order of the file; `None` for a service that is in one place.
    pub hosts: Option<Vec<Arc<Machine>>>,
    /// How a change goes over its copies.
    pub strategy: Option<Strategy>,
    /// Where it can be reached, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What it needs, sorted by name.
    pub dependencies: Vec<Dependency>,
    /// How it is known to be well; all must pass.
    pub checks: Vec<HealthCheck>,
    /// Rules about its life.
    pub lifecycle: Lifecycle,
    /// Files that rerun or restart it.
    pub triggers: Vec<Trigger>,
    /// The name it had before, so that what runs is kept.
    pub renamed_from: Option<ServiceName>,
    /// How long each operation of a step on it may take, its gate too.
    pub timeout: Duration,
    /// How long a service without a check must keep running to pass its gate.
    pub settle: Duration,
}

impl Service {
    /// A permanent service with nothing but its name and what runs it, and the defaults of the file.
    #[must_use]
    pub fn new(name: ServiceName, spec: Spec) -> Self {
        Self {
            name,
            kind: Kind::Permanent,
            spec,
            replicas: None,
            hosts: None,
            strategy: None,
            endpoints: BTreeMap::new(),
            dependencies: Vec::new(),
            checks: Vec::new(),
            lifecycle: Lifecycle::default(),
            triggers: Vec::new(),
            renamed_from: None,
            timeout: Duration::from_secs(300),
            settle: Duration::from_millis(300),
        }
    }

    /// The same service as one of its replicas, counted from 0: of each range of host ports it has its
    /// own, and a check that probes the first port of a range probes this replica's.
    #[must_use]
    pub fn replica(&self, index: u32) -> Self {
        let mut replica = Self { spec: self.spec.replica(index), ..self.clone() };
        let Spec::Docker(spec) = &self.spec else { return replica };
        let shifted = |port: u16| {
            let range =
                spec.ports.iter().find(|mapping| matches!(mapping.host, HostPort::Range(first, _) if first == port))?;
            range.replica(index).fixed().filter(|own| *own != port)
        };
        for check in &mut replica.checks {
            match &mut check.probe {
                Probe::Tcp { port, .. } => *port = shifted(*port).unwrap_or(*port),
                Probe::Http { url, .. } => {
                    if let Some((from, to)) = port_of(url.reveal()).and_then(|from| Some((from, shifted(from)?))) {
                        let moved = url.reveal().replacen(&format!(":{from}"), &format!(":{to}"), 1);
                        *url = if url.is_sensitive() { Text::sensitive(moved) } else { Text::plain(moved) };
                    }
                }
                Probe::Command { .. } | Probe::Script { .. } | Probe::Backend => {}
            }
        }
        replica
    }
}

impl Service {
    /// The same service as its copy on a machine, with every `${host:...}` filled in, of its checks too.
    #[must_use]
    pub fn on(&self, machine: &Arc<Machine>) -> Self {
        let mut copy = Self { spec: self.spec.on(machine), ..self.clone() };
        copy.each_check_text(&mut |text, _| *text = machine.fill(text));
        copy
    }

    /// Goes over every text that may hold references, of its checks too, and who reads it.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut Text, Seat)) {
        self.spec.each_text(&mut |text| change(text, Seat::Program));
        self.each_check_text(change);
    }

    fn each_check_text(&mut self, change: &mut dyn FnMut(&mut Text, Seat)) {
        // A command runs where the program of a container runs; everything else is asked by orch.
        let inside = matches!(self.spec, Spec::Docker(_));
        let commanded = if inside { Seat::Program } else { Seat::Probe };
        for check in &mut self.checks {
            match &mut check.probe {
                Probe::Http { url, headers, .. } => {
                    change(url, Seat::Probe);
                    headers.iter_mut().for_each(|(_, value)| change(value, Seat::Probe));
                }
                Probe::Tcp { host, .. } => {
                    let mut text = Text::plain(host.as_str());
                    change(&mut text, Seat::Probe);
                    text.reveal().clone_into(host);
                }
                Probe::Command { command, args, .. } => {
                    change(command, commanded);
                    args.iter_mut().for_each(|arg| change(arg, commanded));
                }
                Probe::Script { .. } | Probe::Backend => {}
            }
        }
    }
}

/// The port that a URL names: the digits after the last `:` of its authority.
fn port_of(url: &str) -> Option<u16> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}
