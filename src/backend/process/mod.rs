//! Local processes, each under a supervisor of its own that outlives orch.
//!
//! One object is one folder, named after the attempt that made it:
//!
//! | file | what it is |
//! |---|---|
//! | `object.json` | the stamp: address, op-id, revision, kind; there before anything runs |
//! | `supervisor.lock` | locked by the supervisor for its whole life: the proof that it lives |
//! | `status.json` | what the supervisor knows; whole at any instant, without secrets |
//! | `control.sock` | where it takes requests |
//! | `log`, `log.1`, ... | what the service said, with times |
//!
//! What holds after a crash of orch at any instant: a folder has its stamp, so it can be told what it
//! belongs to; an object whose lock is held is supervised, and its supervisor carries out what it was
//! asked; one whose lock is free is a job that is done, or it is lost, and what may still run of it is
//! found by proof and ended before the folder goes. The lock is handed to the supervisor when it is
//! spawned, so no supervisor is ever alive and unseen, and no two are alive for one object.

mod binary;
mod cgroup;
mod control;
mod folder;
mod launch;
mod leftovers;
mod logs;
mod observe;
mod ports;
mod supervisor;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;

pub use supervisor::supervise;

use super::{BackendError, Listing, Observer, OpContext, Operator};
use crate::model::{Address, Conflict, Instance, ObjectId, ObservedObject, OpId, StopSignal};
use binary::Digests;
use control::{Asked, ask, unreadable};
use folder::{Folder, Held};
use launch::Supervisors;
use wire::{Policy, Request};

/// The backend of local processes.
#[derive(Clone)]
pub struct ProcessBackend {
    inner: Arc<Inner>,
}

struct Inner {
    /// The folder of all objects.
    root: PathBuf,
    /// The orch binary, which is the supervisor too.
    exe: PathBuf,
    base_env: BTreeMap<String, String>,
    digests: Digests,
    supervisors: Supervisors,
    swept: Once,
}

impl ProcessBackend {
    /// The processes whose objects are in `dir` (made with the first one). Supervisors are started
    /// from `exe`, the orch binary. Of `base_env`, orch's own environment, services get `PATH`,
    /// `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ` and `TMPDIR`.
    #[must_use]
    pub fn new(dir: PathBuf, exe: PathBuf, base_env: BTreeMap<String, String>) -> Self {
        let root = std::path::absolute(&dir).unwrap_or(dir);
        let base_env = crate::sys::base_environment(base_env);
        let (digests, supervisors, swept) = (Digests::default(), Supervisors::default(), Once::new());
        Self { inner: Arc::new(Inner { root, exe, base_env, digests, supervisors, swept }) }
    }

    /// Runs blocking work beside the runtime, which has one thread.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            Err(error) => Err(BackendError::new(format!("the process backend broke down: {error}"))),
        }
    }
}

#[async_trait]
impl Observer for ProcessBackend {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(self.blocking(Inner::list).await?.into())
    }

    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        let instances: Vec<Instance> = instances.iter().map(|instance| (*instance).clone()).collect();
        self.blocking(move |inner| {
            let ids = inner.ids()?;
            let statuses = ids.iter().filter_map(|id| inner.folder(id).status().ok().flatten()).collect::<Vec<_>>();
            Ok(ports::conflicts(&instances.iter().collect::<Vec<_>>(), &statuses))
        })
        .await
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        let id = object.clone();
        self.blocking(move |inner| Ok(observe::observe(&inner.object(&id)?, id.as_str(), &inner.digests))).await
    }

    async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError> {
        let id = object.clone();
        self.blocking(move |inner| {
            let folder = inner.object(&id)?;
            logs::tail(&folder, lines).map_err(|error| unreadable(&folder, &error))
        })
        .await
    }

    async fn log_files(&self, object: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        let id = object.clone();
        self.blocking(move |inner| {
            let folder = inner.object(&id)?;
            logs::files(&folder).map_err(|error| unreadable(&folder, &error))
        })
        .await
    }
}

