//! A command in a process group of its own, which has the terminal while it runs, as a shell gives it.
//!
//! In a group of its own, a Ctrl-C that is typed reaches the command alone, and a signal that orch passes on
//! reaches it once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal as NixSignal};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::ProcessStat;

/// A signal for a command.
pub use rustix::process::Signal as TerminalSignal;

/// How often it is looked whether orch, which was stopped with its command, is in the foreground again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A command that was started.
#[derive(Debug)]
pub struct Foreground {
    child: Child,
    group: CommandGroup,
    /// Whether it has the terminal that orch had.
    has_terminal: bool,
}

/// The process group of a command, for signals; they go nowhere once it has ended.
#[derive(Debug, Clone)]
pub struct CommandGroup(Arc<Mutex<Option<Pid>>>);

impl CommandGroup {
    /// Sends a signal to the command and what it started; whether it was still there.
    pub fn signal(&self, signal: Signal) -> bool {
        // Until the lock is let go the leader is not reaped, so that its number means this group.
        let group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        group.is_some_and(|group| rustix::process::kill_process_group(group, signal).is_ok())
    }
}

impl Foreground {
    /// Starts a command with orch's own standard streams and environment, and more on top of that.
    ///
    /// # Errors
    /// When it is not found or may not be run.
    pub fn start(command: &[OsString], folder: &Path, env: &BTreeMap<String, String>) -> io::Result<Self> {
        let (program, args) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        #[expect(clippy::disallowed_methods, reason = "this is the place that starts it")]
        let mut starting = std::process::Command::new(program);
        starting.args(args).current_dir(folder).envs(env).process_group(0);
        let child = starting.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        // Only who is in the foreground may give the terminal away.
        let is_in_front = tcgetpgrp(io::stdin()).is_ok_and(|front| front == rustix::process::getpgrp());
        let has_terminal = is_in_front && tcsetpgrp(io::stdin(), pid).is_ok();
        if has_terminal {
            // It may have asked for the terminal before it had it, which stops it.
            let _ = rustix::process::kill_process_group(pid, Signal::CONT);
        }
        Ok(Self { child, group: CommandGroup(Arc::new(Mutex::new(Some(pid)))), has_terminal })
    }

    /// Its process group.
    #[must_use]
    pub fn group(&self) -> CommandGroup {
        self.group.clone()
    }

    /// Waits until it has ended, and takes the terminal back. Blocks.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        loop {
            let either = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::Pid(pid), either) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(Some(status)) if status.stopped() => {
                    // Taken note of, so that the next call waits for something new.
                    let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
                    let _ = rustix::process::waitid(WaitId::Pid(pid), stopped);
                    self.stop_too(pid);
                }
                Ok(_) => break,
            }
        }
        let mut group = self.group.0.lock().unwrap_or_else(PoisonError::into_inner);
        *group = None;
        let status = self.child.wait()?;
        if self.has_terminal {
            take_back();
        }
        Ok(status)
    }

    /// Stops orch with its command (Ctrl-Z), and has both go on when the shell brings orch to the foreground again.
    fn stop_too(&self, pid: Pid) {
        if !self.has_terminal {
            return;
        }
        if !has_shell() {
            // Nobody could bring it back.
            let _ = rustix::process::kill_process_group(pid, Signal::CONT);
            return;
        }
        let own = rustix::process::getpgrp();
        let _ = rustix::process::kill_current_process_group(Signal::TSTP);
        // The terminal is the command's until the shell, which saw orch stop, has taken it and given it to orch.
        while !tcgetpgrp(io::stdin()).is_ok_and(|front| front == own) {
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = tcsetpgrp(io::stdin(), pid);
        let _ = rustix::process::kill_process_group(pid, Signal::CONT);
    }
}

/// Whether somebody in the session looks after orch as a job: its parent, in another group of it.
fn has_shell() -> bool {
    let own = ProcessStat::of(std::process::id());
    let parent = own.and_then(|own| ProcessStat::of(own.parent));
    own.zip(parent).is_some_and(|(own, parent)| own.session == parent.session && own.group != parent.group)
}

/// Takes the terminal, which a process in the background may do only while it does not hear what stops it for that.
fn take_back() {
    let mut quiet = SigSet::empty();
    quiet.add(NixSignal::SIGTTOU);
    if quiet.thread_block().is_ok() {
        // A terminal that is gone needs no care.
        let _ = tcsetpgrp(io::stdin(), rustix::process::getpgrp());
        let _ = quiet.thread_unblock();
    }
}

/// The exit code that a shell gives for how a command ended: its own, or 128 and the number of the signal.
#[must_use]
pub fn shell_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Foreground {
        let command = ["/bin/sh", "-c", script].map(OsString::from);
        let env = BTreeMap::from([("FRUIT".to_owned(), "7".to_owned())]);
        Foreground::start(&command, Path::new("/"), &env).unwrap()
    }

    #[test]
    fn a_command_ends_as_a_shell_says_it_does() {
        assert_eq!(shell_code(start("exit $FRUIT").wait().unwrap()), 7);
        assert_eq!(shell_code(start("kill -TERM $$").wait().unwrap()), 143);
        let missing = Foreground::start(&["/nonexistent/x".into()], Path::new("/"), &BTreeMap::new());
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_signal_reaches_the_whole_group_and_nobody_later() {
        let running = start("sleep 600 & wait");
        let group = running.group();
        assert!(group.signal(Signal::KILL));
        assert_eq!(shell_code(running.wait().unwrap()), 137);
        assert!(!group.signal(Signal::KILL));
    }

    #[test]
    fn a_command_that_was_stopped_is_waited_for() {
        let running = start("kill -STOP $$; exit 3");
        let (group, pid) = (running.group(), running.child.id());
        let waiting = std::thread::spawn(move || running.wait().unwrap());
        while ProcessStat::of(pid).is_some_and(|stat| stat.state != 'T') {
            std::thread::yield_now();
        }
        assert!(group.signal(Signal::CONT));
        assert_eq!(shell_code(waiting.join().unwrap()), 3);
    }
}
