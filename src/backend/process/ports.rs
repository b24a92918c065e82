//! Who listens on a port that an instance is about to take.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{OP_ID_VARIABLE, PLACE_VARIABLE, Status};
use crate::backend::ports::{Held, held};
use crate::model::{Address, Conflict, Instance};
use crate::sys::{descendants, environment_of, processes};

/// What listens on the ports of these instances and does not belong to one of `ours`.
pub(super) fn conflicts(instances: &[&Instance], ours: &[Status]) -> BTreeMap<Address, Vec<Conflict>> {
    let held = held(&instances.iter().flat_map(|instance| instance.service.spec.ports()).collect());
    if held.is_empty() {
        return BTreeMap::new();
    }
    let own = own_processes(ours);
    let foreign: Vec<&Held> = held.iter().filter(|held| !held.pids.iter().any(|pid| own.contains(pid))).collect();
    let mut found: BTreeMap<Address, Vec<Conflict>> = BTreeMap::new();
    for instance in instances {
        let ports = instance.service.spec.ports();
        let conflict = |held: &&Held| Conflict { what: format!("port {}", held.port()), holder: held.holder() };
        let conflicts: BTreeSet<Conflict> =
            foreign.iter().copied().filter(|held| ports.contains(&held.port())).map(|held| conflict(&held)).collect();
        if !conflicts.is_empty() {
            found.insert(instance.address.clone(), conflicts.into_iter().collect());
        }
    }
    found
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
