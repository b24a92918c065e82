//! A container of a Docker engine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Claim;
use super::container::{Gpus, Mount, MountSource, PortMapping, PullPolicy, RestartRule, Ulimit};
use crate::model::Text;
use crate::model::field::{Effect, Fields};

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSpec {
    /// The address of the engine: `unix://`, `tcp://` or `ssh://`; `None` for the one that the
    /// environment names (`DOCKER_HOST`, then the context).
    pub host: Option<String>,
    /// The image, as the file names it.
    pub image: String,
    /// When the registry is asked about the image.
    pub pull_policy: PullPolicy,
    /// The name of the container; `None` for one that the project, the address and the attempt make.
    pub container_name: Option<String>,
    /// The command in the place of the image's.
    pub command: Option<Vec<Text>>,
    /// The entry point in the place of the image's.
    pub entrypoint: Option<Vec<Text>>,
    /// The environment, on top of the image's; what env files hold is in it.
    pub env: BTreeMap<String, Text>,
    /// The labels, on top of the image's.
    pub labels: BTreeMap<String, Text>,
    /// The ports that the container publishes.
    pub ports: Vec<PortMapping>,
    /// The volumes and folders that it sees.
    pub mounts: Vec<Mount>,
    /// Folders in memory, with their mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// The networks of the file that it is in; the engine's default bridge where there are none.
    pub networks: Vec<NetworkUse>,
    /// The user it runs as, by the container's names.
    pub user: Option<String>,
    /// The folder it runs in.
    pub working_dir: Option<String>,
    /// Its host name.
    pub hostname: Option<String>,
    /// Whether a small init process reaps its zombies and forwards signals.
    pub init: bool,
    /// Whether its own file system is read-only.
    pub read_only: bool,
    /// Capabilities that it gets.
    pub cap_add: Vec<String>,
    /// Capabilities that it loses.
    pub cap_drop: Vec<String>,
    /// Limits on what a process may have open, locked and so on.
    pub ulimits: Vec<Ulimit>,
    /// How much memory it may use, in bytes.
    pub memory: Option<u64>,
    /// How many processors it may use, in billionths of one.
    pub nano_cpus: Option<i64>,
    /// The graphics processors that it gets.
    pub gpus: Option<Gpus>,
    /// The size of `/dev/shm`, in bytes.
    pub shm_size: Option<u64>,
    /// Further lines of its `/etc/hosts`, `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// When the engine starts it again.
    pub restart: RestartRule,
    /// The signal that asks it to stop; the image's where it is not given.
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// The engine's own health check; the image's where it is not given.
    pub check: Option<EngineCheck>,
    /// Whether its named volumes go when the service is deleted.
    pub remove_volumes: bool,
}

/// A network of the file that a container is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkUse {
    /// The network's name in the file.
    pub name: String,
    /// What the engine calls it; `PROJECT_NAME` where it is not given.
    pub engine_name: Option<String>,
    /// The subnet that the file gives it: another one makes another network.
    pub subnet: Option<String>,
    /// Further names that others find the container by, beside the service's.
    pub aliases: Vec<String>,
}

/// A health check that the engine runs inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCheck {
    /// The command: `["CMD", ...]` or `["CMD-SHELL", "..."]`.
    pub test: Vec<Text>,
    /// The time between probes.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// How many in a row may fail.
    pub retries: u32,
    /// How long after the start failures do not count.
    pub start_period: Duration,
}

