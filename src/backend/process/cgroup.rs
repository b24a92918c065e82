//! Control groups (version 2), where they are permitted: membership that no process can leave by
//! a fork, a new session or a cleared environment.
//!
//! The supervisor enters the group itself before it starts anything, so there is no instant at
//! which a child is outside. While it lives it finds its processes as their subreaper; the group is
//! for the case that it was killed, when its processes belong to nobody else.

use std::path::{Path, PathBuf};

use rustix::fs::statfs;

/// Where version 2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Makes a group of this name for an object below this process's own and enters it; `None` where that is not
/// permitted, which is usual for a user without delegation.
pub(super) fn enter(name: &str) -> Option<PathBuf> {
    let mount = MOUNTS.into_iter().map(Path::new).find(|mount| is_cgroup2(mount))?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    if own.split('/').any(|part| part == "..") {
        // Its group is outside of what this namespace may see.
        return None;
    }
    let group = mount.join(own).join(name);
    match std::fs::create_dir(&group) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return None,
        _ => {}
    }
    if write(&group, "cgroup.procs", &std::process::id().to_string()).is_none() {
        let _ = std::fs::remove_dir(&group);
        return None;
    }
    Some(group)
}

/// Leaves a group for the one above and removes it, when nothing else is in it.
pub(super) fn leave(group: &Path) {
    if let Some(above) = group.parent() {
        let _ = write(above, "cgroup.procs", &std::process::id().to_string());
    }
    remove(group);
}

/// The processes of a group and of the groups below it.
pub(super) fn members(group: &Path) -> Vec<u32> {
    let own = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut members: Vec<u32> = own.lines().filter_map(|line| line.parse().ok()).collect();
    for below in below(group) {
        members.extend(self::members(&below));
    }
    members
}

/// Kills all of a group at once. Before Linux 5.14 it does nothing, and the caller kills the
/// members one by one.
pub(super) fn kill(group: &Path) {
    let _ = write(group, "cgroup.kill", "1");
}

/// Removes a group in which nothing runs; one that is gone or still busy is left alone.
pub(super) fn remove(group: &Path) {
    for below in below(group) {
        remove(&below);
    }
    let _ = std::fs::remove_dir(group);
}

/// How many processes of a group the kernel killed for want of memory; 0 where memory is not
/// accounted.
pub(super) fn oom_kills(group: &Path) -> u64 {
    let events = std::fs::read_to_string(group.join("memory.events")).unwrap_or_default();
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

fn below(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(group) else { return Vec::new() };
    entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

fn write(group: &Path, file: &str, value: &str) -> Option<()> {
    use std::io::Write;
    // Never created: outside of a control group nothing may appear by this name.
    std::fs::OpenOptions::new().write(true).open(group.join(file)).ok()?.write_all(value.as_bytes()).ok()
}

fn is_cgroup2(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == CGROUP2_MAGIC))
}
