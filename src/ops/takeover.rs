//! What runs without being orch's and is taken over, as it is.
//!
//! Nothing that runs is touched. What is recorded is what was found, not what the file wants, so that the next plan
//! shows just the difference. While it is planned and recorded, orch goes by the records that the run will write:
//! nothing in the object itself says that it is orch's. A run that is killed before leaves no trace of it, and what
//! it did not record is found again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::OpError;
use crate::backend::{Candidate, Observers};
use crate::model::{
    Address, DigestKey, FieldValue, IMAGE_PIN, Instance, Kind, ObjectState, Observation, ObservedObject, OpId, RunId,
    Service, Spec,
};
use crate::plan::{Action, Adoptable, Adoption, Disputed, Found, Plan, Reason, TakenOver, Warning, changes};
use crate::state::{Record, RecordStatus, State};

/// What is looked for, so that it can be looked for again.
pub(super) struct Search {
    pub(super) observers: Observers,
    pub(super) wanted: Vec<Instance>,
    /// The objects that the user names for instances.
    pub(super) named: BTreeMap<Address, String>,
    pub(super) key: DigestKey,
}

/// What one look found.
pub(super) struct Looked {
    pub(super) adoption: Adoption,
    pub(super) found: Vec<Found>,
}

/// What a plan takes over.
pub(super) struct Takeover {
    search: Search,
    pub(super) found: Vec<Found>,
}

