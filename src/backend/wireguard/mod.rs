//! WireGuard interfaces of this machine, brought up and down by `wg-quick`.
//!
//! An interface is orch's by its stamp (`stamp`) and its number: the one that the kernel gave the interface
//! that orch brought up. One that was up before orch came is used as it is and never changed. Interfaces are
//! brought up from a copy of their configuration, so that what goes down is what came up, and a change can
//! go back; the user's file is only read.
//!
//! What holds after a crash: a change is `pending` in the stamp before its script starts, and the script says
//! in a file of its own how far it is (`script`). It goes on without orch. So the next look finds the change
//! done, undone, under way, or, when the script itself was killed, halfway: then what is there goes and comes
//! anew.

mod observe;
mod peers;
mod script;
mod stamp;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::host::{Hosts, Rights, Script, Shell};
use super::{BackendError, Listing, Observer, OpContext, Operator};
use crate::model::{
    Address, BackendKind, Conflict, Instance, ObjectId, ObjectState, ObservedObject, OpId, Place as Machine, Spec,
    WireguardSpec,
};
use crate::sys;
use stamp::{Pending, Stamp, Standing, Store, Version};

/// How long `wg-quick` may take where nothing says so.
const USUAL: Duration = Duration::from_secs(60);
/// How long a script is given beyond what it gives `wg-quick`, twice when it goes back.
const BEYOND: Duration = Duration::from_secs(30);
/// How often a script is looked at that another orch started.
const PAUSE: Duration = Duration::from_millis(50);
/// The variable by which `wg-quick` is told of an implementation outside the kernel.
const IMPLEMENTATION: &str = "WG_QUICK_USERSPACE_IMPLEMENTATION";

/// The backend of WireGuard interfaces.
#[derive(Clone)]
pub struct WireguardBackend {
    store: Store,
    shell: Arc<Shell>,
    implementation: String,
}

/// What a script is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Start,
    Restart,
    Switch,
    Revert,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Switch => "switch",
            Self::Revert => "revert",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Up | Self::Start => "bring up",
            Self::Down => "take down",
            Self::Restart => "restart",
            Self::Switch => "change",
            Self::Revert => "bring back",
        }
    }
}

impl WireguardBackend {
    /// The interfaces whose stamps are in `dir` (made with the first one). Of `env`, orch's own environment,
    /// `wg-quick` gets `WG_QUICK_USERSPACE_IMPLEMENTATION`.
    #[must_use]
    pub fn new(dir: PathBuf, hosts: &Hosts, env: &BTreeMap<String, String>) -> Self {
        let implementation = env.get(IMPLEMENTATION).cloned().unwrap_or_default();
        Self { store: Store::at(dir), shell: hosts.on(&Machine::Here), implementation }
    }

    fn unreadable(&self, error: &std::io::Error) -> BackendError {
        BackendError::new(format!("cannot use {}: {error}", self.store.dir().display()))
    }

    /// The stamp of an interface; `None` when it has none.
    fn stamp(&self, name: &str) -> Result<Option<(Stamp, Standing)>, BackendError> {
        self.store.read(name).map_err(|error| self.unreadable(&error))
    }

    fn write(&self, stamp: &Stamp) -> Result<(), BackendError> {
        self.store.write(stamp).map_err(|error| self.unreadable(&error))
    }

    /// The stamp of an object once no script of a killed run changes it any more.
    async fn at_rest(&self, name: &str) -> Result<Option<(Stamp, Standing)>, BackendError> {
        let began = Instant::now();
        loop {
            match self.stamp(name)? {
                Some((_, Standing::UnderWay)) if began.elapsed() < USUAL + BEYOND => tokio::time::sleep(PAUSE).await,
                Some((_, Standing::UnderWay)) => {
                    return Err(BackendError::new(format!(
                        "the interface {name} is still being changed by an earlier run"
                    ))
                    .with_hint("see what its `wg-quick` waits for, end that, and apply again"));
                }
                found => return Ok(found),
            }
        }
    }

