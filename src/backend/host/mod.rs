//! Reaches the machines that services run on, with nothing installed there but a POSIX shell.
//!
//! [`Hosts`] hands out one [`Shell`] for each machine. A shell runs scripts, uploads files and connects
//! to ports, on this machine or through one shared OpenSSH connection to another one.

mod control;
mod exec;
mod facts;
mod local;
mod master;
mod mux;
mod process;
mod remote;
mod script;
mod slot;
mod stream;
mod trouble;
mod upload;

pub use facts::{Facts, Root};
pub use script::{Output, Script};
pub use slot::{STORE, Slot, Stamp, USER_STORE};
pub use stream::Lines;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use self::control::Control;
use self::process::{Intake, Lost, Process, Ran, refusal};
use self::remote::{Remote, Use};
use super::{BackendError, Connection, ExecRequest, ProgressSink};
use crate::model::{Digest, Place};

/// The machines of a project; cheap to clone. Connects to one when its shell is first used, and ends the
/// connections when the last clone and the last shell are dropped.
#[derive(Clone, Default)]
pub struct Hosts(Arc<Inner>);

#[derive(Default)]
struct Inner {
    shells: Mutex<BTreeMap<Place, Arc<Shell>>>,
    control: Arc<Control>,
}

/// What reaches one machine.
pub struct Shell {
    place: Place,
    /// `None` for this machine.
    remote: Option<Remote>,
    facts: tokio::sync::Mutex<Option<Arc<Facts>>>,
}

/// As whom a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// As the user who logs in.
    Login,
    /// As root: through `sudo -n` where the user is another one, and as that user where the machine says `sudo: false`.
    Root,
}

impl Hosts {
    /// The shell of a machine.
    #[must_use]
    pub fn on(&self, place: &Place) -> Arc<Shell> {
        let mut shells = self.0.shells.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Shell::new(place.clone(), &self.0.control));
        shells.entry(place.clone()).or_insert_with(make).clone()
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hosts")
    }
}

impl Shell {
    fn new(place: Place, control: &Arc<Control>) -> Self {
        let remote = place.machine().map(|machine| Remote::new(machine.clone(), control.clone()));
        Self { place, remote, facts: tokio::sync::Mutex::default() }
    }

    /// The machine.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether who logs in is root, as far as that is known without asking.
    #[must_use]
    pub fn is_root(&self) -> bool {
        match &self.remote {
            None => rustix::process::geteuid().is_root(),
            Some(remote) => remote.is_root(),
        }
    }

    /// Runs a script to its end. When the connection turns out to be dead before the script was sent, it is sent
    /// over another one; a script that may have begun is never sent twice.
    ///
    /// # Errors
    /// When the machine cannot be reached, the rights cannot be had, the script does not end in its time, or the
    /// connection is lost while it runs. A script that ends with another exit code than 0 is an [`Output`], not
    /// an error.
    pub async fn run(&self, rights: Rights, script: &Script) -> Result<Output, BackendError> {
        let process = self.start(rights, Intake::Whole, Use::Script).await?;
        self.finish(rights, script, process.run(script)).await
    }

