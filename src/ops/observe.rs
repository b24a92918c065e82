//! Asks every backend what there is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::OpError;
use crate::backend::{self, Listing, Observers};
use crate::health::{self, ProbeEnv};
use crate::model::{
    Address, BackendKind, Exit, HealthCheck, Instance, Kind, ObjectId, ObjectState, Observation, ObservedObject, Probe,
};
use crate::state::{Record, RecordStatus, State};

/// What is asked about health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probing {
    /// Nothing: what goes down anyway need not be well.
    Skip,
    /// One answer of each check.
    Once,
    /// As [`Once`](Self::Once), but a failure must be confirmed before a plan acts on it.
    Settled,
}

/// What every backend has, of whatever the file wants.
pub(super) type Listings = Vec<Listing>;

/// Asks every backend what it has.
///
/// # Errors
/// When a backend cannot be asked.
pub(super) async fn ask(observers: &Observers) -> Result<Listings, OpError> {
    ask_those(observers, &[false, true]).await
}

/// Asks every backend what it has while what the file wants is found out; with that.
///
/// # Errors
/// When a backend cannot be asked, or as `wanted`.
pub(super) async fn ask_beside<T>(
    observers: &Observers,
    wanted: impl Future<Output = Result<T, OpError>>,
) -> Result<(Listings, T), OpError> {
    let meanwhile = ask_those(observers, &[false]);
    let (mut listings, wanted) = futures_util::future::try_join(meanwhile, wanted).await?;
    listings.extend(ask_those(observers, &[true]).await?);
    Ok((listings, wanted))
}

async fn ask_those(observers: &Observers, by_rendering: &[bool]) -> Result<Listings, OpError> {
    let asked = observers.iter().filter(|(_, observer)| by_rendering.contains(&observer.lists_by_rendering()));
    let listings = asked.map(|(kind, observer)| async move {
        observer.list().await.map_err(|error| OpError::backend(format!("looking at backend {kind}"), error))
    });
    futures_util::future::try_join_all(listings).await
}

/// Looks at everything of a project: the objects by address, what stands in the way of those that
/// are not up, and the health of those that are.
///
/// # Errors
/// When a backend cannot be asked.
pub(super) async fn observe(
    observers: &Observers,
    listings: Listings,
    desired: &BTreeMap<Address, Instance>,
    recorded: &State,
    env: &ProbeEnv,
    probing: Probing,
) -> Result<BTreeMap<Address, Observation>, OpError> {
    let mut observed = by_address(listings, desired, recorded);
    conflicts(observers, desired, &mut observed).await?;
    if probing == Probing::Skip {
        return Ok(observed);
    }
    let should_answer = |(address, instance): &(&Address, &Instance)| {
        let record = recorded.records.get(*address);
        if observed.get(*address).is_some_and(|found| found.unreachable.is_some()) {
            return false;
        }
        match instance.service.spec.backend() {
            BackendKind::External => record.is_some(),
            _ => observed.get(*address).is_some_and(|found| found.objects.iter().any(ObservedObject::is_up)),
        }
    };
    let target = |(address, instance): (&Address, &Instance)| -> health::Target<'_> {
        let observer = observers.get(instance.service.spec.backend())?;
        let object = serving(observed.get(address)?, recorded.records.get(address), instance)?;
        Some((observer.as_ref(), &object.id))
    };
    let now = crate::sys::now();
    let is_judged = |(address, instance): &(&Address, &Instance)| {
        probing == Probing::Once || !observed.get(*address).is_some_and(|found| is_undecided(found, instance, now))
    };
    let chosen = desired.iter().filter(should_answer).filter(is_judged);
    let probed: Vec<(&Instance, health::Target<'_>)> =
        chosen.map(|(address, instance)| (instance, target((address, instance)))).collect();
    let asked = probed.iter().map(|(instance, target)| async move {
        let references = instance.service.references();
        if references.is_empty() {
            return Some((Cow::Borrowed(*instance), *target));
        }
        let observer = |kind| observers.get(kind).map(AsRef::as_ref);
        // What cannot be asked for the want of another service is not judged: the other one is.
        let values = backend::resolve(&references, desired, observer).await.ok()?;
        let service = Arc::new(instance.service.filled(&values));
        Some((Cow::Owned(Instance { service, ..(*instance).clone() }), *target))
    });
    let filled: Vec<_> = futures_util::future::join_all(asked).await.into_iter().flatten().collect();
    let probed: Vec<(&Instance, health::Target<'_>)> =
        filled.iter().map(|(instance, target)| (instance.as_ref(), *target)).collect();
    let answers = match probing == Probing::Settled {
        true => health::check_settled(&probed, env).await,
        false => health::check_many(&probed, env).await,
    };
    let answers: Vec<_> = probed.iter().map(|(instance, _)| instance.address.clone()).zip(answers).collect();
    for (address, health) in answers {
        if health.is_some() {
            observed.entry(address).or_default().health = health;
        }
    }
    Ok(observed)
}

/// The object that its checks are asked about: of those that are up the recorded one, else the one
/// that is as the file wants it, else the newest.
fn serving<'o>(found: &'o Observation, record: Option<&Record>, wanted: &Instance) -> Option<&'o ObservedObject> {
    let recorded = record.and_then(|record| record.object.as_ref());
    let rank = |object: &&ObservedObject| (Some(&object.id) == recorded, object.revision == wanted.revision);
    let up = found.objects.iter().enumerate().filter(|(_, object)| object.is_up());
    up.max_by_key(|(index, object)| (rank(object), *index)).map(|(_, object)| object)
}

