//! Shells on another machine, over connections that are shared, made when needed and made again when lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openssh::{Session, Stdio};
use tokio::io::BufReader;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Rights;
use super::control::Control;
use super::master::{Channel, Master, anew};
use super::mux::{self, NoForward};
use super::process::{Ending, Intake, Process, command};
use super::trouble::{Cause, Trouble, explain, no_ssh};
use crate::backend::{BackendError, Connection};
use crate::model::Machine;

/// The pauses before further tries, where another try may help.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How long a server that takes no more connections is asked again.
const BUSY: Duration = Duration::from_secs(15);
/// How long a machine that was there is waited for: it may be booting.
const REBOOT: Duration = Duration::from_secs(20);

/// How many connections in a row may turn out to be dead.
const DEAD: u32 = 3;

/// What a shell is for, which says which of the channels it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A script that ends soon.
    Script,
    /// Something of unknown length.
    Stream,
}

/// The connections to a machine.
pub(super) struct Remote {
    machine: Arc<Machine>,
    control: Arc<Control>,
    pool: Mutex<Pool>,
    /// How many times it was logged in.
    generation: AtomicU64,
}

#[derive(Default)]
struct Pool {
    /// The last one made first: scripts go there.
    masters: Vec<Arc<Master>>,
    /// Whether the machine was reached by the last that tried.
    was_there: bool,
    /// The last trouble, for all who waited while it arose.
    trouble: Option<(Instant, BackendError)>,
}

