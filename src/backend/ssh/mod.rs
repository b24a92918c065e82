//! Programs on hosts, as services.
//!
//! Where a host has systemd, a program is a unit that orch writes ([`unit`]): what keeps it, restarts it, ends it
//! and logs for it is systemd. Where it has none, that is a keeper of orch's ([`detached`]).

pub mod detached;
mod unit;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::future::join_all;

pub use super::systemd::SystemdSettings as SshSettings;

use self::detached::{Detached, is_kept};
use super::host::Slot;
use super::systemd::units::Verb;
use super::systemd::{Slots, Target};
use super::{
    Answer, BackendError, Command, Connection, ExecRequest, Listing, LogQuery, LogStream, Observer, OpContext, Operator,
};
use crate::model::{
    Address, BackendKind, Conflict, Instance, ObjectId, ObservedObject, Place, RemoteSpec, Spec, UnitScope,
};

/// Runs programs on hosts.
pub struct SshBackend {
    slots: Slots,
}

/// What keeps a program on a host.
enum Runner {
    /// systemd: the machine's, or the user's where root's rights cannot be had.
    Units(UnitScope),
    /// A keeper; the user's where root's rights cannot be had.
    Keeper {
        /// Whether it is the user's.
        as_user: bool,
    },
}

/// What an instance is to be.
enum Made {
    Unit(Target),
    Kept(Detached, Slot),
}

impl SshBackend {
    /// Takes what it is told; connects to nothing yet.
    #[must_use]
    pub fn new(settings: SshSettings) -> Self {
        Self { slots: Slots { kind: BackendKind::Ssh, settings } }
    }

    /// What keeps a program on a machine.
    async fn runner(&self, place: &Place) -> Result<Runner, BackendError> {
        let facts = self.slots.settings.hosts.on(place).facts().await?;
        if !facts.has_systemd {
            return Ok(Runner::Keeper { as_user: !facts.can_be_root() });
        }
        Ok(Runner::Units(if facts.can_be_root() { UnitScope::System } else { UnitScope::User }))
    }

    /// The programs under keepers on a machine.
    fn keepers(&self, place: &Place) -> Detached {
        let settings = &self.slots.settings;
        Detached::new(settings.hosts.on(place), settings.project.clone(), &settings.scope)
    }

    /// The program under a keeper that an object is; `None` where it is a unit.
    fn kept(&self, id: &ObjectId) -> Result<Option<(Detached, Slot)>, BackendError> {
        let Some(slot) = Slot::parse(id).filter(|slot| slot.backend == BackendKind::Ssh && is_kept(slot)) else {
            return Ok(None);
        };
        let shell = self.slots.shell(&slot)?;
        Ok(Some((self.keepers(shell.place()), slot)))
    }

    /// What an instance is to be: what it is already, or something new.
    async fn target(&self, instance: &Instance, object: Option<&ObjectId>) -> Result<Made, BackendError> {
        let spec = spec_of(instance)?;
        let (slot, unit) = match object {
            Some(object) => match self.kept(object)? {
                Some((keepers, slot)) => return Ok(Made::Kept(keepers, slot)),
                None => self.slots.reach(object)?,
            },
            None => match self.runner(&spec.place).await? {
                Runner::Units(manager) => {
                    let name = unit::name(&self.slots.settings.project, &instance.address);
                    self.slots.slot(&spec.place, manager, &name)
                }
                Runner::Keeper { as_user } => {
                    let name = detached::name(&self.slots.settings.project, &instance.address, as_user);
                    let slot = Slot { host: spec.place.key(), backend: BackendKind::Ssh, name };
                    return Ok(Made::Kept(self.keepers(&spec.place), slot));
                }
            },
        };
        let definition = unit::definition(spec, instance, &self.slots.settings.project, &slot, &unit)?;
        Ok(Made::Unit(Target { slot, unit, definition }))
    }