impl Search {
    pub(super) async fn look(&self) -> Result<Looked, OpError> {
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
        let reason = Reason::RunsAlready { name: name.clone(), matched_by: matched_by.clone() };
        let found = Found { instance, object: TakenOver { object: id, incarnation }, reason };
        let fields = fields(&found);
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

impl Takeover {
    pub(super) fn new(search: Search, found: Vec<Found>) -> Self {
        Self { search, found }
    }

    /// What a plan would make and runs already, by what it says of itself: it would be in the way of the new one, or
    /// run beside it. With what to tell about it. A backend that cannot be asked says so elsewhere.
    pub(super) async fn of_plan(
        plan: &Plan,
        observers: &Observers,
        instances: &BTreeMap<Address, Instance>,
        key: &DigestKey,
    ) -> Option<(Self, Vec<Warning>)> {
        let made = plan.steps.iter().filter(|step| step.action == Action::Create);
        let wanted = made.filter_map(|step| instances.get(&step.address));
        let wanted: Vec<Instance> = wanted.filter(|it| it.service.kind != Kind::Job).cloned().collect();
        if !wanted.iter().any(|instance| matches!(instance.service.spec, Spec::Docker(_))) {
            return None;
        }
        let search = Search { observers: observers.clone(), wanted, named: BTreeMap::new(), key: key.clone() };
        let Looked { adoption, mut found } = search.look().await.ok()?;
        // An image or a port may be the same by chance.
        let is_labelled = |address: &Address| {
            adoption.found.iter().any(|found| found.address == *address && found.matched_by.starts_with("label "))
        };
        let networks: Vec<String> = found
            .iter()
            .filter(|found| is_labelled(&found.instance.address))
            .flat_map(|found| match &found.instance.service.spec {
                Spec::Docker(spec) => spec.networks.iter().map(|network| network.name.clone()).collect(),
                _ => Vec::new(),
            })
            .collect();
        found.retain(|found| match &found.instance.service.spec {
            // What it is in comes with it.
            Spec::Network(spec) => networks.contains(&spec.name),
            _ => is_labelled(&found.instance.address),
        });
        let others = adoption.found.iter().filter(|it| !it.changes.is_empty());
        let others = others.filter(|it| found.iter().any(|found| found.instance.address == it.address));
        let warnings = others.map(differs).collect();
        (!found.is_empty()).then(|| (Self::new(search, found), warnings))
    }

    /// What is taken over, as it is.
    pub(super) fn instances(&self) -> impl Iterator<Item = (Address, Instance)> {
        self.found.iter().map(|found| (found.instance.address.clone(), found.instance.clone()))
    }

    /// Whether it has an instance.
    pub(super) fn has(&self, address: &Address) -> bool {
        self.found.iter().any(|found| found.instance.address == *address)
    }

    /// What to tell where it is not part of the plan.
    pub(super) fn proposals(&self) -> impl Iterator<Item = Warning> {
        self.found.iter().map(|Found { instance, reason, .. }| Warning {
            address: Some(instance.address.clone()),
            message: format!("{reason}: `orch adopt` takes it over"),
        })
    }

    /// What a reviewed plan takes over, if it is still what was reviewed.
    ///
    /// # Errors
    /// When it is not, or a backend cannot be asked.
    pub(super) async fn reviewed(
        plan: &Plan,
        observers: &Observers,
        instances: &BTreeMap<Address, Instance>,
        key: &DigestKey,
    ) -> Result<Option<Self>, OpError> {
        let steps: Vec<_> = plan.steps.iter().filter(|step| step.takes_over.is_some()).collect();
        if steps.is_empty() {
            return Ok(None);
        }
        let wanted = steps.iter().filter_map(|step| instances.get(&step.address)).cloned().collect();
        let search = Search { observers: observers.clone(), wanted, named: BTreeMap::new(), key: key.clone() };
        let found = search.look().await?.found;
        for step in steps {
            let is_it = |found: &&Found| {
                found.instance.address == step.address
                    && Some(&found.object) == step.takes_over.as_ref()
                    && Some(found.instance.revision) == step.revision
            };
            found.iter().find(is_it).ok_or_else(|| changed(&step.address))?;
        }
        Ok(Some(Self::new(search, found)))
    }

    /// Looks once more, after a person took their time to approve.
    ///
    /// # Errors
    /// [`OpError::Refused`] when something else runs now.
    pub(super) async fn check(&self) -> Result<(), OpError> {
        let now = self.search.look().await?.found;
        let seen = |found: &Found| (found.instance.address.clone(), found.object.clone(), found.instance.revision);
        let now: Vec<_> = now.iter().map(seen).collect();
        match self.found.iter().find(|found| !now.contains(&seen(found))) {
            None => Ok(()),
            Some(found) => Err(changed(&found.instance.address)),
        }
    }

    /// The records as if the attempt had made them.
    pub(super) fn as_if(&self, op_id: &OpId, state: &State, now: Timestamp) -> Vec<(Address, Record)> {
        self.found.iter().map(|found| record(found, op_id.clone(), state, now)).collect()
    }

    /// The records as a run will write them, but for when each step ends.
    pub(super) fn records(&self, run: &RunId, plan: &Plan, state: &State, now: Timestamp) -> Vec<(Address, Record)> {
        let step = |found: &Found| plan.steps.iter().find(|step| step.address == found.instance.address);
        let record = |found| Some(record(found, run.op(step(found)?.id.0), state, now));
        self.found.iter().filter_map(record).collect()
    }

    /// What is found, as if it were recorded.
    pub(super) fn observed(&self, op_id: &OpId) -> impl Iterator<Item = (Address, Observation)> {
        self.found.iter().map(|Found { instance, object, .. }| {
            let Instance { address, service, revision, .. } = instance;
            let (kind, id) = (service.spec.backend(), object.object.clone());
            let object = ObservedObject::new(kind, id, op_id.clone(), address.clone(), *revision, ObjectState::Running);
            (address.clone(), Observation { objects: vec![object], ..Observation::default() })
        })
    }
}

fn changed(address: &Address) -> OpError {
    OpError::refused(
        format!("what runs as {address} changed since it was shown"),
        "plan again to see what there is now",
    )
}

fn differs(found: &Adoptable) -> Warning {
    let paths: Vec<&str> = found.changes.iter().map(|change| change.path.as_str()).collect();
    let verb = if found.is_replaced_next() { "replaces it" } else { "changes it in place" };
    let message = format!(
        "{} is other than the file in {}: it is taken over as it is, and the next apply {verb}",
        found.name,
        paths.join(", ")
    );
    Warning { address: Some(found.address.clone()), message }
}

fn fields(found: &Found) -> BTreeMap<String, FieldValue> {
    found.instance.fields.iter().map(|field| (field.path.to_string(), field.value.clone())).collect()
}

fn record(found: &Found, op_id: OpId, state: &State, now: Timestamp) -> (Address, Record) {
    let Instance { address, service, revision, .. } = &found.instance;
    let before = state.records.get(address);
    let record = Record {
        kind: service.kind,
        backend: service.spec.backend(),
        object: Some(found.object.object.clone()),
        machine: None,
        op_id,
        revision: *revision,
        status: RecordStatus::Healthy,
        fields: fields(found),
        dependencies: service.dependencies.clone(),
        claims: service.spec.claims(),
        prevent_destroy: service.lifecycle.prevent_destroy,
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
        took_ms: before.map_or(0, |before| before.took_ms),
    };
    (address.clone(), record)
}
