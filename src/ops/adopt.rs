//! `orch adopt`: finds what runs without being orch's and records it, as it is.

use std::collections::BTreeMap;

use super::apply::{LockOptions, Prepared, lock_and_key};
use super::observe;
use super::plan::{Planned, check_project};
use super::project::instances;
use super::status::unknown;
use super::takeover::{Looked, Search, Takeover};
use super::{OpError, Project, render};
use crate::backend::Observers;
use crate::model::{Address, BackendKind, DigestKey, Instance, InstanceKey, Kind, Pins, Service, Spec};
use crate::plan::{Adoption, Mode, PlanInput, Request, plan_adoption};
use crate::state::{LockHolder, State};

/// What is to be taken over, and by what if the user says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptTarget {
    /// An instance, or all copies of a service where it has a plain name.
    pub address: Address,
    /// What the backend calls the object that is to be it.
    pub object: Option<String>,
}

/// What was found, with the lock held, ready to be approved and recorded.
pub struct Adopting<'p> {
    prepared: Prepared<'p>,
    /// What was found.
    pub adoption: Adoption,
}

/// Takes the lock and looks for what could be taken over: for all that has no object yet where
/// `targets` is empty.
///
/// # Errors
/// When somebody else holds the lock, a target is not in the file, what it names cannot be taken over,
/// or a backend cannot be asked.
pub async fn prepare_adoption<'p>(
    project: &'p Project,
    targets: &[AdoptTarget],
    lock: &LockOptions,
    on_wait: impl FnMut(Option<&LockHolder>),
) -> Result<Adopting<'p>, OpError> {
    let (locked, key) = lock_and_key(project, lock, on_wait)?;
    let state = locked.state().clone();
    check_project(project, &state)?;
    let observers = project.observers(&key, &state);
    let unpinned = project.instances(&key, &state, &Pins::new());
    let chosen = choose(&unpinned, targets)?;
    let observed = observe::list(&observers, &state).await?;
    let has_object = |address: &Address| observed.get(address).is_some_and(|found| !found.objects.is_empty());
    let pins = pins(&observers, chosen.keys().filter_map(|address| unpinned.get(*address))).await;
    let all = instances(&*render::resolve(project, &observers).await?, &key, &state, &pins);
    let (owned, open): (Vec<&Address>, Vec<&Address>) = chosen.keys().partition(|address| has_object(address));
    let owned = if targets.is_empty() { Vec::new() } else { owned.into_iter().cloned().collect() };
    let open: Vec<Address> = open.into_iter().cloned().collect();
    let named = chosen.iter().filter_map(|(address, object)| Some(((*address).clone(), object.clone()?)));
    let search = Search {
        named: named.filter(|(address, _)| open.contains(address)).collect(),
        wanted: open.iter().filter_map(|address| all.get(address).cloned()).collect(),
        observers,
        key: key.clone(),
    };
    let Looked { adoption, found } = search.look().await?;
    let adoption = Adoption { owned, ..adoption };
    let planned = plan(project, state, &all, &pins, &key, Takeover::new(search, found));
    let prepared = Prepared::new(project, locked, planned, lock, None)?;
    Ok(Adopting { prepared, adoption })
}

impl<'p> Adopting<'p> {
    /// Looks once more, after a person took their time to approve.
    ///
    /// # Errors
    /// [`OpError::Refused`] when something else runs now.
    pub async fn check_still_true(&self) -> Result<(), OpError> {
        self.prepared.check_still_true().await
    }

    /// What records it; with what was found as notices of the run where nobody is shown a table.
    #[must_use]
    pub fn into_prepared(self, notices: Vec<String>) -> Prepared<'p> {
        self.prepared.with_notices(notices)
    }

    /// The run that would record it.
    #[must_use]
    pub fn prepared(&self) -> &Prepared<'p> {
        &self.prepared
    }
}

/// The instances that are asked for, each with the object that is named for it.
fn choose<'i>(
    instances: &'i BTreeMap<Address, Instance>,
    targets: &[AdoptTarget],
) -> Result<BTreeMap<&'i Address, Option<String>>, OpError> {
    let can_be = |instance: &Instance| {
        instance.service.kind != Kind::Job && instance.service.spec.backend() != BackendKind::External
    };
    if targets.is_empty() {
        return Ok(instances.iter().filter(|(_, i)| can_be(i)).map(|(address, _)| (address, None)).collect());
    }
    let mut chosen: BTreeMap<&Address, Option<String>> = BTreeMap::new();
    for AdoptTarget { address, object } in targets {
        let means = |(at, _): &(&Address, &Instance)| {
            **at == *address || address.key == InstanceKey::Only && at.service == address.service
        };
        let meant: Vec<(&Address, &Instance)> = instances.iter().filter(means).collect();
        match (meant.as_slice(), object) {
            ([], _) => return Err(unknown(&address.to_string(), &instances.keys().cloned().collect())),
            ([_, (second, _), ..], Some(object)) => {
                return Err(OpError::request(
                    format!("{address} has several copies, and {object} can only be one of them"),
                    format!("say which one, such as `{second}={object}`"),
                ));
            }
            _ => {}
        }
        for (at, instance) in meant {
            if !can_be(instance) {
                let what = if instance.service.kind == Kind::Job { "a job" } else { "external" };
                return Err(OpError::request(
                    format!("{at} is {what}: there is nothing of it to take over"),
                    "name services that run until they are stopped",
                ));
            }
            let named = chosen.entry(at).or_default();
            *named = object.clone().or(named.take());
            // What it is in comes with it: orch could not make a network that is there already.
            let Spec::Docker(spec) = &instance.service.spec else { continue };
            let is_in = |other: &Instance| matches!(&other.service.spec, Spec::Network(network) if spec.networks.iter().any(|used| used.name == network.name));
            for (network, _) in instances.iter().filter(|(_, other)| is_in(other)) {
                chosen.entry(network).or_default();
            }
        }
    }
    Ok(chosen)
}

/// What the images stand for, as far as that can be found out: what cannot is not held against anyone.
async fn pins(observers: &Observers, instances: impl Iterator<Item = &Instance>) -> Pins {
    let services: BTreeMap<_, &Service> =
        instances.map(|instance| (&instance.service.name, instance.service.as_ref())).collect();
    let services: Vec<&Service> =
        services.into_values().filter(|service| matches!(service.spec, Spec::Docker(_))).collect();
    let (Some(engine), false) = (observers.get(BackendKind::Docker), services.is_empty()) else {
        return Pins::new();
    };
    let answers = engine.pins(&services, &Pins::new()).await;
    answers.into_iter().filter_map(|(service, pin)| Some((service, pin.ok()?))).collect()
}

fn plan(
    project: &Project,
    state: State,
    all: &BTreeMap<Address, Instance>,
    pins: &Pins,
    key: &DigestKey,
    taken: Takeover,
) -> Planned {
    let desired = &project.loaded.desired;
    let plan = plan_adoption(
        &PlanInput {
            project: &desired.project,
            desired: all,
            inactive: &project.inactive(),
            recorded: &state,
            observed: &BTreeMap::new(),
            looked: true,
            now: project.now(),
            request: &Request { mode: Mode::Verb, ..Request::default() },
            pins,
            max_parallel: project.max_parallel(),
            max_parallel_given: true,
            on_failure: desired.settings.on_failure,
            source: project.source(),
            inputs: desired.inputs(key),
        },
        &taken.found,
    );
    Planned { plan, instances: taken.instances().collect(), state, taken: Some(taken) }
}
