//! `orch run`: services up, a command, services down, whatever happens in between.
//!
//! The services of a run are of a project and a state of their own ([`Managed`]), unless those that are healthy
//! already are to be used. From the moment its folder is there until that is empty again, what a run leaves when it is
//! killed is found by the next one.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use tokio::sync::mpsc;

use crate::cli::Exit;
use crate::cli::args::RunArgs;
use crate::cli::errors;
use crate::cli::run::{Approval, execute, on_wait, print, tell};
use crate::cli::session::{Session, block_on};
use crate::cli::signals;
use crate::execute::Signal;
use crate::model::ServiceName;
use crate::ops::{
    Managed, OpError, PlanOptions, Project, check_variables, command_env, keep_evidence, prepare, status,
};
use crate::plan::{Mode, Request};
use crate::report::{Verbosity, plan_human};
use crate::sys::{CommandGroup, Foreground, TerminalSignal, shell_code};

/// What a shell gives for a command that is not there.
const NOT_FOUND: u8 = 127;

/// What a shell gives for a command that may not be run.
const NOT_EXECUTABLE: u8 = 126;

type Signals = mpsc::UnboundedReceiver<Signal>;

pub(super) fn run(args: &RunArgs, session: &mut Session) -> Result<Exit, OpError> {
    // What goes to stdout is the command's.
    session.output = session.output.on_err();
    let project = session.project_to_run(args.max_parallel.map(Into::into), args.builds())?;
    session.tell_warnings(&project);
    check_variables(&project)?;
    block_on(async {
        let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
        clean_up(session, &project, &mut signals).await?;
        let managed = Managed::begin(&project, args.keep)?;
        let own = match args.reuse {
            true => None,
            false => Some(Project::open(managed.options(project.options()))?),
        };
        let run = Run { args, project: own.as_ref().unwrap_or(&project), managed: &managed };
        let ended = run.all(session, &mut signals).await;
        managed.end()?;
        ended
    })?
}

/// Takes down what runs left that were killed.
async fn clean_up(session: &mut Session, project: &Project, signals: &mut Signals) -> Result<(), OpError> {
    let (left, problems) = Managed::left_behind(project)?;
    for problem in problems {
        tell(session, &format!("Warning: what an earlier run left cannot be looked at: {problem}."))?;
    }
    for managed in left {
        tell(session, &format!("Run {} was killed: taking down what it left.", managed.project()))?;
        let opened = Project::open(managed.options(project.options()))?;
        let down = change(session, &opened, destroy(BTreeSet::new()), "destroy", None, signals).await;
        match down {
            Ok(Exit::Done) => managed.end()?,
            Ok(_) => tell(session, &still_up(&managed))?,
            Err(error) => {
                errors::report(&mut session.output, &error);
                tell(session, &still_up(&managed))?;
            }
        }
    }
    Ok(())
}

fn still_up(managed: &Managed) -> String {
    format!(
        "Something of {} is still up: `orch destroy --state-dir {}` takes it down.",
        managed.project(),
        managed.folder().display()
    )
}

fn destroy(exclude: BTreeSet<ServiceName>) -> PlanOptions {
    PlanOptions { request: Request { mode: Mode::Destroy, exclude, ..Request::default() }, ..PlanOptions::default() }
}

/// Plans and does; a signal while it is planned ends it before anything is changed.
async fn change(
    session: &mut Session,
    project: &Project,
    options: PlanOptions,
    doing: &str,
    lock_timeout: Option<std::time::Duration>,
    signals: &mut Signals,
) -> Result<Exit, OpError> {
    let lock = session.lock(doing, lock_timeout);
    let prepared = tokio::select! {
        prepared = prepare(project, &options, &lock, on_wait(session)) => prepared?,
        _ = signals.recv() => return Ok(Exit::Interrupted),
    };
    if prepared.plan().is_empty() {
        return Ok(Exit::Done);
    }
    if session.verbosity > Verbosity::Normal {
        print(session, &plan_human(prepared.plan(), session.output.look))?;
    }
    // The phases of a run share one listener, so that no signal falls between two of them.
    let (sender, receiver) = mpsc::unbounded_channel();
    let phase = execute(session, prepared, Approval::Given, false, receiver);
    tokio::pin!(phase);
    let mut heard = false;
    loop {
        tokio::select! {
            ended = &mut phase => {
                // What a signal found under way may have been all there was to do.
                let heard = heard && options.request.mode == Mode::Apply;
                return ended.map(|exit| if heard && exit == Exit::Done { Exit::Interrupted } else { exit });
            }
            Some(signal) = signals.recv() => {
                heard = true;
                // The executor hears nothing more once it has ended.
                let _ = sender.send(signal);
            }
        }
    }
}

/// How a run came to its end.
enum Ended {
    /// The command ran, and gave this exit code.
    Exited(u8),
    /// The command could not be started.
    NotStarted(u8),
    /// The services did not come up, or a signal came before the command.
    Apply(Exit),
}

/// One run.
struct Run<'r> {
    args: &'r RunArgs,
    project: &'r Project,
    managed: &'r Managed,
}

