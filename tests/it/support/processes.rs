//! The processes that a project left on the machine, as the kernel knows them.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) pid: u32,
    pub(crate) supervisor: bool,
    pub(crate) command: String,
    pub(crate) environ: String,
}

/// Every supervisor whose folder is below this one, and every process that orch started there.
pub(crate) fn processes_below(folder: &Path) -> Vec<Found> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found: Vec<Found> = pids.filter_map(|pid| look(pid, folder)).collect();
    found.sort();
    found
}

fn look(pid: u32, folder: &Path) -> Option<Found> {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).ok();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', "\n");
    let (command, environ) = (text(read("cmdline")?), text(read("environ")?));
    let mut args = command.lines();
    let supervisor =
        args.nth(1) == Some("__supervise") && args.next().is_some_and(|arg| Path::new(arg).starts_with(folder));
    let started = || {
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
        environ.lines().any(|line| line.starts_with("ORCH_OP_ID=")) && cwd.is_some_and(|cwd| cwd.starts_with(folder))
    };
    // A zombie has no command line and is only waited for.
    (!command.is_empty() && (supervisor || started())).then_some(Found { pid, supervisor, command, environ })
}

/// Ends every process of a project. Each is held by a descriptor before it is looked at again, so that
/// no other process can be hit.
pub(crate) fn end_all(folder: &Path) {
    let handle = |found: &Found| -> Option<OwnedFd> {
        let handle = pidfd_open(Pid::from_raw(found.pid.try_into().ok()?)?, PidfdFlags::empty()).ok()?;
        look(found.pid, folder).map(|_| handle)
    };
    // A supervisor restarts what ends: it goes first.
    for round in [true, false] {
        for found in processes_below(folder).iter().filter(|found| found.supervisor == round) {
            if let Some(handle) = handle(found) {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    }
}
