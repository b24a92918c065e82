//! The traits that look at and touch what runs, and their implementations.
//!
//! Looking is a different type from touching: planning holds [`Observer`]s only, so a plan that
//! changes something does not compile.

pub mod compose;
pub mod docker;
#[cfg(test)]
pub mod fake;
pub mod helm;
pub mod host;
pub mod kube;
pub mod kubernetes;
pub mod package;
pub mod process;
pub mod ssh;
pub mod systemd;
pub mod wireguard;

mod inside;
mod ports;
mod progress;
mod reach;

pub use inside::{Answer, Command, Connection, ExecRequest, LogLine, LogQuery, LogStream, Terminal, Wire};
pub use progress::ProgressSink;
pub use reach::{Forward, Held, reach, resolve, serving};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::model::{
    Address, BackendKind, Conflict, Endpoint, Health, Instance, ObjectId, ObservedObject, OpId, Pins, Reach, Service,
    ServiceName, Spec, Vantage,
};

/// Looks at what a backend runs and changes nothing.
#[async_trait]
pub trait Observer: Send + Sync {
    /// Every object of this project that the backend has, in no particular order, and the machines that
    /// could not be asked: one that is cut off must not hide the others.
    ///
    /// # Errors
    /// When the backend as a whole cannot be asked. An object that cannot be read is reported as
    /// [`Lost`](crate::model::ObjectState::Lost), not as an error, so that one broken object does not hide the rest.
    async fn list(&self) -> Result<Listing, BackendError>;

    /// What orch does not own and what stands in the way of these instances, none of which is up.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    async fn conflicts(&self, instances: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError>;

    /// What one object is doing now; `None` when it is gone.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError>;

    /// What the images of these services stand for now, as far as the backend runs any: what the
    /// engine has, or what the registry has, by each service's pull policy. A pin in `recorded` that is
    /// just another name for the same image is kept, so that it does not look like a change. What
    /// cannot be found out is in the answer too, by service.
    async fn pins(&self, _services: &[&Service], _recorded: &Pins) -> PinAnswers {
        PinAnswers::new()
    }

    /// What these services are in full, as far as a tool of the backend says: the containers of a Compose file, the
    /// objects of a chart. Changes nothing. A service that is not in the answer is what the file says.
    async fn render(&self, _services: &[&Service]) -> Renderings {
        Renderings::new()
    }

    /// Whether [`list`](Self::list) says more once the services are [rendered](Self::render), so that it must come
    /// after; the others are listed meanwhile.
    fn lists_by_rendering(&self) -> bool {
        false
    }

    /// What runs without being orch's and could be one of these instances, none of which has an object
    /// of orch's: for `orch adopt`. `named` says which object is to be which instance, in the backend's
    /// words; the others get the best match that there is.
    ///
    /// # Errors
    /// When the backend cannot be asked, or what `named` names is not there, does not run, or is orch's.
    async fn candidates(
        &self,
        _instances: &[&Instance],
        _named: &BTreeMap<Address, String>,
    ) -> Result<Candidates, BackendError> {
        Ok(Candidates::default())
    }

    /// Runs a command where an object runs, inside its container say, and waits for it: for probes,
    /// which must not change anything. `None` where that is this machine.
    ///
    /// # Errors
    /// When the backend cannot be asked, or the command cannot be started there.
    async fn probe_inside(&self, _object: &ObjectId, _command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        Ok(None)
    }

