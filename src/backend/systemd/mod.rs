//! Units of systemd, on this machine and on hosts.
//!
//! A unit is a slot: its object is its name on a machine, whatever its definition. orch owns a unit by the stamp
//! that it wrote, and the files that the stamp lists; [`units`] says what holds after a crash.

pub mod units;

mod observe;
mod slots;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;

pub use slots::SystemdSettings;
pub(in crate::backend) use slots::{Slots, Target, manager_of};

use super::{
    Answer, BackendError, Command, Connection, ExecRequest, Listing, LogQuery, LogStream, Observer, OpContext, Operator,
};
use crate::model::{Address, BackendKind, Conflict, Instance, ObjectId, ObservedObject, Spec};
use units::{Origin, Verb, render};

/// Runs units.
pub struct SystemdBackend {
    slots: Slots,
}

impl SystemdBackend {
    /// Takes what it is told; connects to nothing yet.
    #[must_use]
    pub fn new(settings: SystemdSettings) -> Self {
        Self { slots: Slots { kind: BackendKind::Systemd, settings } }
    }

    fn target(&self, instance: &Instance) -> Result<Target, BackendError> {
        let Spec::Systemd(spec) = &instance.service.spec else {
            return Err(BackendError::new("systemd runs units, not this"));
        };
        let (slot, unit) = self.slots.slot(&spec.place, spec.scope, &spec.unit);
        let origin = Origin {
            project: &self.slots.settings.project,
            address: &instance.address,
            kind: instance.service.kind,
            folder: &unit.folder(),
            unit_settings: &[],
        };
        let definition = render(spec, &origin)?;
        Ok(Target { slot, unit, definition })
    }

    async fn place(&self, op: &OpContext, instance: &Instance, verb: Verb) -> Result<ObjectId, BackendError> {
        let target = self.target(instance)?;
        crate::crash_point!("systemd.place.before");
        self.slots.place(op, instance, &target, verb).await?;
        crate::crash_point!("systemd.place.after");
        Ok(target.slot.id())
    }
}

#[async_trait]
impl Observer for SystemdBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(self.slots.list().await)
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        // What cannot be laid out is told when it is to be made.
        let target = |instance: &&Instance| Some((instance.address.clone(), self.target(instance).ok()?));
        self.slots.conflicts(instances.iter().filter_map(target).collect()).await
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
impl Operator for SystemdBackend {
    async fn exec(&self, id: &ObjectId, request: ExecRequest) -> Result<i32, BackendError> {
        self.slots.reach(id)?.1.exec(request).await
    }

    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        self.place(op, instance, Verb::Create).await
    }

    async fn update(&self, op: &OpContext, _: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Verb::Update).await.map(drop)
    }

    async fn switch(&self, op: &OpContext, _: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Verb::Switch).await.map(drop)
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

    async fn restart(&self, op: &OpContext, _: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.place(op, instance, Verb::Restart).await.map(drop)
    }

    async fn remove(&self, op: &OpContext, id: &ObjectId, _: bool) -> Result<(), BackendError> {
        self.slots.reach(id)?.1.remove(&op.address).await
    }
}
