//! Who listens on a port that an instance is about to take.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::wire::{OP_ID_VARIABLE, PLACE_VARIABLE, Status};
use crate::model::{Address, Conflict, Instance};
use crate::sys::{Listener, descendants, environment_of, listeners, processes};

/// What listens on the ports of these instances and does not belong to one of `ours`. Who it is
/// costs a look at every process, so that is looked up only when there is something to tell.
pub(super) fn conflicts(instances: &[&Instance], ours: &[Status]) -> BTreeMap<Address, Vec<Conflict>> {
    let wanted: BTreeSet<u16> = instances.iter().flat_map(|instance| instance.service.spec.ports()).collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let mut listeners = listeners();
    listeners.retain(|listener| wanted.contains(&listener.port));
    if listeners.is_empty() {
        return BTreeMap::new();
    }
    let owners = owners(&listeners);
    let own = own_processes(ours);
    let mut found: BTreeMap<Address, Vec<Conflict>> = BTreeMap::new();
    for instance in instances {
        let mut conflicts = BTreeSet::new();
        for listener in listeners.iter().filter(|listener| instance.service.spec.ports().contains(&listener.port)) {
            let pids = owners.get(&listener.inode).map(Vec::as_slice).unwrap_or_default();
            if pids.iter().any(|pid| own.contains(pid)) {
                continue;
            }
            conflicts.insert(Conflict { what: format!("port {}", listener.port), holder: holder(listener, pids) });
        }
        if !conflicts.is_empty() {
            found.insert(instance.address.clone(), conflicts.into_iter().collect());
        }
    }
    found
}

/// The processes that hold each socket; those of other users can be seen by root only.
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

/// The processes of our objects: what descends from a supervisor, and what carries an op-id of ours
/// because its supervisor is gone.
fn own_processes(ours: &[Status]) -> BTreeSet<u32> {
    let all = processes();
    let mut own = BTreeSet::new();
    for status in ours.iter().filter(|status| status.supervisor.is_alive()) {
        own.extend(descendants(&all, status.supervisor.pid).iter().map(|process| process.pid));
    }
    let ids: BTreeMap<&str, &Status> = ours.iter().map(|status| (status.stamp.op_id.as_str(), status)).collect();
    for process in &all {
        let object = environment_of(process.pid, OP_ID_VARIABLE).and_then(|id| ids.get(id.as_str()).copied());
        let is_own = |status: &Status| environment_of(process.pid, PLACE_VARIABLE).as_ref() == Some(&status.place.0);
        if object.is_some_and(is_own) {
            own.insert(process.pid);
        }
    }
    own
}

fn holder(listener: &Listener, pids: &[u32]) -> String {
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let holder = match pids.first() {
        Some(pid) => format!("pid {pid} ({})", name(pid).unwrap_or_default().trim()),
        None => "a process of another user".to_owned(),
    };
    // A listener on one address may leave another one free; the reader can tell.
    let usual = listener.address.is_unspecified() || listener.address == IpAddr::from(Ipv4Addr::LOCALHOST);
    if usual { holder } else { format!("{holder} on {}", listener.address) }
}