/// Whether the backend's own check may simply not have come to an answer yet, as after a restart of
/// the whole engine. A plan must not restart what has only just been started.
fn is_undecided(found: &Observation, instance: &Instance, now: Timestamp) -> bool {
    let native = |check: &&HealthCheck| check.probe == Probe::Backend;
    let patience = instance
        .service
        .checks
        .iter()
        .filter(native)
        .map(|check| check.policy.start_period.saturating_add(health::GateCheck::of(check).patience()));
    let Some(patience) = patience.max() else { return false };
    let reports = |object: &&ObservedObject| object.is_up() && object.reported.as_ref().is_some_and(|it| !it.healthy);
    let up_for = |object: &ObservedObject| Duration::try_from(now.duration_since(object.since?)).ok();
    found.objects.iter().filter(reports).filter_map(up_for).any(|lasted| lasted < patience)
}

/// The objects of every backend, by address: the one whose record names the object, else the one
/// that is stamped into it. They differ after `orch state mv`, until the next apply.
/// What is on a machine that could not be asked is taken to be as it is recorded.
pub(super) async fn list(observers: &Observers, recorded: &State) -> Result<BTreeMap<Address, Observation>, OpError> {
    Ok(by_address(ask(observers).await?, &BTreeMap::new(), recorded))
}

/// As [`list`], while what the file wants is found out; with that.
pub(super) async fn list_beside<T>(
    observers: &Observers,
    recorded: &State,
    wanted: impl Future<Output = Result<T, OpError>>,
) -> Result<(BTreeMap<Address, Observation>, T), OpError> {
    let (listings, wanted) = ask_beside(observers, wanted).await?;
    Ok((by_address(listings, &BTreeMap::new(), recorded), wanted))
}

fn by_address(
    listings: Listings,
    desired: &BTreeMap<Address, Instance>,
    recorded: &State,
) -> BTreeMap<Address, Observation> {
    let owned = recorded.records.iter().filter_map(|(address, record)| Some((record.object.as_ref()?, address)));
    let owners: BTreeMap<&ObjectId, &Address> = owned.collect();
    let mut observed: BTreeMap<Address, Observation> = BTreeMap::new();
    let mut unreachable: BTreeMap<String, String> = BTreeMap::new();
    for listing in listings {
        unreachable.extend(listing.unreachable.into_iter().map(|(host, error)| (host, error.message)));
        for object in listing.objects {
            let address = owners.get(&object.id).copied().unwrap_or(&object.address).clone();
            observed.entry(address).or_default().objects.push(object);
        }
    }
    if !unreachable.is_empty() {
        cut_off(&unreachable, desired, recorded, &mut observed);
    }
    for found in observed.values_mut() {
        found.objects.sort_by(|a, b| a.op_id.cmp(&b.op_id));
    }
    observed
}

/// Puts in what is recorded of instances whose machine could not be asked.
fn cut_off(
    unreachable: &BTreeMap<String, String>,
    desired: &BTreeMap<Address, Instance>,
    recorded: &State,
    observed: &mut BTreeMap<Address, Observation>,
) {
    let place = |address: &Address| {
        let record = recorded.records.get(address).and_then(|record| record.machine.as_deref());
        let wanted = || desired.get(address)?.service.spec.place()?.machine();
        record.or_else(|| wanted().map(AsRef::as_ref)).map(|machine| machine.name.clone())
    };
    let mut before = as_recorded(recorded);
    let addresses: BTreeSet<&Address> = desired.keys().chain(recorded.records.keys()).collect();
    for address in addresses {
        let Some(why) = place(address).and_then(|host| unreachable.get(&host)) else { continue };
        let found = observed.entry(address.clone()).or_default();
        found.objects = before.remove(address).map(|found| found.objects).unwrap_or_default();
        found.unreachable = Some(why.clone());
    }
}

async fn conflicts(
    observers: &Observers,
    desired: &BTreeMap<Address, Instance>,
    observed: &mut BTreeMap<Address, Observation>,
) -> Result<(), OpError> {
    for (kind, observer) in observers.iter() {
        let down = |instance: &&Instance| {
            let found = observed.get(&instance.address);
            instance.service.spec.backend() == kind
                && !instance.service.spec.claims().is_empty()
                && !found.is_some_and(|found| found.objects.iter().any(ObservedObject::is_up))
        };
        let instances: Vec<&Instance> = desired.values().filter(down).collect();
        if instances.is_empty() {
            continue;
        }
        let found = observer.conflicts(&instances).await;
        let found =
            found.map_err(|error| OpError::backend(format!("looking at the ports of backend {kind}"), error))?;
        for (address, conflicts) in found {
            observed.entry(address).or_default().conflicts = conflicts;
        }
    }
    Ok(())
}

/// What would be found if everything were as it is recorded: for `--refresh=false`.
pub(super) fn as_recorded(recorded: &State) -> BTreeMap<Address, Observation> {
    let object = |(address, record): (&Address, &Record)| {
        let id = record.object.clone()?;
        let state = match (record.kind, record.status) {
            (_, RecordStatus::Stopped) => ObjectState::Stopped,
            (Kind::Job, _) => {
                let code = i32::from(record.status == RecordStatus::Failed);
                ObjectState::Exited(Exit { code: Some(code), signal: None, out_of_memory: false })
            }
            (Kind::Permanent | Kind::Periodic, _) => ObjectState::Running,
        };
        let object =
            ObservedObject::new(record.backend, id, record.op_id.clone(), address.clone(), record.revision, state);
        Some((address.clone(), Observation { objects: vec![object], ..Observation::default() }))
    };
    recorded.records.iter().filter_map(object).collect()
}
