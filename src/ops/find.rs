//! The one object that a name on the command line means.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::status::choose;
use super::{OpError, Project};
use crate::backend::Observer;
use crate::model::{Address, BackendKind, ObservedObject, ServiceName};

/// What a name means.
pub(super) struct Found {
    /// The address.
    pub(super) address: Address,
    /// Its object, and the backend that has it; `None` where orch runs nothing of it.
    pub(super) object: Option<(BackendKind, Arc<dyn Observer>, ObservedObject)>,
}

/// Finds the object of a service, or of one copy of it: of several the one that is up where that
/// matters, then the one that is recorded, then the newest.
///
/// # Errors
/// When the name means nothing or several instances, or a backend cannot be asked.
pub(super) async fn find(project: &Project, name: &str, prefer_up: bool) -> Result<Found, OpError> {
    let state = project.store.read()?;
    let observers = project.observers(&project.key()?, &state);
    let mut found = Vec::new();
    for (kind, observer) in observers.iter() {
        let objects = observer.list().await;
        let objects = objects.map_err(|error| OpError::backend(format!("looking for {name}"), error))?;
        found.extend(objects.objects.into_iter().map(|object| (kind, observer.clone(), object)));
    }
    let known = state.records.keys().chain(found.iter().map(|(.., object)| &object.address));
    let mut known: BTreeSet<Address> = known.cloned().collect();
    // Of a service with copies none is without a number.
    let unknown = |name: &&ServiceName| !known.iter().any(|address| address.service == **name);
    let wanted: Vec<ServiceName> = project.loaded.desired.services.keys().filter(unknown).cloned().collect();
    known.extend(wanted.into_iter().map(Into::into));
    let mut chosen = choose(&[name.to_owned()], known)?;
    let address = match (chosen.pop(), &chosen[..]) {
        (Some(address), []) => address,
        (last, others) => {
            let names: Vec<_> = others.iter().chain(&last).map(ToString::to_string).collect();
            return Err(OpError::request(
                format!("`{name}` has several instances"),
                format!("name one: {}", names.join(", ")),
            ));
        }
    };
    let recorded = state.records.get(&address).and_then(|record| record.object.as_ref());
    let own = found.into_iter().filter(|(.., object)| object.address == address || Some(&object.id) == recorded);
    let rank = |object: &ObservedObject| (prefer_up && object.is_up(), Some(&object.id) == recorded);
    let object = own.max_by(|(.., a), (.., b)| (rank(a), &a.op_id).cmp(&(rank(b), &b.op_id)));
    Ok(Found { address, object })
}