    /// Runs a script over a connection made for it alone: that it runs shows that the machine can be reached now.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn reach_anew(&self, rights: Rights, script: &Script) -> Result<Output, BackendError> {
        let Some(remote) = &self.remote else { return self.run(rights, script).await };
        let process = remote.start_anew(rights, Intake::Whole).await?;
        let ran = async {
            let ran = process.run(script).await;
            // `ssh` itself ends with 255.
            if matches!(ran.code, Ok(255)) && !ran.has_begun {
                return Err(remote.explain(&ran.output.stderr));
            }
            Ok(ran)
        };
        match tokio::time::timeout(script.timeout(), ran).await {
            Ok(ran) => self.judge(rights, ran?),
            Err(_) => Err(self.too_slow(script)),
        }
    }

    /// Puts a file of this machine at the absolute path `to` of the machine, whole or not at all: its content is
    /// checked against `sha256` there before it gets its name. Its folder must be there.
    ///
    /// # Errors
    /// When the file cannot be read, does not have that digest, or the machine has no room for it; what was at
    /// `to` is then still there.
    pub async fn upload(
        &self,
        rights: Rights,
        from: &Path,
        to: &str,
        mode: u32,
        sha256: Digest,
        progress: &ProgressSink,
    ) -> Result<(), BackendError> {
        upload::upload(self, rights, &upload::Upload { from, to, mode, sha256 }, progress).await
    }

    /// What the machine is and has. Asked once, and again when the machine had to be reached again.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub async fn facts(&self) -> Result<Arc<Facts>, BackendError> {
        let mut known = self.facts.lock().await;
        let generation = self.generation();
        if let Some(facts) = known.as_ref().filter(|facts| facts.generation == generation) {
            return Ok(facts.clone());
        }
        let facts = Arc::new(facts::ask(self).await?);
        *known = Some(facts.clone());
        Ok(facts)
    }

    /// The lines that a script prints, as it prints them. The script ends when they are dropped: it, and what it
    /// started in its process group, get SIGTERM. Its time limit is for its start.
    ///
    /// # Errors
    /// When the machine cannot be reached or the rights cannot be had. A script that fails ends the lines with an
    /// error.
    pub async fn stream(&self, rights: Rights, script: &Script) -> Result<Lines, BackendError> {
        stream::stream(self, rights, script).await
    }

    /// Runs a script with the input and output of a request, and waits for it; its exit code. What the command is,
    /// and as whom and where it runs, the script knows from its values. Its time limit is for its start.
    ///
    /// # Errors
    /// When the machine cannot be reached, the rights cannot be had, or a terminal is asked for.
    pub async fn exec(&self, rights: Rights, script: &Script, request: ExecRequest) -> Result<i32, BackendError> {
        exec::exec(self, rights, script, request).await
    }

    /// How many channels one connection to the machine has at the same time, up to `most`.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub async fn channels(&self, most: usize) -> Result<usize, BackendError> {
        match &self.remote {
            None => Ok(most),
            Some(remote) => remote.channels(most).await,
        }
    }

    /// Connects to a port as from the machine itself: `localhost` is the machine.
    ///
    /// # Errors
    /// When the machine cannot be reached, or nothing accepts there.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Connection, BackendError> {
        match &self.remote {
            None => local::dial(host, port).await,
            Some(remote) => remote.dial(host, port).await,
        }
    }

    /// Makes the connection, where there is none.
    async fn connect(&self) -> Result<(), BackendError> {
        match &self.remote {
            None => Ok(()),
            Some(remote) => remote.master().await.map(drop),
        }
    }

    fn generation(&self) -> u64 {
        self.remote.as_ref().map_or(0, Remote::generation)
    }

    async fn start(&self, rights: Rights, intake: Intake, what: Use) -> Result<Process, BackendError> {
        match &self.remote {
            None => local::start(rights, intake),
            Some(remote) => remote.start(rights, intake, what).await,
        }
    }

    async fn finish(
        &self,
        rights: Rights,
        script: &Script,
        ran: impl Future<Output = Ran>,
    ) -> Result<Output, BackendError> {
        match tokio::time::timeout(script.timeout(), ran).await {
            Ok(ran) => self.judge(rights, ran),
            Err(_) => Err(self.too_slow(script)),
        }
    }

    /// What became of a script.
    fn judge(&self, rights: Rights, ran: Ran) -> Result<Output, BackendError> {
        match ran.code {
            Ok(code) if ran.has_begun => Ok(Output { code, ..ran.output }),
            Ok(code) => Err(self.refusal(rights, Some(code), &ran.output.stderr)),
            Err(lost) => Err(self.lost(lost, ran.has_begun)),
        }
    }

    /// Why a shell that ended did not run its script.
    fn refused(&self, rights: Rights, (code, said): (Result<i32, Lost>, String)) -> BackendError {
        match code {
            Ok(code) => self.refusal(rights, Some(code), &said),
            Err(lost) => self.lost(lost, false),
        }
    }

    fn refusal(&self, rights: Rights, code: Option<i32>, said: &str) -> BackendError {
        let rights = self.remote.as_ref().map_or(rights, |remote| remote.rights(rights));
        refusal(&self.place, rights, code, said)
    }

    fn lost(&self, lost: Lost, has_begun: bool) -> BackendError {
        let done = if has_begun { "while a script ran there" } else { "before a script there said that it begins" };
        let told = match lost {
            Lost::Gone(None) => format!("lost the connection to {} {done}", self.place),
            Lost::Gone(Some(why)) => format!("lost the connection to {} {done}: {why}", self.place),
            Lost::Killed => format!("a signal ended a shell on {} {done}", self.place),
            Lost::Failed(why) => format!("lost the connection to {} {done}: {why}", self.place),
        };
        BackendError::new(told)
            .with_hint("it may have done its work or not: plan again, which looks at what is there first")
    }

    fn too_slow(&self, script: &Script) -> BackendError {
        let limit = script.timeout();
        BackendError::new(format!("a script on {} did not end within {limit:?}", self.place))
            .with_hint("it may still run there: plan again when the machine answers as usual")
    }
}