    async fn known(&self, object: &ObjectId) -> Result<(Stamp, Standing), BackendError> {
        let gone = || BackendError::new(format!("there is no {object} any more")).with_hint("plan and apply again");
        self.at_rest(interface(object)?).await?.ok_or_else(gone)
    }

    /// Runs the script of a change, with the intent in the stamp before it and what it came to after it.
    async fn act(
        &self,
        mode: Mode,
        op: &OpContext,
        (mut stamp, standing): (Stamp, Standing),
        version: Version,
        given: Option<&WireguardSpec>,
        limit: Duration,
    ) -> Result<(), BackendError> {
        let own = match (standing, stamp.index) {
            (Standing::Halfway, _) => "half".to_owned(),
            (Standing::Settled, Some(index)) => index.to_string(),
            _ => String::new(),
        };
        let name = stamp.interface.clone();
        let io = |error: std::io::Error| self.unreadable(&error);
        self.store.make().map_err(io)?;
        self.store.open_progress(&name).map_err(io)?;
        stamp.place = self.store.place().map_err(io)?;
        stamp.previous = stamp.previous.filter(|_| !matches!(mode, Mode::Switch | Mode::Revert | Mode::Up));
        stamp.pending = Some(Pending { op_id: op.op_id.clone(), version, keeps: mode == Mode::Switch });
        self.write(&stamp)?;
        crate::crash_point!("wireguard.begun");
        let (kind, config) = match given {
            Some(WireguardSpec { content: Some(content), .. }) => ("content", content.reveal()),
            Some(spec) => ("file", spec.config.as_str()),
            None => ("", ""),
        };
        let folder = self.store.dir().to_string_lossy().into_owned();
        let seconds = limit.as_secs().max(1).to_string();
        let words =
            [mode.word(), &folder, &name, op.op_id.as_str(), &own, &self.implementation, &seconds, kind, config];
        let script = Script::new(script::ACT, words).within(limit.saturating_mul(2).saturating_add(BEYOND));
        let ran = self.shell.run(Rights::Root, &script).await;
        crate::crash_point!("wireguard.ended");
        // Whatever is known of the script's end, what it wrote is what became of the interface.
        if let Some((mut stamp, Standing::Settled)) = self.stamp(&name)? {
            stamp.since = sys::now();
            self.write(&stamp)?;
        }
        crate::crash_point!("wireguard.settled");
        let output = ran?;
        if output.is_success() { Ok(()) } else { Err(refused(mode, &stamp, output.code, &output.stderr)) }
    }

    /// Stamps an interface anew that orch does not change.
    fn restamp(
        &self,
        mut stamp: Stamp,
        version: Version,
        previous: Option<Version>,
        stopped: bool,
    ) -> Result<(), BackendError> {
        stamp.previous = previous;
        stamp.version = version;
        stamp.stopped = stopped;
        stamp.since = sys::now();
        self.write(&stamp)
    }

    /// Takes what is orch's down; what is not stays.
    async fn take_down(&self, op: &OpContext, (stamp, standing): (Stamp, Standing)) -> Result<(), BackendError> {
        let version = stamp.version.clone();
        self.act(Mode::Down, op, (stamp, standing), version, None, USUAL).await
    }
}

