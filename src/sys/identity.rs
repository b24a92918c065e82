//! Which process a pid means. A pid alone is reused by the kernel and means nothing.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::processes::ProcessStat;

/// The identity of a process: the boot it lives in, its pid, and when in that boot it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Identity {
    /// The kernel's boot id.
    pub boot_id: String,
    /// The process id.
    pub pid: u32,
    /// The start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

impl Identity {
    /// The identity of a process that runs now; `None` when there is none with this pid.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { boot_id: boot_id()?, pid, start_ticks: ProcessStat::of(pid)?.start_ticks })
    }

    /// The identity of this process.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// Whether exactly this process still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        boot_id().as_deref() == Some(&self.boot_id)
            && ProcessStat::of(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && stat.is_alive())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.boot_id, self.pid, self.start_ticks)
    }
}

/// The kernel's boot id; `None` where `/proc` is not mounted.
#[must_use]
pub fn boot_id() -> Option<String> {
    // A process does not live through a boot, so one look is enough.
    static BOOT_ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    };
    BOOT_ID.get_or_init(read).clone()
}

/// The name of this machine; `localhost` where `/proc` is not mounted.
#[must_use]
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// The name of the user that this process runs as, or the number where there is no name.
#[must_use]
pub fn user() -> String {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_another_start_does_not() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_ticks: own.start_ticks + 1, ..own.clone() }.is_alive());
        assert!(!Identity { boot_id: "another".into(), ..own }.is_alive());
    }
}