    /// Asks the check that an object brings along, `scripts/health-check` of a package, for checks of the
    /// type `backend`. `None` where it brings none: then [`ObservedObject::reported`] counts.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    async fn own_check(&self, _object: &ObjectId, _timeout: Duration) -> Result<Option<Health>, BackendError> {
        Ok(None)
    }

    /// A connection to a port of the machine that an object runs on, as from that machine itself: for
    /// probes of `localhost`. `None` where that is this machine.
    ///
    /// # Errors
    /// When the machine cannot be reached, or nothing accepts there.
    async fn dial(&self, _object: &ObjectId, _host: &str, _port: u16) -> Result<Option<Connection>, BackendError> {
        Ok(None)
    }

    /// Where an endpoint of an object is reached. `None` where what the file says of it is all there is to know, as for
    /// a program that listens on its own port.
    ///
    /// # Errors
    /// When the backend cannot be asked, or the object has no such endpoint.
    async fn locate(
        &self,
        _object: &ObjectId,
        _endpoint: &Endpoint,
        _from: Vantage,
    ) -> Result<Option<Reach>, BackendError> {
        Ok(None)
    }

    /// Forwards a port of this machine to an endpoint of an object, which ends when what it returns is dropped. `None`
    /// where the backend has no such thing.
    ///
    /// # Errors
    /// When the port cannot be forwarded.
    async fn forward(&self, _object: &ObjectId, _endpoint: &Endpoint) -> Result<Option<Forward>, BackendError> {
        Ok(None)
    }

    /// The log of an object as the backend streams it; `None` where it is in files, which
    /// [`log_files`](Self::log_files) names.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn stream_log(&self, _object: &ObjectId, _query: LogQuery) -> Result<Option<LogStream>, BackendError> {
        Ok(None)
    }

    /// The last `lines` log lines of an object, oldest first, without their time stamps.
    ///
    /// # Errors
    /// When the log cannot be read; an object that logged nothing gives an empty list.
    async fn tail(&self, object: &ObjectId, lines: usize) -> Result<Vec<String>, BackendError>;

    /// Where the log of an object is, for `orch logs`; oldest file first, the last one is written to.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    async fn log_files(&self, object: &ObjectId) -> Result<Vec<PathBuf>, BackendError>;
}

/// Changes what a backend runs. Every method is idempotent: a crash between its effect and the
/// record of it is followed by the same call again, or by one that observation led to.
#[async_trait]
pub trait Operator: Observer {
    /// Gets what a new object needs, such as its image, so that making it takes no longer than it must
    /// and cannot fail for the want of it. Nothing that runs is touched.
    async fn prepare(&self, _op: &OpContext, _instance: &Instance) -> Result<(), BackendError> {
        Ok(())
    }

    /// Runs a command where an object runs, with the caller's terminal or pipes; its exit code.
    async fn exec(&self, object: &ObjectId, _request: ExecRequest) -> Result<i32, BackendError> {
        Err(BackendError::new(format!("cannot run a command in {object}: its backend has no inside"))
            .with_hint("it runs on this machine: run the command in your own shell"))
    }

    /// Makes and starts a new object, stamped with the address, the op-id and the revision.
    /// Returns once it runs (for a job: once it was started), before any health check.
    /// An object of the same op-id that is already there is taken as it is.
    async fn create(&self, op: &OpContext, instance: &Instance) -> Result<ObjectId, BackendError>;

    /// Changes an object in place: its policy, and the address stamped into it. The op-id and the revision that
    /// are stamped into it stay.
    async fn update(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError>;

    /// Puts a new definition in the place of the one that an object has, and starts it under that: for
    /// objects that stay the same when their definition changes ([`BackendKind::is_slot`]). Stamps the
    /// op-id and the revision. What was there before is kept, so that [`revert`](Self::revert) can bring
    /// it back. When it fails, or is killed, what runs is the old one or the new one.
    async fn switch(&self, _op: &OpContext, object: &ObjectId, _instance: &Instance) -> Result<(), BackendError> {
        Err(BackendError::new(format!("{object} cannot get another definition: its backend makes a new object")))
    }

    /// Brings back the definition that an object had before the [`switch`](Self::switch) of an attempt, which
    /// the op-id names, with its stamp, by the same path. One that never had that switch, or went back from it
    /// already, is fine.
    async fn revert(&self, _op: &OpContext, object: &ObjectId) -> Result<(), BackendError> {
        Err(BackendError::new(format!("{object} has no definition to go back to")))
    }

    /// Tells the machine of an object, over a connection made for that, that it can still be reached, so
    /// that it does not go back by itself ([`OpContext::confirm`]).
    async fn confirm(&self, _op: &OpContext, _object: &ObjectId) -> Result<(), BackendError> {
        Ok(())
    }

    /// Starts an object that was stopped, under the definition that it was made with.
    async fn start(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError>;

    /// Stops an object gracefully and keeps it, so that it can be started again. Returns once
    /// nothing of it runs.
    async fn stop(&self, op: &OpContext, object: &ObjectId) -> Result<(), BackendError>;

    /// Stops an object and starts it again, stamped with the op-id and the instance's revision.
    async fn restart(&self, op: &OpContext, object: &ObjectId, instance: &Instance) -> Result<(), BackendError>;

    /// Stops an object gracefully if it runs, and removes it and its log; `volumes` says whether what
    /// it kept goes too. One that is gone is fine.
    async fn remove(&self, op: &OpContext, object: &ObjectId, volumes: bool) -> Result<(), BackendError>;
}

/// What an operation is part of.
#[derive(Debug, Clone)]
pub struct OpContext {
    /// The instance.
    pub address: Address,
    /// The attempt; it is stamped into what is made.
    pub op_id: OpId,
    /// Where the backend says how far it is with what takes long.
    pub progress: ProgressSink,
    /// How long the machine waits, after this operation, to be told that it can still be reached
    /// ([`Operator::confirm`]); then it goes back by itself.
    pub confirm: Option<Duration>,
}

/// What a backend has of a project.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Its objects, in no particular order.
    pub objects: Vec<ObservedObject>,
    /// The machines that could not be asked, by name, and why.
    pub unreachable: BTreeMap<String, BackendError>,
}

impl From<Vec<ObservedObject>> for Listing {
    fn from(objects: Vec<ObservedObject>) -> Self {
        Self { objects, unreachable: BTreeMap::new() }
    }
}

/// What the image of each service stands for, or why that is not known.
pub type PinAnswers = BTreeMap<ServiceName, Result<String, BackendError>>;

/// What each service is in full, or why that is not known.
pub type Renderings = BTreeMap<ServiceName, Result<Spec, BackendError>>;

/// What runs without being orch's and could be instances.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// At most one for each instance.
    pub found: Vec<Candidate>,
    /// Instances that several could be, or that share what could be either.
    pub unclear: Vec<Unclear>,
}

