//! A backend for tests that runs nothing: it refuses, hangs, lets what it made crash, or lies about
//! what runs, as a test tells it to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::{BackendError, Listing, Observer, OpContext, Operator};
use crate::model::{Address, Conflict, Digest, Exit, Instance, Kind, ObjectId, ObjectState, ObservedObject};

/// What is wrong with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be created.
    Refuses,
    /// Creating it never returns.
    Hangs,
    /// It starts, and is dead when it is looked at.
    Crashes,
    /// It says that it runs another revision than it was given.
    Lies,
    /// It cannot be stopped.
    CannotStop,
}

/// The backend; clones share what runs.
#[derive(Debug, Clone, Default)]
pub struct Fake(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    /// What each slot had before it was switched.
    previous: BTreeMap<ObjectId, ObservedObject>,
    objects: BTreeMap<ObjectId, ObservedObject>,
    faults: BTreeMap<(Address, Digest), Fault>,
    calls: Vec<String>,
    /// How long it takes to make something.
    takes: std::time::Duration,
}

impl Fake {
    /// Makes an instance faulty in the revision that it has.
    pub fn break_it(&self, instance: &Instance, fault: Fault) {
        self.world().faults.insert((instance.address.clone(), instance.revision), fault);
    }

    /// Every call so far: `create web`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// From now on it takes so long to make something.
    pub fn take(&self, takes: std::time::Duration) {
        self.world().takes = takes;
    }

    /// Lets what is at an address die.
    pub fn crash(&self, address: &str) {
        let exit = Exit { code: Some(1), signal: None, out_of_memory: false };
        let mut world = self.world();
        for object in world.objects.values_mut().filter(|object| object.address.to_string() == address) {
            object.state = ObjectState::Exited(exit.clone());
        }
    }

    /// What is up, as `web r1.2`.
    #[must_use]
    pub fn up(&self) -> Vec<String> {
        let world = self.world();
        let up = world.objects.values().filter(|object| object.is_up());
        up.map(|object| format!("{} {}", object.address, object.op_id)).collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn call(&self, what: &str, op: &OpContext) {
        self.world().calls.push(format!("{what} {}", op.address));
    }

    fn set(&self, object: &ObjectId, change: impl FnOnce(&mut ObservedObject)) -> Result<(), BackendError> {
        let mut world = self.world();
        let missing = || BackendError::new(format!("there is no object {object}"));
        world.objects.get_mut(object).map(change).ok_or_else(missing)
    }

    /// The object that an attempt makes, with what is wrong with it.
    async fn made(&self, op: &OpContext, instance: &Instance) -> Result<ObservedObject, BackendError> {
        let takes = self.world().takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let fault = self.fault(&instance.address, instance.revision);
        match fault {
            Some(Fault::Refuses) => return Err(BackendError::new("no such file").with_hint("build it")),
            Some(Fault::Hangs) => std::future::pending().await,
            _ => {}
        }
        let exit = |code| Exit { code: Some(code), signal: None, out_of_memory: false };
        let state = match (fault, instance.service.kind) {
            (Some(Fault::Crashes), _) => ObjectState::Exited(exit(1)),
            (_, Kind::Job) => ObjectState::Exited(exit(0)),
            (_, Kind::Permanent | Kind::Periodic) => ObjectState::Running,
        };
        let backend = instance.service.spec.backend();
        let id = if backend.is_slot() { op.address.to_string() } else { op.op_id.to_string() };
        Ok(ObservedObject {
            incarnation: Some(op.op_id.to_string()),
            ..ObservedObject::new(
                backend,
                ObjectId::new(id),
                op.op_id.clone(),
                op.address.clone(),
                if fault == Some(Fault::Lies) { Digest::of(b"a lie") } else { instance.revision },
                state,
            )
        })
    }

    fn fault(&self, address: &Address, revision: Digest) -> Option<Fault> {
        self.world().faults.get(&(address.clone(), revision)).copied()
    }
}

#[async_trait]
impl Observer for Fake {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(self.world().objects.values().cloned().collect::<Vec<_>>().into())
    }

    async fn conflicts(&self, _: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        Ok(self.world().objects.get(object).cloned())
    }

    async fn tail(&self, object: &ObjectId, _: usize) -> Result<Vec<String>, BackendError> {
        Ok(vec![format!("last words of {object}")])
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Operator for Fake {
    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        self.call("create", op);
        let object = self.made(op, instance).await?;
        let id = object.id.clone();
        self.world().objects.insert(id.clone(), object);
        Ok(id)
    }

    async fn switch(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.call("switch", op);
        let made = self.made(op, instance).await?;
        let mut world = self.world();
        if let Some(before) = world.objects.insert(object.clone(), made) {
            world.previous.insert(object.clone(), before);
        }
        Ok(())
    }

    async fn revert(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.call("revert", op);
        let mut world = self.world();
        if world.objects.get(object).is_some_and(|now| now.op_id != op.op_id) {
            return Ok(());
        }
        let before = world.previous.remove(object).ok_or_else(|| BackendError::new("nothing to go back to"))?;
        world.objects.insert(object.clone(), before);
        Ok(())
    }

    async fn update(&self, op: &OpContext, object: &ObjectId, _: &Instance) -> Result<(), BackendError> {
        self.call("update", op);
        self.set(object, |object| object.address = op.address.clone())
    }

    async fn start(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.call("start", op);
        self.set(object, |object| object.state = ObjectState::Running)
    }

    async fn stop(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        self.call("stop", op);
        let found = self.inspect(object).await?;
        if found.is_some_and(|o| self.fault(&o.address, o.revision) == Some(Fault::CannotStop)) {
            return Err(BackendError::new("it does not stop"));
        }
        self.set(object, |object| object.state = ObjectState::Stopped)
    }

    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        self.call("restart", op);
        self.set(object, |object| {
            object.state = ObjectState::Running;
            object.op_id = op.op_id.clone();
            object.revision = instance.revision;
        })
    }

    async fn remove(&self, op: &OpContext, object: &ObjectId, _volumes: bool) -> Result<(), BackendError> {
        self.call("remove", op);
        self.world().objects.remove(object);
        Ok(())
    }
}
