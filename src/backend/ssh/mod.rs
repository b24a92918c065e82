//! Programs on hosts, as services.
//!
//! Where a host has systemd, a program is a unit that orch writes ([`unit`]): what keeps it, restarts it, ends it
//! and logs for it is systemd.

pub mod detached;
mod unit;
mod upload;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;

pub use super::systemd::SystemdSettings as SshSettings;

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
            return Err(BackendError::new(format!("{place} has no systemd, which keeps what `ssh` runs")));
        }
        Ok(Runner::Units(if facts.can_be_root() { UnitScope::System } else { UnitScope::User }))
    }

    /// The unit that an instance is to be: the one that it is already, or a new one.
    async fn target(&self, instance: &Instance, object: Option<&ObjectId>) -> Result<Target, BackendError> {
        let spec = spec_of(instance)?;
        let (slot, unit) = match object {
            Some(object) => self.slots.reach(object)?,
            None => {
                let Runner::Units(manager) = self.runner(&spec.place).await?;
                let name = unit::name(&self.slots.settings.project, &instance.address);
                self.slots.slot(&spec.place, manager, &name)
            }
        };
        let definition = unit::definition(spec, instance, &self.slots.settings.project, &slot, &unit)?;
        Ok(Target { slot, unit, definition })
    }

    async fn place(
        &self,
        op: &OpContext,
        instance: &Instance,
        object: Option<&ObjectId>,
        verb: Verb,
    ) -> Result<ObjectId, BackendError> {
        let target = self.target(instance, object).await?;
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
        Ok(self.slots.list().await)
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let mut wanted = Vec::new();
        for instance in instances {
            // A machine that cannot be asked is in the listing as such.
            if let Ok(target) = self.target(instance, None).await {
                wanted.push((instance.address.clone(), target));
            }
        }
        self.slots.conflicts(wanted).await
    }

    async fn inspect(&self, id: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        self.slots.inspect(id).await
    }

    async fn probe_inside(&self, id: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        self.slots.probe(id, command).await
    }

    async fn dial(&self, id: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        self.slots.dial(id, host, port).await
    }

    async fn stream_log(&self, id: &ObjectId, query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        self.slots.reach(id)?.1.stream_log(query).await.map(Some)
    }

    async fn tail(&self, id: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
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
        let target = self.target(instance, None).await?;
        upload::ensure(&target.unit, spec, &op.progress).await
    }

    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
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
        self.slots.reach(id)?.1.revert(&op.op_id).await
    }

    async fn confirm(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.slots.reach(id)?.1.confirm(&op.op_id).await
    }

    async fn start(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.slots.reach(id)?.1.start().await
    }

    async fn stop(&self, _: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        self.slots.reach(id)?.1.stop().await
    }

    async fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Some(id), Verb::Restart).await.map(drop)
    }

    async fn remove(&self, op: &OpContext, id: &ObjectId, _: bool) -> Result<(), BackendError> {
        self.slots.reach(id)?.1.remove(&op.address).await
    }
}
