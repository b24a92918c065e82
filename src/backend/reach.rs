//! Where endpoints of what runs are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use async_trait::async_trait;

use super::{BackendError, Observer};
use crate::model::{
    Address, BackendKind, Endpoint, Instance, Known, ObservedObject, Reach, Reference, Service, Vantage, Viewer,
};

/// A port of this machine that leads to an endpoint for as long as this is held.
pub struct Forward {
    /// The port, with the address that listens there.
    pub local: SocketAddr,
    /// What keeps it up.
    pub held: Box<dyn Held>,
}

/// What keeps a forwarded port up, until it is dropped.
#[async_trait]
pub trait Held: Send {
    /// Waits until it ends by itself, and says why. May be dropped and called again.
    async fn ended(&mut self) -> BackendError;
}

/// The object of an address that serves: the newest one that is up.
///
/// # Errors
/// When the backend cannot be asked.
pub async fn serving(observer: &dyn Observer, address: &Address) -> Result<Option<ObservedObject>, BackendError> {
    let objects = observer.list().await?.objects.into_iter();
    let own = objects.filter(|object| object.address == *address && object.is_up());
    Ok(own.max_by(|a, b| a.op_id.cmp(&b.op_id)))
}

/// Where an endpoint of an instance is reached now.
///
/// # Errors
/// When nothing of it runs, or its backend cannot say.
pub async fn reach(
    observer: Option<&dyn Observer>,
    address: &Address,
    service: &Service,
    endpoint: &Endpoint,
    from: Vantage,
) -> Result<Reach, BackendError> {
    let kind = service.spec.backend();
    let unknown = || BackendError::new(format!("nobody can say where {address} is reached: its backend is `{kind}`"));
    let observer = observer.ok_or_else(unknown)?;
    let Some(object) = serving(observer, address).await? else {
        let error = BackendError::new(format!("nothing of {address} runs, so it cannot be said where it is reached"));
        return Err(error.with_hint(format!("`orch start {address}` starts it, `orch apply` makes it")));
    };
    match observer.locate(&object.id, endpoint, from).await? {
        Some(reach) => Ok(Reach { host: endpoint.host.clone().unwrap_or(reach.host), ..reach }),
        None => match service.known(endpoint, Viewer::Here, true) {
            Known::At(reach) => Ok(reach),
            _ => Err(unknown().with_hint("give the endpoint a `host`")),
        },
    }
}

/// What references stand for now, asked of the backends of what they name.
///
/// # Errors
/// When the service that one of them names does not run, or its backend cannot say.
pub async fn resolve<'o>(
    references: &BTreeSet<Reference>,
    instances: &BTreeMap<Address, Instance>,
    observer: impl Fn(BackendKind) -> Option<&'o dyn Observer>,
) -> Result<BTreeMap<Reference, String>, BackendError> {
    let mut known: BTreeMap<(&Address, &str, Vantage), Reach> = BTreeMap::new();
    let mut values = BTreeMap::new();
    for reference in references {
        let of_service = |instance: &&Instance| instance.address.service == reference.service;
        let instance = instances.values().find(of_service);
        let Some((instance, endpoint)) =
            instance.and_then(|instance| Some((instance, instance.service.endpoints.get(&reference.endpoint)?)))
        else {
            return Err(BackendError::new(format!("nothing is known of what {reference} names")));
        };
        let key = (&instance.address, reference.endpoint.as_str(), reference.from);
        let found = match known.get(&key) {
            Some(found) => found.clone(),
            None => {
                let observer = observer(instance.service.spec.backend());
                let found = reach(observer, &instance.address, &instance.service, endpoint, reference.from).await?;
                known.insert(key, found.clone());
                found
            }
        };
        values.insert(reference.clone(), reference.part.of(endpoint, &found));
    }
    Ok(values)
}