impl DockerSpec {
    /// A container with nothing but its image, and the defaults of the file for a permanent service.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            host: None,
            image: image.into(),
            pull_policy: PullPolicy::Missing,
            container_name: None,
            command: None,
            entrypoint: None,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            tmpfs: BTreeMap::new(),
            networks: Vec::new(),
            user: None,
            working_dir: None,
            hostname: None,
            init: false,
            read_only: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            ulimits: Vec::new(),
            memory: None,
            nano_cpus: None,
            gpus: None,
            shm_size: None,
            extra_hosts: Vec::new(),
            restart: RestartRule::UnlessStopped,
            stop_signal: None,
            stop_timeout: Duration::from_secs(10),
            check: None,
            remove_volumes: false,
        }
    }

    /// The same container as replica `index`: of each range of host ports it gets its own.
    #[must_use]
    pub fn replica(&self, index: u32) -> Self {
        let ports = self.ports.iter().map(|port| port.replica(index)).collect();
        Self { ports, ..self.clone() }
    }

    /// What only one container can have at a time.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let ports = self.ports.iter().filter_map(PortMapping::claim);
        let volumes = self.mounts.iter().filter(|mount| !mount.read_only).filter_map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => Some(Claim::Volume(name.clone())),
            MountSource::Bind(path) => Some(Claim::Volume(path.display().to_string())),
            MountSource::Anonymous => None,
        });
        let name = self.container_name.iter().map(|name| Claim::Name(name.clone()));
        ports.chain(volumes).chain(name).collect()
    }

    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut Text)) {
        let commands = self.command.iter_mut().chain(&mut self.entrypoint).flatten();
        commands.for_each(&mut *change);
        self.env.values_mut().chain(self.labels.values_mut()).for_each(&mut *change);
        self.check.iter_mut().flat_map(|check| &mut check.test).for_each(change);
    }

    pub(in crate::model) fn fields(&self, fields: &mut Fields<'_>) {
        use Effect::{Record, Replace, Update};
        let texts = |list: &[String]| format!("{list:?}");
        let optional = [
            ("host", &self.host, Replace),
            ("container_name", &self.container_name, Replace),
            ("user", &self.user, Replace),
            ("working_dir", &self.working_dir, Replace),
            ("hostname", &self.hostname, Replace),
            ("stop_signal", &self.stop_signal, Replace),
        ];
        for (name, value, effect) in optional {
            if let Some(value) = value {
                fields.plain(name, effect, value.clone());
            }
        }
        // What runs is the digest that the reference stood for; another name for it changes nothing.
        fields.plain("image", Record, self.image.clone());
        fields.plain("pull_policy", Record, self.pull_policy.to_string());
        for (name, list) in [("command", &self.command), ("entrypoint", &self.entrypoint)] {
            match list.as_deref() {
                Some([]) => fields.plain(name, Replace, "[]"),
                Some(list) => fields.texts(name, Replace, list),
                None => {}
            }
        }
        for (name, value) in &self.env {
            fields.text(format!("env.{name}"), Replace, value);
        }
        for (name, value) in &self.labels {
            fields.text(format!("labels.{name}"), Replace, value);
        }
        let lists = [
            ("ports", self.ports.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ("volumes", self.mounts.iter().map(ToString::to_string).collect()),
            ("tmpfs", self.tmpfs.iter().map(|(target, options)| shown_tmpfs(target, options)).collect()),
            ("cap_add", self.cap_add.clone()),
            ("cap_drop", self.cap_drop.clone()),
            ("ulimits", self.ulimits.iter().map(ToString::to_string).collect()),
            ("extra_hosts", self.extra_hosts.clone()),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            fields.plain(name, Replace, texts(&list));
        }
        for network in &self.networks {
            fields.plain(format!("networks.{}", network.name), Replace, network.to_string());
        }
        for (name, on) in [("init", self.init), ("read_only", self.read_only)] {
            if on {
                fields.plain(name, Replace, "true");
            }
        }
        if let Some(gpus) = &self.gpus {
            fields.plain("gpus", Replace, gpus.to_string());
        }
        if let Some(size) = self.shm_size {
            fields.plain("shm_size", Replace, size.to_string());
        }
        if let Some(memory) = self.memory {
            fields.plain("memory", Update, memory.to_string());
        }
        if let Some(cpus) = self.nano_cpus {
            fields.plain("cpus", Update, shown_cpus(cpus));
        }
        fields.plain("restart", Update, self.restart.to_string());
        fields.plain("stop_timeout", Replace, format!("{:?}", self.stop_timeout));
        if let Some(check) = &self.check {
            fields.texts("healthcheck.test", Replace, &check.test);
            let EngineCheck { interval, timeout, retries, start_period, test: _ } = check;
            let pace = format!("every {interval:?}, timeout {timeout:?}, {retries} retries, after {start_period:?}");
            fields.plain("healthcheck.pace", Replace, pace);
        }
        if self.remove_volumes {
            fields.plain("remove_volumes", Record, "true");
        }
    }
}

/// Processors as a person writes them: `1.5`.
#[must_use]
pub fn shown_cpus(nano: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let cpus = nano as f64 / 1e9;
    cpus.to_string()
}

fn shown_tmpfs(target: &str, options: &str) -> String {
    if options.is_empty() { target.to_owned() } else { format!("{target}:{options}") }
}

impl NetworkUse {
    /// What the engine calls a network, of its shown form; `None` for `PROJECT_NAME`.
    #[must_use]
    pub fn engine_name_of(shown: &str) -> Option<&str> {
        let (_, rest) = shown.split_once(CALLED)?;
        Some(rest.split(',').next().unwrap_or(rest))
    }
}

/// What stands before the name that the engine has for a network.
const CALLED: &str = ", called ";

impl fmt::Display for NetworkUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subnet.as_deref().unwrap_or("any subnet"))?;
        if let Some(name) = &self.engine_name {
            write!(f, "{CALLED}{name}")?;
        }
        if self.aliases.is_empty() { Ok(()) } else { write!(f, ", as {}", self.aliases.join(", ")) }
    }
}

/// Where a bind mount comes from, for the checks that look at the disk.
impl DockerSpec {
    /// The folders and files of the engine's machine that the container sees.
    pub fn binds(&self) -> impl Iterator<Item = &PathBuf> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Bind(path) => Some(path),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
