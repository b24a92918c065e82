//! Which machines a backend has to do with: those that the file gives it, and those that it left
//! something on.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BackendKind, Desired, FieldValue, InstanceKey, KubeCluster, Place, Spec};
use crate::state::State;

/// The machines of a backend, by their key. What the file says of a machine goes before what is recorded.
pub(super) fn places(kind: BackendKind, desired: &Desired, recorded: &State) -> BTreeMap<String, Place> {
    let of_record = |record: &crate::state::Record| match &record.machine {
        Some(machine) => Place::On(machine.clone()),
        None => Place::Here,
    };
    let recorded_places = recorded.records.values().filter(|record| record.backend == kind).map(of_record);
    // What a killed run began may have no record yet, and the file may no longer want it.
    let begun = recorded.pending.iter().filter(|(_, pending)| pending.backend == kind);
    let begun = begun.filter_map(|(address, _)| match &address.key {
        InstanceKey::Host(host) => desired.machines.get(&**host).cloned().map(Place::On),
        InstanceKey::Only | InstanceKey::Replica(_) => None,
    });
    let own = desired.services.values().filter(|service| service.spec.backend() == kind);
    let wanted = own.flat_map(|service| match &service.hosts {
        Some(machines) => machines.iter().cloned().map(Place::On).collect::<Vec<_>>(),
        None => service.spec.place().cloned().into_iter().collect(),
    });
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for place in recorded_places.chain(begun) {
        let known = place.machine().and_then(|machine| desired.machines.get(&machine.name));
        let place = known.map_or(place, |machine| Place::On(machine.clone()));
        places.insert(place.key(), place);
    }
    places.extend(wanted.map(|place| (place.key(), place)));
    places
}

/// The clusters, and the namespaces in them, that have services of manifests. What the file says of a cluster goes
/// before what is recorded.
pub(super) fn clusters(desired: &Desired, recorded: &State) -> BTreeSet<(KubeCluster, String)> {
    let wanted = desired.services.values().filter_map(|service| match &service.spec {
        Spec::Kubernetes(spec) => Some((spec.cluster.clone(), spec.namespace.clone())),
        _ => None,
    });
    let own = recorded.records.values().filter(|record| record.backend == BackendKind::Kubernetes);
    let of_record = own.filter_map(|record| {
        let text = |path: &str| match record.fields.get(path) {
            Some(FieldValue::Plain(text)) => Some(text.clone()),
            _ => None,
        };
        let cluster = KubeCluster { kubeconfig: text("kubeconfig"), context: text("kube_context") };
        Some((cluster, text("namespace")?))
    });
    let mut places: BTreeMap<(String, String), KubeCluster> = BTreeMap::new();
    for (cluster, namespace) in wanted.chain(of_record) {
        places.entry((cluster.key(), namespace)).or_insert(cluster);
    }
    places.into_iter().map(|((_, namespace), cluster)| (cluster, namespace)).collect()
}
