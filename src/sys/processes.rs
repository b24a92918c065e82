//! The processes of this machine, read from `/proc`, and signals that reach the one that was meant.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::Identity;

/// What `/proc/PID/stat` says about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// The process id.
    pub pid: u32,
    /// `Z` for a zombie, `R`, `S`, `D` and so on.
    pub state: char,
    /// The parent.
    pub parent: u32,
    /// The process group; 0 when its leader is outside this process's pid namespace.
    pub group: u32,
    /// The session; 0 when its leader is outside this process's pid namespace.
    pub session: u32,
    /// The start time in clock ticks since boot.
    pub start_ticks: u64,
}

impl ProcessStat {
    /// Reads one process; `None` when there is none with this pid.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The command name, in parentheses, may hold anything, so the fields are counted from its end.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        Some(Self { pid, state, parent, group, session, start_ticks: fields.nth(15)?.parse().ok()? })
    }

    /// Whether it runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// Every process that this process may see, in no particular order. It is not one instant: a
/// process may come or go during the scan, so whoever wants all of a kind asks until none is left.
#[must_use]
pub fn processes() -> Vec<ProcessStat> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(ProcessStat::of).collect()
}

/// Those of `all` that descend from a process, in no particular order, without itself.
#[must_use]
pub fn descendants(all: &[ProcessStat], of: u32) -> Vec<ProcessStat> {
    let mut found: Vec<ProcessStat> = Vec::new();
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent && process.pid != of) {
            // A scan is not one instant, so it may hold a cycle.
            if !found.iter().any(|known| known.pid == process.pid) {
                parents.push(process.pid);
                found.push(*process);
            }
        }
    }
    found
}

/// The value of a variable in the environment that a process was started with; `None` when it has
/// none or may not be read.
#[must_use]
pub fn environment_of(pid: u32, variable: &str) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environ.split(|byte| *byte == 0).find_map(|entry| {
        let (name, value) = entry.split_at_checked(variable.len())?;
        (name == variable.as_bytes()).then(|| value.strip_prefix(b"="))?
    })?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// A handle on one process that no other process can take over, whatever becomes of its pid.
#[derive(Debug)]
pub struct ProcessHandle {
    fd: OwnedFd,
}

impl ProcessHandle {
    /// Opens the process that has this pid and started at this tick; `None` when there is none.
    /// The handle is opened before the check, so the process that was checked is the one it holds.
    #[must_use]
    pub fn open(pid: u32, start_ticks: u64) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let fd = rustix::process::pidfd_open(raw, PidfdFlags::empty()).ok()?;
        let stat = ProcessStat::of(pid)?;
        (stat.start_ticks == start_ticks && stat.is_alive()).then_some(Self { fd })
    }

    /// Opens exactly this process; `None` when it is gone or the machine was booted since.
    #[must_use]
    pub fn of(identity: &Identity) -> Option<Self> {
        if super::boot_id().as_deref() != Some(&identity.boot_id) {
            return None;
        }
        Self::open(identity.pid, identity.start_ticks)
    }

    /// Sends a signal; whether it was delivered. A process that has ended is not an error.
    pub fn signal(&self, signal: Signal) -> bool {
        rustix::process::pidfd_send_signal(&self.fd, signal).is_ok()
    }

    /// Waits until the process has ended, at most `timeout`; whether it has.
    #[must_use]
    pub fn wait(&self, timeout: std::time::Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        matches!(rustix::event::poll(&mut fds, timeout.as_ref()), Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_under_its_parent() {
        let own = ProcessStat::of(std::process::id()).unwrap();
        let all = processes();
        assert!(descendants(&all, own.parent).iter().any(|process| process.pid == own.pid));
        assert!(!descendants(&all, own.pid).iter().any(|process| process.pid == own.pid));
        assert!(environment_of(own.pid, "PATH").is_some());
        assert!(environment_of(own.pid, "PAT").is_none());
    }

    #[test]
    fn a_handle_is_refused_for_another_start() {
        let own = ProcessStat::of(std::process::id()).unwrap();
        assert!(ProcessHandle::open(own.pid, own.start_ticks).is_some());
        assert!(ProcessHandle::open(own.pid, own.start_ticks + 1).is_none());
    }
}