#[async_trait]
impl Observer for WireguardBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        let names = self.store.names().map_err(|error| self.unreadable(&error))?;
        let mut objects = Vec::new();
        for name in names {
            objects.extend(observe::observe(&name, self.store.read(&name)));
        }
        Ok(objects.into())
    }

    async fn conflicts(&self, _instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        // An interface that is up already is used as it is.
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let name = interface(object)?;
        let found = self.store.read(name);
        let peers = match &found {
            Ok(Some((stamp, _))) => stamp.version.peers.clone(),
            _ => None,
        };
        let Some(mut object) = observe::observe(name, found) else { return Ok(None) };
        if object.state == ObjectState::Running {
            object.reported = Some(peers::health(&self.shell, name, peers.as_deref()).await);
        }
        Ok(Some(object))
    }

    async fn tail(&self, _object: &ObjectId, _lines: usize) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    async fn log_files(&self, _object: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for WireguardBackend {
    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let spec = spec(instance)?;
        let name = &spec.interface;
        let id = object_id(name);
        interface(&id)?;
        let version = version(op, instance);
        let found = self.at_rest(name).await?;
        if let Some((stamp, Standing::Settled)) = &found
            && observe::state(stamp, Standing::Settled).is_up()
        {
            if stamp.version.op_id != op.op_id {
                self.switch(op, &id, instance).await?;
            }
            return Ok(id);
        }
        let io = |error: std::io::Error| self.unreadable(&error);
        self.store.make().map_err(io)?;
        let halfway = matches!(found, Some((_, Standing::Halfway)));
        let foreign = !halfway && sys::interface_index(name).map_err(io)?.is_some();
        let stamp = Stamp {
            interface: name.clone(),
            config: spec.config.clone(),
            address: op.address.clone(),
            version: version.clone(),
            place: self.store.place().map_err(io)?,
            index: None,
            foreign,
            stopped: false,
            since: sys::now(),
            previous: None,
            pending: None,
        };
        if foreign {
            self.write(&stamp)?;
            return Ok(id);
        }
        let standing = if halfway { Standing::Halfway } else { Standing::Settled };
        self.act(Mode::Up, op, (stamp, standing), version, Some(spec), limit(instance)).await?;
        Ok(id)
    }

    async fn update(&self, op: &OpContext, object: &ObjectId, _instance: &Instance) -> Result<(), BackendError> {
        let (mut stamp, _) = self.known(object).await?;
        stamp.address = op.address.clone();
        self.write(&stamp)
    }

    async fn switch(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (mut stamp, standing) = self.known(object).await?;
        if stamp.version.op_id == op.op_id && standing == Standing::Settled {
            return Ok(());
        }
        let (spec, version) = (spec(instance)?, version(op, instance));
        stamp.address = op.address.clone();
        stamp.config.clone_from(&spec.config);
        if stamp.foreign {
            let previous = Some(stamp.version.clone());
            return self.restamp(stamp, version, previous, false);
        }
        self.act(Mode::Switch, op, (stamp, standing), version, Some(spec), limit(instance)).await
    }

    async fn revert(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let (stamp, standing) = self.known(object).await?;
        match (&stamp.previous, stamp.foreign) {
            (Some(previous), true) => self.restamp(stamp.clone(), previous.clone(), None, false),
            (Some(previous), false) => {
                let previous = previous.clone();
                self.act(Mode::Revert, op, (stamp, standing), previous, None, USUAL).await
            }
            // A switch that could not be made left what was before.
            (None, _) if observe::state(&stamp, standing).is_up() => Ok(()),
            (None, _) => self.start(op, object).await,
        }
    }

    async fn start(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let (stamp, standing) = self.known(object).await?;
        let version = stamp.version.clone();
        if stamp.foreign {
            let previous = stamp.previous.clone();
            return self.restamp(stamp, version, previous, false);
        }
        if observe::state(&stamp, standing).is_up() {
            return Ok(());
        }
        self.act(Mode::Start, op, (stamp, standing), version, None, USUAL).await
    }

    async fn stop(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let Some((stamp, standing)) = self.at_rest(interface(object)?).await? else { return Ok(()) };
        if stamp.foreign {
            let (version, previous) = (stamp.version.clone(), stamp.previous.clone());
            return self.restamp(stamp, version, previous, true);
        }
        self.take_down(op, (stamp, standing)).await
    }

    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (mut stamp, standing) = self.known(object).await?;
        stamp.address = op.address.clone();
        let version = Version { op_id: op.op_id.clone(), revision: instance.revision, ..stamp.version.clone() };
        if stamp.foreign {
            let previous = stamp.previous.clone();
            return self.restamp(stamp, version, previous, false);
        }
        self.act(Mode::Restart, op, (stamp, standing), version, None, limit(instance)).await
    }

    async fn remove(&self, op: &OpContext, object: &ObjectId, _volumes: bool) -> Result<(), BackendError> {
        let name = interface(object)?;
        let forget = || self.store.forget(name).map_err(|error| self.unreadable(&error));
        if self.store.read(name).is_err_and(|error| is_damage(&error)) {
            // Nobody knows whose the interface is, so that it stays as it is.
            return forget();
        }
        let Some((stamp, standing)) = self.at_rest(name).await? else { return Ok(()) };
        let there = sys::interface_index(name).map_err(|error| self.unreadable(&error))?;
        let is_own = match standing {
            Standing::Halfway => there.is_some(),
            Standing::Settled => there.is_some() && there == stamp.index,
            Standing::UnderWay | Standing::Elsewhere => false,
        };
        if is_own && !stamp.foreign {
            self.take_down(op, (stamp, standing)).await?;
        }
        crate::crash_point!("wireguard.remove.down");
        forget()?;
        crate::crash_point!("wireguard.remove.done");
        Ok(())
    }
}