#[async_trait]
impl Operator for ProcessBackend {
    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let (op, instance) = (op.clone(), instance.clone());
        self.blocking(move |inner| inner.create(&op, &instance)).await
    }

    async fn update(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (op, id, instance) = (op.clone(), object.clone(), instance.clone());
        self.blocking(move |inner| inner.update(&op, &id, &instance)).await
    }

    async fn start(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let id = object.clone();
        self.blocking(move |inner| inner.start(&id)).await
    }

    async fn stop(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        let id = object.clone();
        self.blocking(move |inner| inner.stop(&id)).await
    }

    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (op, id, instance) = (op.clone(), object.clone(), instance.clone());
        self.blocking(move |inner| inner.restart(&op, &id, &instance)).await
    }

    async fn remove(&self, _op: &OpContext, object: &ObjectId, _volumes: bool) -> Result<(), BackendError> {
        let id = object.clone();
        self.blocking(move |inner| inner.remove(&id)).await
    }
}

impl Inner {
    fn folder(&self, id: &str) -> Folder {
        Folder::at(self.root.join(id))
    }

    /// The folder of an object, whose id must be one that a folder can have.
    fn object(&self, id: &ObjectId) -> Result<Folder, BackendError> {
        let name = id.as_str();
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || name.len() > 200 {
            return Err(BackendError::new(format!("{name:?} is not the id of a process object")));
        }
        Ok(self.folder(name))
    }

    fn ids(&self) -> Result<Vec<String>, BackendError> {
        folder::ids(&self.root).map_err(|error| unreadable(&Folder::at(self.root.clone()), &error))
    }

    fn list(&self) -> Result<Vec<ObservedObject>, BackendError> {
        let observe = |id: &String| observe::observe(&self.folder(id), id, &self.digests);
        Ok(self.ids()?.iter().filter_map(observe).collect())
    }

    fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError> {
        let id = object_id(&op.op_id);
        let folder = self.object(&id)?;
        // A run holds the state's lock, so what is on its way now was on its way when a run was killed.
        self.swept.call_once(|| drop(folder::sweep(&self.root)));
        loop {
            match ask(&folder, &Request::Ping, control::PATIENCE, || {})? {
                Asked::Answered(_) => return Ok(id),
                Asked::Unsupervised(held) => {
                    let status = folder.status().ok().flatten();
                    // A job that ran to its end under this attempt must not run twice.
                    if status.is_none_or(|status| !status.is_final()) {
                        self.start_over(&folder, held, op, instance)?;
                    }
                    return Ok(id);
                }
                Asked::Gone => {
                    let launch = launch::launch(op, instance, &self.base_env, &self.digests)?;
                    let made = Folder::make(&self.root, id.as_str(), &launch.stamp);
                    let Some((folder, held)) = made.map_err(|error| unreadable(&folder, &error))? else { continue };
                    crate::crash_point!("process.create.folder");
                    self.supervisors.start(&self.exe, &folder, held, &launch)?;
                    crate::crash_point!("process.create.acked");
                    return Ok(id);
                }
            }
        }
    }

    /// Starts an object whose supervisor is gone again in its folder, after ending what is left of it.
    fn start_over(&self, folder: &Folder, held: Held, op: &OpContext, instance: &Instance) -> Result<(), BackendError> {
        let launch = launch::launch(op, instance, &self.base_env, &self.digests)?;
        leftovers::end_of(folder)?;
        crate::crash_point!("process.again.ended");
        let cleared = folder.clear().and_then(|()| folder.write_stamp(&launch.stamp));
        cleared.map_err(|error| unreadable(folder, &error))?;
        crate::crash_point!("process.again.cleared");
        self.supervisors.start(&self.exe, folder, held, &launch)?;
        crate::crash_point!("process.create.acked");
        Ok(())
    }

    fn update(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let folder = self.object(id)?;
        let policy = Policy::from(launch::spec(instance)?);
        let request = Request::Update { address: op.address.clone(), policy: policy.clone() };
        match ask(&folder, &request, control::PATIENCE, || crash_point("process.update.sent"))? {
            Asked::Answered(reply) => reply?,
            Asked::Gone => return Err(gone(id)),
            // A job that is done, or an object that is lost: there is only the stamp to change.
            Asked::Unsupervised(_held) => restamp(&folder, &op.address, &policy)?,
        }
        crate::crash_point!("process.update.done");
        Ok(())
    }

