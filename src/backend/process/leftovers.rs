//! Ending what a supervisor that was killed left running.
//!
//! A process is taken for ours only on proof: it is in the object's control group, or it was started
//! with the object's op-id and folder in its environment, or it is the very process that was recorded
//! (boot, pid and start time), or it belongs to that one while that one lives. The proof is read again
//! after the process was pinned by a handle, so a reused pid is never signalled. What was recorded in
//! another folder, of which this one is a copy, proves nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::folder::Folder;
use super::wire::{OP_ID_VARIABLE, Place, Stamp, Status, was_started_for};
use super::{cgroup, control, signal_of};
use crate::backend::BackendError;
use crate::sys::{ProcessHandle, ProcessStat, boot_id, descendants, processes};

/// How long processes may take to end where the object does not say.
const GRACE: Duration = Duration::from_secs(10);

/// How long the kernel may take to end what was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Ends all that is left of the object in a folder, which nobody supervises. A folder that cannot be
/// read is searched for by its name alone.
pub(super) fn end_of(folder: &Folder) -> Result<(), BackendError> {
    let id = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = folder.place().map_err(|error| control::unreadable(folder, &error))?;
    let stamp = folder.stamp().ok().flatten();
    let status = folder.status().ok().flatten().filter(|status| status.place == place);
    end(&id, &place, stamp.as_ref(), status.as_ref())
}

/// Ends all that is left of an object that nobody supervises: the stop signal, the time that its
/// policy gives it, then SIGKILL. Returns once nothing of it runs.
fn end(id: &str, place: &Place, stamp: Option<&Stamp>, status: Option<&Status>) -> Result<(), BackendError> {
    if status.is_some_and(|status| boot_id().as_deref() != Some(&status.supervisor.boot_id)) {
        // Nothing lives through a reboot.
        return Ok(());
    }
    let cgroup = status.and_then(|status| status.cgroup.as_deref());
    if status.is_none_or(Status::may_leave_processes) {
        let signal = status.map_or(Signal::TERM, |status| signal_of(status.policy.stop_signal));
        let grace = status.map_or(GRACE, |status| status.policy.stop_timeout);
        let search = Search { place, ids: op_ids(id, stamp, status), status, cgroup };
        for process in search.find() {
            process.signal(signal);
        }
        crate::crash_point!("process.leftovers.asked");
        if !search.wait(grace, || {}) {
            let kill = || {
                if let Some(group) = cgroup {
                    cgroup::kill(group);
                }
                for process in search.find() {
                    process.signal(Signal::KILL);
                }
            };
            if !search.wait(KILL_PATIENCE, kill) {
                return Err(BackendError::new("processes that its supervisor left behind do not end")
                    .with_hint(format!("look for processes with {OP_ID_VARIABLE}={id} that wait for a device")));
            }
        }
    }
    if let Some(group) = cgroup {
        cgroup::remove(group);
    }
    Ok(())
}

fn op_ids(id: &str, stamp: Option<&Stamp>, status: Option<&Status>) -> Vec<String> {
    let stamps = stamp.into_iter().chain(status.map(|status| &status.stamp));
    let mut ids: Vec<String> = stamps.map(|stamp| stamp.op_id.to_string()).collect();
    ids.push(id.to_owned());
    ids
}

struct Search<'a> {
    place: &'a Place,
    ids: Vec<String>,
    status: Option<&'a Status>,
    cgroup: Option<&'a Path>,
}

impl Search<'_> {
    /// What is left now, each pinned.
    fn find(&self) -> Vec<ProcessHandle> {
        let all = processes();
        let candidates = self.candidates(&all);
        let pinned: Vec<(ProcessStat, ProcessHandle)> = candidates
            .into_iter()
            .filter_map(|process| Some((process, ProcessHandle::open(process.pid, process.start_ticks)?)))
            .collect();
        // Again: a pid may have changed hands between the look and the handle.
        let proven = self.candidates(&processes());
        pinned.into_iter().filter(|(process, _)| proven.iter().any(|p| p.pid == process.pid)).map(|(_, h)| h).collect()
    }

    fn candidates(&self, all: &[ProcessStat]) -> Vec<ProcessStat> {
        let members = self.cgroup.map(cgroup::members).unwrap_or_default();
        // The group and the children of the recorded leader mean something only while it lives.
        let leader = self.status.and_then(|status| status.child.as_ref()).filter(|leader| leader.is_alive());
        let family = leader.map(|leader| descendants(all, leader.pid)).unwrap_or_default();
        let is_ours = |process: &&ProcessStat| {
            process.pid != std::process::id()
                && process.is_alive()
                && (members.contains(&process.pid)
                    || leader.is_some_and(|leader| leader.pid == process.pid || leader.pid == process.group)
                    || family.iter().any(|member| member.pid == process.pid)
                    || was_started_for(process.pid, self.place, self.ids.iter().map(String::as_str)))
        };
        all.iter().filter(is_ours).copied().collect()
    }

    /// Waits until nothing is left, at most so long, doing `each` every time round; whether it is so.
    fn wait(&self, patience: Duration, each: impl Fn()) -> bool {
        let start = Instant::now();
        loop {
            each();
            let left = self.find();
            let Some(first) = left.first() else { return true };
            let remaining = patience.saturating_sub(start.elapsed());
            if remaining.is_zero() {
                return false;
            }
            let _ = first.wait(remaining.min(Duration::from_millis(100)));
        }
    }
}