impl Remote {
    pub(super) fn new(machine: Arc<Machine>, control: Arc<Control>) -> Self {
        Self { machine, control, pool: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Starts a shell. What was not started because the connection was dead is started over a new one.
    pub(super) async fn start(&self, rights: Rights, intake: Intake, what: Use) -> Result<Process, BackendError> {
        let command = command(self.rights(rights), self.is_root(), intake);
        let mut dead = 0;
        loop {
            let (master, channel) = self.channel(what).await?;
            match open(&master.session, command).await {
                Ok(child) => return process(child, channel).ok_or_else(|| self.failed("it has no pipes")),
                Err(openssh::Error::SshMux(error)) if is_refusal(&error) => {
                    self.one_more(&master, channel, what).await?
                }
                // The shell was not even asked for, or what asked for it was not answered: it has no script yet.
                Err(openssh::Error::Disconnected | openssh::Error::SshMux(_)) if dead < DEAD => {
                    dead += 1;
                    self.forget(&master).await;
                }
                Err(error) => return Err(self.failed(&causes(&error))),
            }
        }
    }

    /// Starts a shell over a connection of its own.
    pub(super) async fn start_anew(&self, rights: Rights, intake: Intake) -> Result<Process, BackendError> {
        let _turn = self.control.turn(&self.machine).await;
        let child = anew(&self.machine, command(self.rights(rights), self.is_root(), intake)).spawn();
        let child = child.map_err(|error| no_ssh(&self.machine, &error).error)?;
        Process::of(child).ok_or_else(|| self.failed("it has no pipes"))
    }

    /// How many channels a connection has at the same time, up to `most`.
    pub(super) async fn channels(&self, most: usize) -> Result<usize, BackendError> {
        let master = self.master().await?;
        let mut open_now = Vec::new();
        while open_now.len() < most {
            match open(&master.session, command(Rights::Login, false, Intake::Whole)).await {
                Ok(child) => open_now.push(child),
                Err(openssh::Error::SshMux(error)) if is_refusal(&error) => break,
                Err(error) => return Err(self.failed(&causes(&error))),
            }
        }
        Ok(open_now.len())
    }

    /// Connects to a port as seen from the machine, through a connection that is there.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<Connection, BackendError> {
        let mut dead = 0;
        loop {
            let master = self.master().await?;
            match mux::forward(master.socket(), host, port).await {
                Ok(forward) => return Ok(Box::new(forward)),
                Err(NoForward::Refused(why)) => return Err(self.refused(&why, master.last_words().as_deref())),
                Err(NoForward::Master(error)) if dead == DEAD => return Err(self.failed(&causes(&error))),
                Err(NoForward::Master(_)) => {
                    dead += 1;
                    self.forget(&master).await;
                }
            }
        }
    }

    /// Why nothing accepted on the machine: the master tells it in its log, `channel 2: open failed: connect failed:
    /// Connection refused`, and not to who asked.
    fn refused(&self, why: &str, last: Option<&str>) -> BackendError {
        let said = last.and_then(|last| last.split_once("open failed: ")).map_or(why, |(_, said)| said);
        if said.contains("administratively prohibited") {
            return BackendError::new(format!("{} lets nothing be forwarded", self.machine))
                .with_hint("set `AllowTcpForwarding local` in its sshd_config: checks of its `localhost` need it");
        }
        let said = said.strip_prefix("connect failed: ").unwrap_or(said).to_lowercase();
        BackendError::new(said.trim_end_matches('.'))
    }

    /// What an `ssh` that ended without having run its shell said, in orch's words.
    pub(super) fn explain(&self, said: &str) -> BackendError {
        explain(&self.machine, said).error
    }

    /// A connection that lives, as far as is known.
    pub(super) async fn master(&self) -> Result<Arc<Master>, BackendError> {
        let asked = Instant::now();
        let mut pool = self.pool.lock().await;
        match pool.masters.first() {
            Some(master) => Ok(master.clone()),
            None => self.connect(&mut pool, asked).await,
        }
    }

    /// Lets go of a connection that turned out to be dead.
    pub(super) async fn forget(&self, master: &Arc<Master>) {
        self.pool.lock().await.masters.retain(|other| !Arc::ptr_eq(other, master));
    }

    /// Which login is the last.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the file says that root logs in.
    pub(super) fn is_root(&self) -> bool {
        self.machine.user.as_deref() == Some("root")
    }

    /// The rights that a script gets in fact.
    pub(super) fn rights(&self, rights: Rights) -> Rights {
        if self.machine.sudo { rights } else { Rights::Login }
    }

    /// A place among the channels of a connection. Scripts wait for one, as they end soon; what may last gets
    /// another connection when those there are have no place.
    async fn channel(&self, what: Use) -> Result<(Arc<Master>, Channel), BackendError> {
        if what == Use::Script {
            let master = self.master().await?;
            let channel = Channel::wait(&master).await;
            return channel.map(|channel| (master, channel)).ok_or_else(|| self.failed("its connection was closed"));
        }
        let asked = Instant::now();
        let mut pool = self.pool.lock().await;
        for master in &pool.masters {
            if let Some(channel) = Channel::stream(master) {
                return Ok((master.clone(), channel));
            }
        }
        let master = self.connect(&mut pool, asked).await?;
        let channel = Channel::stream(&master);
        channel.map(|channel| (master, channel)).ok_or_else(|| self.failed("its connection was closed"))
    }

    /// Makes a connection. One at a time for a machine, so that whoever waits for it shares it, or the trouble.
    async fn connect(&self, pool: &mut Pool, asked: Instant) -> Result<Arc<Master>, BackendError> {
        if let Some((at, error)) = &pool.trouble
            && *at >= asked
        {
            return Err(error.clone());
        }
        let was_there = std::mem::take(&mut pool.was_there);
        match self.log_in(was_there).await {
            Ok(master) => {
                let master = Arc::new(master);
                pool.was_there = true;
                self.generation.fetch_add(1, Ordering::Relaxed);
                pool.masters.insert(0, master.clone());
                Ok(master)
            }
            Err(trouble) => {
                pool.trouble = Some((Instant::now(), trouble.error.clone()));
                Err(trouble.error)
            }
        }
    }

    async fn log_in(&self, was_there: bool) -> Result<Master, Trouble> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let turn = self.control.turn(&self.machine).await;
            let socket = self.control.socket().map_err(|error| self.no_folder(&error))?;
            let trouble = match Master::launch(&self.machine, &self.control, socket).await {
                Ok(master) => return Ok(master),
                Err(trouble) => trouble,
            };
            drop(turn);
            let patience = match trouble.cause {
                Cause::Setup => Duration::ZERO,
                _ if was_there => REBOOT,
                Cause::Busy => BUSY,
                Cause::Away => Duration::ZERO,
            };
            if began.elapsed() + pause > patience {
                return Err(trouble);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The server lets a connection have fewer channels than a stock one: makes another connection.
    async fn one_more(&self, full: &Arc<Master>, channel: Channel, what: Use) -> Result<(), BackendError> {
        if !full.is_busy() {
            return Err(self.failed("its server opens no session").with_hint(
                "see `MaxSessions` in its sshd_config, which is 10 where nobody changed it; \
                 0 lets nothing share a connection",
            ));
        }
        if what == Use::Stream {
            channel.forget();
        }
        let asked = Instant::now();
        let mut pool = self.pool.lock().await;
        if pool.masters.first().is_some_and(|first| Arc::ptr_eq(first, full)) {
            self.connect(&mut pool, asked).await?;
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> BackendError {
        BackendError::new(format!("cannot reach {}: {what}", self.machine))
    }

    fn no_folder(&self, error: &std::io::Error) -> Trouble {
        let error = self.failed(&format!("cannot make a folder for its connection: {error}"));
        Trouble { cause: Cause::Setup, error }
    }
}

async fn open(session: &Arc<Session>, command: &str) -> Result<openssh::Child<Arc<Session>>, openssh::Error> {
    let mut command = session.clone().arc_raw_command(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().await
}

fn process(mut child: openssh::Child<Arc<Session>>, channel: Channel) -> Option<Process> {
    let (stdin, stdout, stderr) = (child.stdin().take()?, child.stdout().take()?, child.stderr().take()?);
    Some(Process {
        stdin: Some(Box::pin(stdin)),
        stdout: BufReader::new(Box::pin(stdout)),
        stderr: Box::pin(stderr),
        ending: Ending::Channel { child, channel },
    })
}

/// Whether the server refused a channel, which the master passes on.
fn is_refusal(error: &impl std::fmt::Display) -> bool {
    error.to_string().contains("refused")
}

/// An error with all its causes, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