    fn start(&self, id: &ObjectId) -> Result<(), BackendError> {
        let folder = self.object(id)?;
        match ask(&folder, &Request::Start, patience(&folder), || crash_point("process.start.sent"))? {
            Asked::Answered(reply) => reply?,
            Asked::Gone => return Err(gone(id)),
            Asked::Unsupervised(_) => {
                return Err(BackendError::new("its supervisor is gone, and with it the definition it ran under")
                    .with_hint("plan and apply again: the service is then made anew"));
            }
        }
        crate::crash_point!("process.start.done");
        Ok(())
    }

    fn stop(&self, id: &ObjectId) -> Result<(), BackendError> {
        let folder = self.object(id)?;
        match ask(&folder, &Request::Stop, patience(&folder), || crash_point("process.stop.sent"))? {
            Asked::Answered(reply) => reply?,
            Asked::Gone => {}
            Asked::Unsupervised(_held) => leftovers::end_of(&folder)?,
        }
        crate::crash_point!("process.stop.done");
        Ok(())
    }

    fn restart(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let folder = self.object(id)?;
        let request =
            Request::Restart { stamp: launch::stamp(op, instance), policy: Policy::from(launch::spec(instance)?) };
        match ask(&folder, &request, patience(&folder), || crash_point("process.restart.sent"))? {
            Asked::Answered(reply) => reply?,
            Asked::Gone => return Err(gone(id)),
            Asked::Unsupervised(held) => self.start_over(&folder, held, op, instance)?,
        }
        crate::crash_point!("process.restart.done");
        Ok(())
    }

    fn remove(&self, id: &ObjectId) -> Result<(), BackendError> {
        let folder = self.object(id)?;
        loop {
            match ask(&folder, &Request::Quit, patience(&folder), || crash_point("process.remove.sent"))? {
                // It ends; the lock tells when it has.
                Asked::Answered(reply) => reply?,
                Asked::Gone => return Ok(()),
                Asked::Unsupervised(_held) => {
                    leftovers::end_of(&folder)?;
                    crate::crash_point!("process.remove.stopped");
                    folder.remove().map_err(|error| unreadable(&folder, &error))?;
                    crate::crash_point!("process.remove.done");
                    return Ok(());
                }
            }
        }
    }
}

/// The object that an attempt makes.
fn object_id(op_id: &OpId) -> ObjectId {
    ObjectId::new(op_id.as_str())
}

/// How long an object may take to end: its own stop timeout, and some time for what follows.
fn patience(folder: &Folder) -> Duration {
    let timeout = folder.status().ok().flatten().map_or(Duration::ZERO, |status| status.policy.stop_timeout);
    control::PATIENCE.saturating_add(timeout)
}

/// Changes the stamp of an object that nobody supervises. `object.json` last: while the two differ,
/// observers believe `status.json`.
fn restamp(folder: &Folder, address: &Address, policy: &Policy) -> Result<(), BackendError> {
    let write = || -> std::io::Result<()> {
        if let Some(mut status) = folder.status()? {
            status.stamp.address = address.clone();
            status.policy = policy.clone();
            folder.write_status(&status, crate::sys::Durability::Durable)?;
        }
        if let Some(mut stamp) = folder.stamp()? {
            stamp.address = address.clone();
            folder.write_stamp(&stamp)?;
        }
        Ok(())
    };
    write().map_err(|error| unreadable(folder, &error))
}

fn gone(id: &ObjectId) -> BackendError {
    BackendError::new(format!("there is no process object {id} any more")).with_hint("plan and apply again")
}

/// A crash point inside a closure.
fn crash_point(name: &'static str) {
    crate::crash_point!(name);
    let _ = name;
}

/// The kernel's number for a stop signal.
fn signal_of(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::SigTerm => Signal::TERM,
        StopSignal::SigInt => Signal::INT,
        StopSignal::SigQuit => Signal::QUIT,
        StopSignal::SigHup => Signal::HUP,
        StopSignal::SigUsr1 => Signal::USR1,
        StopSignal::SigUsr2 => Signal::USR2,
        StopSignal::SigKill => Signal::KILL,
    }
}
