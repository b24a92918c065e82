//! The signals of a supervisor, as something to poll.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;
use signal_hook::consts::signal::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};

/// What a terminal or a careless `kill` may send; it must not end or stop a supervisor.
const IGNORED: [i32; 7] = [SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2];

/// The signals of this process.
pub(super) struct Signals {
    /// Readable when a signal came.
    pub(super) pipe: PipeReader,
    end: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over the signals. What is started later gets the default handlers back by its exec.
    pub(super) fn install() -> io::Result<Self> {
        let (pipe, writer) = io::pipe()?;
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK)?;
        let end = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // The flag first, so that it is set when the pipe wakes the loop.
            signal_hook::flag::register(signal, end.clone())?;
            signal_hook::low_level::pipe::register(signal, OwnedFd::from(writer.try_clone()?))?;
        }
        signal_hook::low_level::pipe::register(SIGCHLD, OwnedFd::from(writer))?;
        for signal in IGNORED {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        Ok(Self { pipe, end })
    }

    /// Forgets what came before; used once, for what was meant for orch's process group.
    pub(super) fn forget(&self) {
        self.end.store(false, Ordering::SeqCst);
    }

    /// Empties the pipe; whether the supervisor was asked to end since the last time.
    pub(super) fn take_end(&mut self) -> bool {
        let mut buffer = [0; 64];
        while matches!(self.pipe.read(&mut buffer), Ok(1..)) {}
        self.end.swap(false, Ordering::SeqCst)
    }
}