    async fn place(
        &self,
        op: &OpContext,
        instance: &Instance,
        object: Option<&ObjectId>,
        verb: Verb,
    ) -> Result<ObjectId, BackendError> {
        let target = match self.target(instance, object).await? {
            Made::Unit(target) => target,
            Made::Kept(keepers, slot) => {
                crate::crash_point!("ssh.place.before");
                match verb {
                    Verb::Create => keepers.create(op, &slot, instance).await?,
                    Verb::Switch => keepers.switch(op, &slot, instance).await?,
                    Verb::Update => keepers.update(&slot, instance).await?,
                    Verb::Restart => keepers.restart(op, &slot, instance).await?,
                }
                crate::crash_point!("ssh.place.after");
                return Ok(slot.id());
            }
        };
        upload::ensure(&target.unit, spec_of(instance)?, &op.progress).await?;
        crate::crash_point!("ssh.place.before");
        self.slots.place(op, instance, &target, verb).await?;
        crate::crash_point!("ssh.place.after");
        Ok(target.slot.id())
    }
}

fn spec_of(instance: &Instance) -> Result<&RemoteSpec, BackendError> {
    match &instance.service.spec {
        Spec::Ssh(spec) => Ok(spec),
        _ => Err(BackendError::new("`ssh` runs programs on hosts, not this")),
    }
}

#[async_trait]
impl Observer for SshBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        let mut listing = self.slots.list().await;
        // Those under keepers are seen there by their stamps; what they do, their own look says.
        let kept_there = |object: &ObservedObject| Slot::parse(&object.id).is_some_and(|slot| is_kept(&slot));
        let (kept, units): (Vec<_>, Vec<_>) = listing.objects.into_iter().partition(kept_there);
        listing.objects = units;
        let hosts: BTreeSet<String> = kept.iter().filter_map(|object| Some(Slot::parse(&object.id)?.host)).collect();
        let places = &self.slots.settings.places;
        let asked = hosts.into_iter().filter_map(|host| {
            let keepers = self.keepers(places.get(&host)?);
            Some(async move { (host, keepers.list().await) })
        });
        for (host, answer) in join_all(asked).await {
            match answer {
                Ok(objects) => listing.objects.extend(objects),
                Err(error) => {
                    listing.unreachable.insert(host, error);
                }
            }
        }
        Ok(listing)
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let mut wanted = Vec::new();
        for instance in instances {
            // A machine that cannot be asked is in the listing as such.
            if let Ok(Made::Unit(target)) = self.target(instance, None).await {
                wanted.push((instance.address.clone(), target));
            }
        }
        self.slots.conflicts(wanted).await
    }

    async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.inspect(&slot).await;
        }
        self.slots.inspect(id).await
    }

    async fn probe_inside(&self, id: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return if self.slots.is_here(&slot) { Ok(None) } else { keepers.probe(&slot, command).await.map(Some) };
        }
        self.slots.probe(id, command).await
    }

    async fn dial(&self, id: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        self.slots.dial(id, host, port).await
    }

    async fn stream_log(&self, id: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.stream_log(&slot, query).await.map(Some);
        }
        self.slots.reach(id)?.1.stream_log(query).await.map(Some)
    }

    async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.tail(&slot, lines).await;
        }
        self.slots.reach(id)?.1.tail(lines).await
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for SshBackend {
    async fn prepare(&self, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        let spec = spec_of(instance)?;
        if spec.upload.is_none() {
            return Ok(());
        }
        match self.target(instance, None).await? {
            Made::Unit(target) => upload::ensure(&target.unit, spec, &op.progress).await,
            Made::Kept(keepers, slot) => keepers.prepare(op, &slot, instance).await,
        }
    }

    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.exec(&slot, request).await;
        }
        self.slots.reach(id)?.1.exec(request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        self.place(op, instance, None, Verb::Create).await
    }

    async fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Some(id), Verb::Update).await.map(drop)
    }

    async fn switch(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Some(id), Verb::Switch).await.map(drop)
    }

    async fn revert(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.revert(op, &slot).await;
        }
        self.slots.reach(id)?.1.revert(&op.op_id).await
    }

    async fn confirm(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.confirm(op, &slot).await;
        }
        self.slots.reach(id)?.1.confirm(&op.op_id).await
    }

    async fn start(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.start(&slot).await;
        }
        self.slots.reach(id)?.1.start().await
    }

    async fn stop(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.stop(&slot).await;
        }
        self.slots.reach(id)?.1.stop().await
    }

    async fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Some(id), Verb::Restart).await.map(drop)
    }

    async fn remove(&self, op: &OpContext, id: &ObjectId, _: bool) -> Result<(), BackendError> {
        if let Some((keepers, slot)) = self.kept(id)? {
            return keepers.remove(op, &slot).await;
        }
        self.slots.reach(id)?.1.remove(&op.address).await
    }
}
