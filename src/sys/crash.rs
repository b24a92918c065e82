//! Crash points: the boundaries at which a test kills a real run.
//!
//! They are compiled in with the feature `failpoints` only. `FAILPOINTS="journal.begin.synced=return"`
//! kills the process with SIGKILL when it first reaches that point, and
//! `FAILPOINTS="journal.begin.synced=2*off->return"` when it reaches it for the third time. A run with `ORCH_PASSED=FILE`
//! writes there which points it passes, a line for each, so that a test need not kill at what is never reached.

/// Every crash point, in the order in which a run meets them; tests kill a run at each.
pub const CRASH_POINTS: &[&str] = &[
    "lock.taken",
    "lock.written",
    "run.started.written",
    "journal.run_begin.before",
    "journal.run_begin.written",
    "journal.run_begin.synced",
    "journal.begin.before",
    "journal.begin.written",
    "journal.begin.synced",
    "step.operation.before",
    "step.operation.after",
    "step.rollback.before",
    "step.undo.before",
    "step.undo.end.before",
    "step.after.before",
    "step.end.before",
    "step.end.after",
    "journal.end.before",
    "journal.end.written",
    "journal.end.synced",
    "journal.run_end.before",
    "journal.run_end.written",
    "journal.run_end.synced",
    "state.temporary_written",
    "state.previous_kept",
    "state.renamed",
    "state.synced",
    "journal.emptied",
    "run.ended.written",
    "lock.released",
    "managed.made",
    "managed.applied",
    "managed.ended",
    "managed.destroyed",
    "managed.renamed",
    "process.create.folder",
    "process.create.spawned",
    "process.create.sent",
    "process.create.acked",
    "process.update.sent",
    "process.update.done",
    "process.start.sent",
    "process.start.done",
    "process.stop.sent",
    "process.stop.done",
    "process.restart.sent",
    "process.restart.done",
    "process.leftovers.asked",
    "process.again.ended",
    "process.again.cleared",
    "process.remove.sent",
    "process.remove.stopped",
    "process.remove.done",
    "docker.pull.before",
    "docker.pull.layer",
    "docker.pull.after",
    "docker.create.parked",
    "docker.create.before",
    "docker.create.made",
    "docker.create.started",
    "docker.update.limits",
    "docker.update.done",
    "docker.start.before",
    "docker.start.done",
    "docker.stop.before",
    "docker.stop.done",
    "docker.restart.before",
    "docker.restart.done",
    "docker.remove.stopped",
    "docker.remove.removed",
    "docker.remove.volume",
    "docker.network.before",
    "docker.network.made",
    "docker.network.emptied",
    "docker.network.removed",
    "compose.up.before",
    "compose.up.started",
    "compose.up.done",
    "compose.start.done",
    "compose.stop.before",
    "compose.stop.done",
    "compose.restart.stopped",
    "compose.remove.before",
    "compose.remove.done",
    "compose.revert.before",
    "compose.revert.done",
    "systemd.place.before",
    "systemd.place.after",
    "ssh.place.before",
    "ssh.place.after",
    "package.prepare.claimed",
    "package.prepare.uploaded",
    "package.prepare.unpacked",
    "package.switch.before",
    "package.switch.done",
    "package.update.done",
    "package.restart.done",
    "package.revert.before",
    "package.revert.done",
    "package.remove.done",
    "helm.upgrade.before",
    "helm.marked",
    "helm.begun",
    "helm.ended",
    "helm.upgrade.done",
    "helm.update.done",
    "helm.restart.done",
    "helm.pending.before",
    "helm.pending.done",
    "helm.rollback.before",
    "helm.rollback.done",
    "helm.rollback.stamped",
    "helm.uninstall.before",
    "helm.uninstall.done",
    "kubernetes.namespaces",
    "kubernetes.begun",
    "kubernetes.applied",
    "kubernetes.pruned",
    "kubernetes.ended",
    "kubernetes.revert.before",
    "kubernetes.stop.begun",
    "kubernetes.stop.ended",
    "kubernetes.remove.deleted",
    "kubernetes.remove.done",
    "wireguard.begun",
    "wireguard.ended",
    "wireguard.settled",
    "wireguard.remove.down",
    "wireguard.remove.done",
];

/// Kills this process as `kill -9` does: no destructor, no handler, no flush.
pub fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// Writes down that a point is passed, where a test asks for it.
#[cfg(feature = "failpoints")]
#[expect(clippy::disallowed_methods, reason = "only tests ask for it, as they do with FAILPOINTS")]
pub fn passes(point: &str) {
    use std::io::Write;
    let Some(path) = std::env::var_os("ORCH_PASSED") else { return };
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(format!("{point}\n").as_bytes());
    }
}

/// Marks a boundary at which a test may kill the run.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_point {
    ($name:expr) => {
        debug_assert!($crate::sys::CRASH_POINTS.contains(&$name), "{} is not listed", $name);
        $crate::sys::passes($name);
        if fail::eval($name, |_| ()).is_some() {
            $crate::sys::die();
        }
    };
}

/// Marks a boundary at which a test may kill the run; nothing in this build.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_point {
    ($name:expr) => {};
}