impl Run<'_> {
    async fn all(&self, session: &mut Session, signals: &mut Signals) -> Result<Exit, OpError> {
        let left = self.healthy(session).await?;
        let options = PlanOptions { leave: left.clone(), own_only: true, ..PlanOptions::of(Mode::Apply) };
        let applied = change(session, self.project, options, "run", self.args.lock_timeout, signals).await;
        crate::crash_point!("managed.applied");
        let ended = match applied {
            Ok(Exit::Done) => self.command(session, signals).await,
            Ok(exit) => Ok(Ended::Apply(exit)),
            Err(error) => Err(error),
        };
        crate::crash_point!("managed.ended");
        // Of a command that never ran there is nothing to find out from the services.
        if !matches!(ended, Ok(Ended::Exited(0) | Ended::NotStarted(_))) {
            self.keep_evidence(session).await?;
        }
        let ended = ended.map(|ended| match ended {
            Ended::Exited(0) => Exit::Done,
            Ended::Exited(code) | Ended::NotStarted(code) => Exit::OfCommand(code),
            Ended::Apply(exit) => exit,
        });
        let down = self.down(session, left, signals).await;
        match (ended, down) {
            (Err(error), Err(other)) => {
                errors::report(&mut session.output, &other);
                Err(error)
            }
            (Ok(Exit::Done), down) => down,
            (ended, Err(other)) => {
                errors::report(&mut session.output, &other);
                ended
            }
            (ended, Ok(_)) => ended,
        }
    }

    /// The services that are used as they are.
    async fn healthy(&self, session: &mut Session) -> Result<BTreeSet<ServiceName>, OpError> {
        if !self.args.reuse {
            return Ok(BTreeSet::new());
        }
        let rows = status(self.project, &[]).await?.rows;
        let unwell: BTreeSet<&ServiceName> =
            rows.iter().filter(|row| !row.is_well()).map(|row| &row.service.service).collect();
        let well = rows.iter().map(|row| &row.service.service).filter(|name| !unwell.contains(name));
        let well: BTreeSet<ServiceName> = well.cloned().collect();
        if !well.is_empty() {
            let names: Vec<&str> = well.iter().map(ServiceName::as_str).collect();
            tell(session, &format!("Used as they are: {}.", names.join(", ")))?;
        }
        Ok(well)
    }

    /// Runs the command.
    async fn command(&self, session: &mut Session, signals: &mut Signals) -> Result<Ended, OpError> {
        let mut env = tokio::select! {
            env = command_env(self.project) => env?,
            _ = signals.recv() => return Ok(Ended::Apply(Exit::Interrupted)),
        };
        let name = self.project.loaded.desired.project.to_string();
        env.variables.insert("ORCH_RUN_PROJECT".to_owned(), name);
        let state = self.project.store.dir().display().to_string();
        env.variables.insert("ORCH_RUN_STATE_DIR".to_owned(), state);
        let shown = self.args.command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ended = match Foreground::start(&self.args.command, &session.cwd, &env.variables) {
            Ok(running) => {
                let group = running.group();
                let waiting = tokio::task::spawn_blocking(move || running.wait());
                let status = passing_on(waiting, &group, signals).await;
                Ended::Exited(shell_code(status.map_err(OpError::io("wait for", &shown))?))
            }
            Err(error) => {
                tell(session, &format!("Error: cannot run {shown}: {error}"))?;
                let missing = error.kind() == io::ErrorKind::NotFound;
                Ended::NotStarted(if missing { NOT_FOUND } else { NOT_EXECUTABLE })
            }
        };
        drop(env.forwards);
        if let Ended::Exited(code @ 1..) = ended {
            tell(session, &format!("{shown} exited {code}."))?;
        }
        Ok(ended)
    }

    async fn keep_evidence(&self, session: &mut Session) -> Result<(), OpError> {
        let state = self.project.store.read()?;
        if state.records.is_empty() && state.pending.is_empty() {
            return Ok(());
        }
        let folder = self.managed.evidence();
        for problem in keep_evidence(self.project, &folder).await {
            tell(session, &format!("Warning: not all evidence is kept: {problem}."))?;
        }
        tell(session, &format!("Logs and states of the services are kept in {}.", folder.display()))
    }

    /// Takes down what was started, or says how.
    async fn down(
        &self,
        session: &mut Session,
        left: BTreeSet<ServiceName>,
        signals: &mut Signals,
    ) -> Result<Exit, OpError> {
        if self.args.keep {
            let how = match self.args.reuse {
                true => "orch destroy".to_owned(),
                false => format!("orch destroy --state-dir {}", self.managed.folder().display()),
            };
            tell(session, &format!("Everything is kept up: `{how}` takes it down."))?;
            return Ok(Exit::Done);
        }
        let recorded = self.project.store.read()?;
        // A name that is not recorded has nothing that could be left out.
        let known = |name: &ServiceName| recorded.records.keys().any(|address| address.service == *name);
        let exclude: BTreeSet<ServiceName> = left.into_iter().filter(known).collect();
        let down = change(session, self.project, destroy(exclude), "destroy", self.args.lock_timeout, signals).await;
        if !matches!(down, Ok(Exit::Done)) {
            let folder: PathBuf = self.project.store.dir().to_owned();
            let how = match self.args.reuse {
                true => "`orch destroy` takes it down".to_owned(),
                false => format!(
                    "the next `orch run` takes it down, as does `orch destroy --state-dir {}`",
                    folder.display()
                ),
            };
            tell(session, &format!("Something is still up: {how}."))?;
        }
        down
    }
}

/// Waits for the command, and passes signals on to it: the first as it is, and from the second on one that ends it.
async fn passing_on(
    mut waiting: tokio::task::JoinHandle<io::Result<ExitStatus>>,
    group: &CommandGroup,
    signals: &mut Signals,
) -> io::Result<ExitStatus> {
    let mut told = false;
    loop {
        tokio::select! {
            ended = &mut waiting => return ended.map_err(io::Error::other)?,
            Some(signal) = signals.recv() => {
                group.signal(match (told, signal) {
                    (true, _) => TerminalSignal::KILL,
                    (false, Signal::Interrupt) => TerminalSignal::INT,
                    (false, Signal::Terminate) => TerminalSignal::TERM,
                });
                told = true;
            }
        }
    }
}
