//! Who on this machine listens on a port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::sys::{Listener, listeners, processes};

/// A port that something listens on.
pub(super) struct Held {
    listener: Listener,
    /// The processes that have the socket; those of other users can be seen by root only.
    pub(super) pids: Vec<u32>,
}

/// Which of these ports something listens on. Who it is costs a look at every process, so that is
/// looked up only when there is something to tell.
pub(super) fn held(wanted: &BTreeSet<u16>) -> Vec<Held> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut listeners = listeners();
    listeners.retain(|listener| wanted.contains(&listener.port));
    if listeners.is_empty() {
        return Vec::new();
    }
    let mut owners = owners(&listeners);
    let held = |listener: Listener| Held { pids: owners.remove(&listener.inode).unwrap_or_default(), listener };
    listeners.into_iter().map(held).collect()
}

impl Held {
    pub(super) fn port(&self) -> u16 {
        self.listener.port
    }

    /// Who has it, for a person: `pid 412 (python3)`.
    pub(super) fn holder(&self) -> String {
        let holder = match self.pids.first() {
            Some(&pid) => format!("pid {pid} ({})", command(pid)),
            None => "a process of another user".to_owned(),
        };
        // A listener on one address may leave another one free; the reader can tell.
        let address = self.listener.address;
        let usual = address.is_unspecified() || address == IpAddr::from(Ipv4Addr::LOCALHOST);
        if usual { holder } else { format!("{holder} on {address}") }
    }

    /// Whether a Docker engine holds it for one of its containers.
    pub(super) fn is_published(&self) -> bool {
        self.pids.iter().any(|&pid| command(pid) == "docker-proxy")
    }
}

fn command(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn owners(listeners: &[Listener]) -> BTreeMap<u64, Vec<u32>> {
    let mut owners: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for process in processes() {
        let Ok(fds) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else { continue };
        for target in fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()) {
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| listeners.iter().any(|listener| listener.inode == *inode)) {
                owners.entry(inode).or_default().push(process.pid);
            }
        }
    }
    owners
}
