//! The supervisor of one process: a small process of its own that outlives orch.
//!
//! It owns the log pipe and its rotation, the exit status, the restart policy and the stop
//! escalation. Its lock, which it inherits from orch as its standard error, proves that it lives. It
//! keeps the program with its secrets in memory only, and stays when the service is stopped, so a
//! rollback starts the old version again within milliseconds.
//!
//! Everything the program starts descends from the supervisor, which is a subreaper: it has no
//! children left exactly when nothing of the service runs, whatever forked twice or changed its
//! session. Whatever happens to orch, it carries on: a launch that was cut off starts nothing and
//! takes its folder away, a request that was cut off was never made, and one that was complete is
//! carried out whether or not anyone waits for the answer.

mod child;
mod clients;
mod log;
mod policy;
mod run;
mod signals;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::folder::{Anchor, Folder};
use super::wire::{self, Failure, Reply};
use crate::sys::ProcessStat;
use rustix::process::Pid;
use signals::Signals;

/// The hidden verb that runs a supervisor.
pub(super) const SUPERVISE_VERB: &str = "__supervise";

/// Runs a hidden verb of the process backend if that is what the arguments ask for.
///
/// `main` calls it before anything else. `None` means that the arguments are an ordinary command line.
pub fn supervise(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.into_iter().skip(1);
    let verb = args.next()?;
    if verb == child::LAUNCH_VERB {
        return Some(child::launch());
    }
    if verb != SUPERVISE_VERB {
        return None;
    }
    let folder = PathBuf::from(args.next()?);
    Some(run(folder))
}

fn run(path: PathBuf) -> ExitCode {
    let Ok(signals) = Signals::install() else { return ExitCode::FAILURE };
    leave_session();
    signals.forget();
    let launch = child::read_launch(std::io::stdin());
    let Ok(anchor) = Anchor::open(&path) else { return ExitCode::FAILURE };
    // A folder that a supervisor keeps as its working directory could not be unmounted.
    let _ = std::env::set_current_dir("/");
    let folder = Folder::at(anchor.path());
    let Some(launch) = launch else {
        // orch died before it had said what to run. Nothing ran, so nothing stays.
        let _ = Folder::at(path).remove();
        return ExitCode::FAILURE;
    };
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    match run::Supervisor::start(launch, anchor, folder, signals) {
        Ok(supervisor) => {
            answer(&Ok(()));
            supervisor.run();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // Before the answer: whoever reads it finds nothing left.
            let _ = Folder::at(path).remove();
            answer(&Err(failure));
            ExitCode::FAILURE
        }
    }
}

/// Leaves orch's terminal. orch made this process the leader of a group of its own, so that a Ctrl-C
/// never reaches it; a leader cannot start a session, so it goes back to orch's group for an instant,
/// with its signal handlers in place. Where orch is already gone it stays a group of its own; where
/// orch's group is outside this pid namespace, orch made no group either ([`ProcessStat::group`]).
fn leave_session() {
    if rustix::process::setsid().is_ok() {
        return;
    }
    let group = rustix::process::getppid()
        .and_then(|parent| ProcessStat::of(parent.as_raw_nonzero().get().unsigned_abs()))
        .and_then(|parent| Pid::from_raw(i32::try_from(parent.group).ok()?));
    if rustix::process::setpgid(None, group).is_ok() {
        let _ = rustix::process::setsid();
    }
}

/// Tells orch how the launch went, and lets go of its pipes: it waits for nothing more, and a pipe
/// kept open would keep whoever reads orch's own output waiting.
fn answer(reply: &Reply) {
    let mut stdout = std::io::stdout();
    // orch may be gone, which changes nothing about the service.
    let _ = stdout.write_all(&wire::line(reply).unwrap_or_default()).and_then(|()| stdout.flush());
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// A failure of the supervisor itself rather than of the program.
fn own_failure(doing: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the supervisor cannot {doing}: {error}"))
        .with_hint("check that the state folder is writable and has room")
}
