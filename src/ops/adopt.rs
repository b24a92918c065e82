//! `orch adopt`: finds what runs without being orch's and records it, as it is.
//!
//! Nothing that runs is touched. What is recorded is what was found, not what the file wants, so that
//! the next plan shows just the difference.

use std::collections::BTreeMap;

use super::apply::{LockOptions, Prepared, lock_and_key};
use super::observe;
use super::plan::{Planned, check_project};
use super::project::instances;
use super::status::unknown;
use super::{OpError, Project, render};
use crate::backend::{Candidate, Observers};
use crate::model::{
    Address, BackendKind, Digest, DigestKey, FieldValue, IMAGE_PIN, Instance, InstanceKey, Kind, ObjectId, Pins, RunId,
    Service, Spec,
};
use crate::plan::{
    Action, Adoptable, Adoption, Disputed, Mode, Plan, PlanInput, Request, Warning, changes, plan_adoption,
};
use crate::state::{LockHolder, Record, RecordStatus, State};

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
    search: Search,
    seen: Seen,
}

/// What tells that what was shown is still what runs.
type Seen = BTreeMap<Address, (ObjectId, Option<String>, Digest)>;

/// What is looked for, so that it can be looked for again.
struct Search {
    observers: Observers,
    wanted: Vec<Instance>,
    named: BTreeMap<Address, String>,
    key: DigestKey,
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
    let seen = found.iter().map(Found::seen).collect();
    let planned = plan(project, &state, &all, &pins, &key, &found);
    let records = |run: &RunId| provisional(&found, run, &state, project);
    let prepared = Prepared::adopting(project, locked, planned, lock, records)?;
    Ok(Adopting { prepared, adoption, search, seen })
}