/// Something that runs without being orch's and could be an instance.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The instance that it would become.
    pub address: Address,
    /// What it is matched by, as a fragment: `label com.docker.compose.service=web`.
    pub matched_by: String,
    /// What the backend calls it, for a person.
    pub name: String,
    /// What the backend calls it.
    pub id: ObjectId,
    /// Which incarnation runs, as in [`ObservedObject::incarnation`].
    pub incarnation: Option<String>,
    /// What it runs as, in the words of the file where it is as the file wants it.
    pub spec: Spec,
    /// What its image stands for, where it has one.
    pub pin: Option<String>,
    /// What it has that a file cannot say, by name.
    pub beyond: Vec<String>,
}

/// An instance that several could be, or that shares what could be either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// The instance.
    pub address: Address,
    /// What they are matched by.
    pub matched_by: String,
    /// What the backend calls them, for a person.
    pub names: Vec<String>,
}

/// Why a backend could not do what it was asked. The message says what it was doing to what; the
/// caller adds the service and the host.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct BackendError {
    /// What went wrong, as a fragment: `cannot start /opt/api: no such file or directory`.
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// What was made before it went wrong, where there is something: its state and its log are evidence.
    pub object: Option<ObjectId>,
}

impl BackendError {
    /// An error without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, object: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error about an object that was made before it went wrong.
    #[must_use]
    pub fn about(self, object: ObjectId) -> Self {
        Self { object: Some(object), ..self }
    }
}

/// The backends of this project, to look with.
#[derive(Clone, Default)]
pub struct Observers(BTreeMap<BackendKind, Arc<dyn Observer>>);

/// The backends of this project, to change with.
#[derive(Clone, Default)]
pub struct Operators(BTreeMap<BackendKind, Arc<dyn Operator>>);

impl Observers {
    /// Adds a backend.
    #[must_use]
    pub fn with(mut self, kind: BackendKind, backend: Arc<dyn Observer>) -> Self {
        self.0.insert(kind, backend);
        self
    }

    /// The backend of a kind; `None` where nothing runs, as for `external`.
    #[must_use]
    pub fn get(&self, kind: BackendKind) -> Option<&Arc<dyn Observer>> {
        self.0.get(&kind)
    }

    /// Every backend, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (BackendKind, &Arc<dyn Observer>)> {
        self.0.iter().map(|(kind, backend)| (*kind, backend))
    }
}

impl Operators {
    /// Adds a backend.
    #[must_use]
    pub fn with(mut self, kind: BackendKind, backend: Arc<dyn Operator>) -> Self {
        self.0.insert(kind, backend);
        self
    }

    /// The backend of a kind; `None` where nothing runs, as for `external`.
    #[must_use]
    pub fn get(&self, kind: BackendKind) -> Option<&Arc<dyn Operator>> {
        self.0.get(&kind)
    }
}