/// Whether a stamp is there and says nothing.
fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

fn object_id(interface: &str) -> ObjectId {
    ObjectId::new(format!("{}/{interface}", BackendKind::Wireguard))
}

/// The interface that an object is, whose name must be one that the kernel and `wg-quick` take.
fn interface(object: &ObjectId) -> Result<&str, BackendError> {
    let name = object.as_str().strip_prefix("wireguard/").unwrap_or_default();
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | '+' | '.' | '-');
    if matches!(name, "" | "." | "..") || name.len() > 15 || name.starts_with('-') || !name.chars().all(part) {
        return Err(BackendError::new(format!("{object} is not the id of a WireGuard interface")));
    }
    Ok(name)
}

fn spec(instance: &Instance) -> Result<&WireguardSpec, BackendError> {
    match &instance.service.spec {
        Spec::Wireguard(spec) => Ok(spec),
        other => Err(BackendError::new(format!("a service of backend {} is no WireGuard interface", other.backend()))),
    }
}

fn version(op: &OpContext, instance: &Instance) -> Version {
    Version { op_id: OpId::clone(&op.op_id), revision: instance.revision, peers: None }
}

/// How long `wg-quick` may take, so that it goes back before the step's own time is over.
fn limit(instance: &Instance) -> Duration {
    USUAL.min(instance.service.timeout / 3)
}

/// Why a script did not do what it should.
fn refused(mode: Mode, stamp: &Stamp, code: i32, stderr: &str) -> BackendError {
    let Stamp { interface, config, .. } = stamp;
    let said = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = said.collect::<Vec<_>>().join("; ");
    let why = if said.is_empty() { String::new() } else { format!(": {said}") };
    let error = |what: String| BackendError::new(format!("cannot {} the interface {interface}{what}", mode.told()));
    match code {
        10 => error(": `wg-quick` is not installed".to_owned())
            .with_hint("install WireGuard's tools on this machine, `apt-get install wireguard-tools` on Debian"),
        11 => error(": another one of that name is up that is not orch's".to_owned())
            .with_hint("take that one down, or leave it to others and plan again: it is then used as it is"),
        12 => error(format!(": {config} cannot be read{why}"))
            .with_hint("make the file, or correct `config` of the network"),
        15 => error(": the configuration that it was applied with is gone".to_owned())
            .with_hint(format!("replace it: `orch apply --replace {}`", stamp.address.service)),
        16 => error(format!(": its progress cannot be written{why}"))
            .with_hint("see whether the disk of the state folder is full"),
        _ if said.contains("Unknown device type") || said.contains("not supported") => error(why).with_hint(
            "the kernel has no WireGuard: load its module, or install `wireguard-go`, which wg-quick then takes",
        ),
        13 if mode != Mode::Down => {
            error(format!("{why}; the one before is up")).with_hint(format!("correct {config}, and apply again"))
        }
        _ => error(why)
            .with_hint(format!("try `wg-quick {} {config}` by hand", if mode == Mode::Down { "down" } else { "up" })),
    }
}