impl<'p> Adopting<'p> {
    /// Looks once more, after a person took their time to approve.
    ///
    /// # Errors
    /// [`OpError::Refused`] when something else runs now.
    pub async fn check_still_true(&self) -> Result<(), OpError> {
        let now: Seen = self.search.look().await?.found.iter().map(Found::seen).collect();
        match self.seen.iter().find(|(address, seen)| now.get(*address) != Some(*seen)) {
            None => Ok(()),
            Some((address, _)) => Err(OpError::refused(
                format!("what runs as {address} changed since it was shown"),
                "run `orch adopt` again to see what there is now",
            )),
        }
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

/// What one look found.
struct Looked {
    adoption: Adoption,
    found: Vec<Found>,
}

/// Something that was found, as the instance that it would be recorded as.
struct Found {
    instance: Instance,
    object: ObjectId,
    incarnation: Option<String>,
}

impl Found {
    fn seen(&self) -> (Address, (ObjectId, Option<String>, Digest)) {
        let seen = (self.object.clone(), self.incarnation.clone(), self.instance.revision);
        (self.instance.address.clone(), seen)
    }

    fn fields(&self) -> BTreeMap<String, FieldValue> {
        self.instance.fields.iter().map(|field| (field.path.to_string(), field.value.clone())).collect()
    }
}

impl Search {
    async fn look(&self) -> Result<Looked, OpError> {
        let wanted: BTreeMap<&Address, &Instance> =
            self.wanted.iter().map(|wanted| (&wanted.address, wanted)).collect();
        let mut looked = Looked { adoption: Adoption::default(), found: Vec::new() };
        for (kind, observer) in self.observers.iter() {
            let of_kind: Vec<&Instance> =
                self.wanted.iter().filter(|wanted| wanted.service.spec.backend() == kind).collect();
            if of_kind.is_empty() {
                continue;
            }
            let candidates = observer.candidates(&of_kind, &self.named).await;
            let candidates =
                candidates.map_err(|error| OpError::backend(format!("looking at backend {kind}"), error))?;
            for candidate in candidates.found {
                if let Some(wanted) = wanted.get(&candidate.address) {
                    self.compare(wanted, candidate, &mut looked);
                }
            }
            looked.adoption.disputed.extend(candidates.unclear.into_iter().map(|unclear| Disputed {
                address: unclear.address,
                matched_by: unclear.matched_by,
                names: unclear.names,
            }));
        }
        let Adoption { found, disputed, without, .. } = &mut looked.adoption;
        found.sort_by(|a, b| a.address.cmp(&b.address));
        let is_there = |address: &Address| {
            found.iter().any(|found| found.address == *address) || disputed.iter().any(|one| one.address == *address)
        };
        // A network that is not there is made when it is needed.
        let missed = self.wanted.iter().filter(|wanted| !matches!(wanted.service.spec, Spec::Network(_)));
        *without = missed.map(|wanted| wanted.address.clone()).filter(|address| !is_there(address)).collect();
        looked.found.sort_by(|a, b| a.instance.address.cmp(&b.instance.address));
        Ok(looked)
    }

    /// Takes a candidate in: as the file wants the instance, but run as the candidate is.
    fn compare(&self, wanted: &Instance, candidate: Candidate, looked: &mut Looked) {
        let Candidate { address, matched_by, name, id, incarnation, spec, pin, beyond } = candidate;
        let service = Service { spec, ..(*wanted.service).clone() };
        let instance = Instance::new(address.clone(), service.into(), pin, &self.key);
        let found = Found { instance, object: id, incarnation };
        let fields = found.fields();
        let wanted = wanted.clone().ignoring(&fields, &self.key);
        let mut changes = changes(wanted.service.spec.backend(), &fields, &wanted.fields);
        if wanted.pin.is_none() {
            // What its name stands for now could not be found out: that it differs is not known either.
            changes.retain(|change| change.path != IMAGE_PIN);
        }
        looked.adoption.found.push(Adoptable { address, name, matched_by, changes, beyond });
        looked.found.push(found);
    }
}

/// What runs already and says itself that it is what a plan would make, for whoever reads the plan: it would
/// be in the way of the new one, or run beside it. A backend that cannot be asked says so elsewhere.
pub(super) async fn proposals(
    plan: &Plan,
    observers: &Observers,
    instances: &BTreeMap<Address, Instance>,
    key: &DigestKey,
) -> Vec<Warning> {
    let made = plan.steps.iter().filter(|step| step.action == Action::Create);
    let wanted: Vec<Instance> = made.filter_map(|step| instances.get(&step.address)).cloned().collect();
    if !wanted
        .iter()
        .any(|instance| matches!(instance.service.spec, Spec::Docker(_)) && instance.service.kind != Kind::Job)
    {
        return Vec::new();
    }
    let wanted = wanted.into_iter().filter(|instance| instance.service.kind != Kind::Job).collect();
    let search = Search { observers: observers.clone(), wanted, named: BTreeMap::new(), key: key.clone() };
    let Ok(Looked { adoption, .. }) = search.look().await else { return Vec::new() };
    // An image or a port may be the same by chance.
    let labelled = adoption.found.into_iter().filter(|found| found.matched_by.starts_with("label "));
    let warning = |found: Adoptable| {
        let then = match (found.changes.len(), found.is_replaced_next()) {
            (0, _) => "as the file wants it: `orch adopt` takes it over and leaves it alone".to_owned(),
            (_, replaced) => {
                let paths: Vec<&str> = found.changes.iter().map(|change| change.path.as_str()).collect();
                let verb = if replaced { "replaces it" } else { "changes it in place" };
                format!(
                    "other than the file in {}: `orch adopt` takes it over, and the next apply {verb}",
                    paths.join(", ")
                )
            }
        };
        let message = format!("{} runs already ({}), {then}", found.name, found.matched_by);
        Warning { address: Some(found.address), message }
    };
    labelled.map(warning).collect()
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
    state: &State,
    all: &BTreeMap<Address, Instance>,
    pins: &Pins,
    key: &DigestKey,
    found: &[Found],
) -> Planned {
    let desired = &project.loaded.desired;
    let instances: Vec<Instance> = found.iter().map(|found| found.instance.clone()).collect();
    let plan = plan_adoption(
        &PlanInput {
            project: &desired.project,
            desired: all,
            inactive: &project.inactive(),
            recorded: state,
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
        &instances,
    );
    let instances = instances.into_iter().map(|instance| (instance.address.clone(), instance)).collect();
    Planned { plan, instances, state: state.clone() }
}

/// The records as the run will write them, but for when each step ends. The order of the steps is that
/// of `found`.
fn provisional(found: &[Found], run: &RunId, state: &State, project: &Project) -> Vec<(Address, Record)> {
    let now = project.now();
    let record = |(place, found): (usize, &Found)| {
        let Instance { address, service, revision, .. } = &found.instance;
        let before = state.records.get(address);
        let record = Record {
            kind: service.kind,
            backend: service.spec.backend(),
            object: Some(found.object.clone()),
            machine: None,
            op_id: run.op(u32::try_from(place + 1).unwrap_or(u32::MAX)),
            revision: *revision,
            status: RecordStatus::Healthy,
            fields: found.fields(),
            dependencies: service.dependencies.clone(),
            claims: service.spec.claims(),
            prevent_destroy: service.lifecycle.prevent_destroy,
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
            took_ms: before.map_or(0, |before| before.took_ms),
        };
        (address.clone(), record)
    };
    found.iter().enumerate().map(record).collect()
}
