//! The planner: a pure function from what is wanted, recorded and observed to a plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::decide::{Decision, Known, Push, decide_unwanted};
use super::drift::drift;
use super::input::{PlanInput, Request};
use super::order::{Draft, order};
use super::{
    Action, Disruption, DriftNote, Mode, PLAN_FORMAT, Plan, PlanError, Reason, ReplaceOrder, Roll, Step, Warning,
};
use crate::graph::Graph;
use crate::model::{Address, BackendKind, Digest, Instance, InstanceKey, Kind, Observation, RunId, ServiceName};
use crate::state::{Pending, Record, RecordStatus};

static NOTHING: Observation =
    Observation { objects: Vec::new(), conflicts: Vec::new(), health: None, unreachable: None };

/// How long an operation may take when the file no longer says: long enough for a service that was
/// given long to stop, since its backend ends it in the time that it was given.
const UNWANTED_TIMEOUT_MS: u64 = 3_600_000;

/// How many steps run at once where some are on several machines and nobody said how many.
const REMOTE_PARALLEL: usize = 10;

/// What an operation may take beyond the time that a service is given to stop.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// How long each operation on an instance may take, in milliseconds.
pub(super) fn timeout_ms(wanted: Option<&Instance>) -> u64 {
    let Some(wanted) = wanted else { return UNWANTED_TIMEOUT_MS };
    let service = &wanted.service;
    let longest = service.timeout.max(service.spec.stop_timeout() + STOP_MARGIN);
    u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
}

/// Makes a plan.
///
/// # Errors
/// When the request names a service that there is not, or a step would take down what
/// `lifecycle.prevent_destroy` protects; all such steps are named at once.
pub fn plan(input: PlanInput<'_>) -> Result<Plan, Vec<PlanError>> {
    Planner::new(&input)?.run()
}

struct Planner<'a> {
    input: &'a PlanInput<'a>,
    graph: Graph,
    /// The recorded address that each renamed instance had before.
    renames: BTreeMap<&'a Address, Address>,
    /// What was found of each renamed instance, under both of its names.
    merged: BTreeMap<&'a Address, Observation>,
    /// The services that the request covers.
    covered: Option<BTreeSet<ServiceName>>,
}

impl<'a> Planner<'a> {
    fn new(input: &'a PlanInput<'a>) -> Result<Self, Vec<PlanError>> {
        let graph = desired_graph(input.desired).map_err(|cycle| vec![PlanError::Cycle(cycle.to_string())])?;
        let renames = renames(input);
        let covered = covered(input, &graph)?;
        let merge = |(address, old): (&&'a Address, &Address)| {
            (*address, found_at(input.observed, address, Some(old)).into_owned())
        };
        let merged = renames.iter().map(merge).collect();
        Ok(Self { input, graph, renames, merged, covered })
    }

    fn covers(&self, service: &ServiceName) -> bool {
        self.covered.as_ref().is_none_or(|covered| covered.contains(service))
    }

    fn run(self) -> Result<Plan, Vec<PlanError>> {
        let mut errors = Vec::new();
        let mut drafts = BTreeMap::new();
        let mut unchanged = 0;
        if self.input.request.mode == Mode::Apply {
            unchanged = self.decide_wanted(&mut drafts);
        }
        self.decide_unwanted(&mut drafts);
        for (address, draft) in &drafts {
            if let Some(error) = self.protected(address, draft) {
                errors.push(error);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let disruptions = self.disruptions(&drafts);
        let warnings = self.warnings(&drafts);
        let (steps, rolls) = order(drafts, self.input, &self.graph);
        let max_parallel = self.max_parallel(&steps, &rolls);
        let drift = self.drift();
        Ok(Plan { steps, rolls, max_parallel, unchanged, drift, disruptions, warnings, ..plan_of(self.input) })
    }

    fn record_of(&self, address: &'a Address) -> (Option<&'a Record>, Option<&'a Pending>, &Observation) {
        let recorded = self.input.recorded;
        let at = self.renames.get(address).unwrap_or(address);
        let pending = recorded.pending.get(at).or_else(|| recorded.pending.get(address));
        let found = self.merged.get(address).or_else(|| self.input.observed.get(address));
        (recorded.records.get(at), pending, found.unwrap_or(&NOTHING))
    }

    /// Decides about every instance that the file wants, dependencies first, so that a replace or
    /// restart reaches those that follow it. Returns how many are as they should be.
    fn decide_wanted(&self, drafts: &mut BTreeMap<Address, Draft<'a>>) -> usize {
        let mut unchanged = 0;
        let mut by_service: BTreeMap<&ServiceName, Vec<(&'a Address, &'a Instance)>> = BTreeMap::new();
        for (address, instance) in self.input.desired {
            by_service.entry(&address.service).or_default().push((address, instance));
        }
        let mut moved: BTreeMap<&ServiceName, Action> = BTreeMap::new();
        for service in self.graph.order() {
            if !self.covers(service) {
                continue;
            }
            for &(address, wanted) in by_service.get(service).into_iter().flatten() {
                let (record, pending, found) = self.record_of(address);
                let renamed_from = self.renames.get(address).map(|old| &old.service);
                let known = Known { wanted, record, pending, found, renamed_from };
                match known.decide(self.push(wanted, record, &moved)) {
                    Some(decision) => {
                        // Of several copies the one that is new decides for those that follow.
                        let known = moved.entry(&address.service).or_insert(decision.action);
                        if renews(decision.action) {
                            *known = decision.action;
                        }
                        drafts.insert(address.clone(), self.draft(decision, Some(wanted), record, found, address));
                    }
                    None => unchanged += 1,
                }
            }
        }
        unchanged
    }

    /// What other steps, or the user, ask of an instance that may itself be as it should be.
    fn push(&self, wanted: &Instance, record: Option<&Record>, moved: &BTreeMap<&ServiceName, Action>) -> Option<Push> {
        let service = &wanted.service;
        if self.input.request.replace.contains(&service.name) {
            return Some(Push::Replace(Reason::Asked { by: format!("--replace {}", service.name) }));
        }
        record?;
        let renewed = |name: &&ServiceName| moved.get(name).is_some_and(|action| renews(*action));
        let follows = |service: &ServiceName| Reason::FollowsDependency { service: service.clone() };
        if let Some(source) = service.lifecycle.replace_triggered_by.iter().find(renewed) {
            return Some(Push::Replace(follows(source)));
        }
        let mut restarting = service.dependencies.iter().filter(|d| d.restart).map(|d| &d.service);
        restarting.find(renewed).map(|source| Push::Restart(follows(source)))
    }

    /// Decides about everything that is recorded or left by an interrupted run and not wanted.
    fn decide_unwanted(&self, drafts: &mut BTreeMap<Address, Draft<'a>>) {
        let Request { mode, .. } = self.input.request;
        let recorded = self.input.recorded;
        let renamed: BTreeSet<&Address> = self.renames.values().collect();
        let mut addresses: BTreeSet<&'a Address> = recorded.records.keys().chain(recorded.pending.keys()).collect();
        if *mode == Mode::Destroy {
            addresses.extend(self.input.observed.iter().filter(|(_, found)| !found.objects.is_empty()).map(|(a, _)| a));
        }
        for address in addresses {
            let wanted = self.input.desired.contains_key(address) && *mode != Mode::Destroy;
            if wanted && *mode != Mode::RefreshOnly || renamed.contains(address) || !self.covers(&address.service) {
                continue;
            }
            let record = recorded.records.get(address);
            let found = self.input.observed.get(address).unwrap_or(&NOTHING);
            if *mode == Mode::RefreshOnly && !is_gone(record, found) {
                continue;
            }
            let decision = decide_unwanted(record, found, self.unwanted_reason(address));
            // Its end was never written, and nothing came of it: the next write clears the note.
            if record.is_none()
                && decision.operations.is_empty()
                && *mode != Mode::Destroy
                && !recorded.pending.contains_key(address)
            {
                continue;
            }
            drafts.insert(address.clone(), self.draft(decision, None, record, found, address));
        }
    }

    fn unwanted_reason(&self, address: &Address) -> Reason {
        let recorded = self.input.recorded;
        let first = Address { key: InstanceKey::Only, ..address.clone() };
        let copies = self.input.desired.range(first..).take_while(|(other, _)| other.service == address.service);
        let wanted = u32::try_from(copies.count()).unwrap_or(u32::MAX);
        match recorded.pending.get(address) {
            _ if self.input.request.mode == Mode::Destroy => Reason::Destroy,
            Some(Pending { run, .. }) => Reason::Interrupted { run: RunId::clone(run) },
            None if self.input.inactive.contains(&address.service) => Reason::ProfileInactive,
            None if wanted > 0 => Reason::Scaled { replicas: wanted },
            None => Reason::RemovedFromFile,
        }
    }

    fn draft(
        &self,
        decision: Decision,
        wanted: Option<&'a Instance>,
        record: Option<&'a Record>,
        found: &Observation,
        address: &Address,
    ) -> Draft<'a> {
        let backend = match (wanted, record) {
            (Some(wanted), _) => wanted.service.spec.backend(),
            (None, Some(record)) => record.backend,
            (None, None) => found.objects.first().map_or(BackendKind::External, |object| object.backend),
        };
        Draft {
            parts: super::parts::parts(decision.action, wanted, record, &found.objects, &decision.changes),
            decision,
            backend,
            wanted,
            record,
            renamed_from: self.renames.get(address).cloned(),
            fingerprint: (self.input.looked && found.unreachable.is_none()).then(|| fingerprint(found)),
            timeout_ms: timeout_ms(wanted),
        }
    }

    /// `prevent_destroy` holds for what the file says, and for what it said when it was applied:
    /// removing a service from the file does not remove its protection.
    fn protected(&self, address: &Address, draft: &Draft<'_>) -> Option<PlanError> {
        let in_place = Action::Replace { order: ReplaceOrder::InPlace };
        let destroys = matches!(draft.decision.action, Action::Delete | Action::Replace { .. })
            && draft.decision.action != in_place;
        let wanted = draft.wanted.map(|wanted| wanted.service.lifecycle.prevent_destroy);
        let recorded = draft.record.is_some_and(|record| record.prevent_destroy);
        let is_job = draft.record.is_some_and(|record| record.kind == Kind::Job);
        (destroys && !is_job && wanted.unwrap_or(recorded)).then(|| PlanError::Protected {
            address: address.clone(),
            action: draft.decision.action,
            reason: draft.decision.reason.clone(),
        })
    }

    fn drift(&self) -> Vec<DriftNote> {
        let recorded = self.input.recorded;
        let addresses: BTreeSet<&Address> = recorded.records.keys().chain(self.input.observed.keys()).collect();
        let mut notes = Vec::new();
        for address in addresses.into_iter().filter(|address| self.covers(&address.service)) {
            let found = self.input.observed.get(address).unwrap_or(&NOTHING);
            let pending = recorded.pending.contains_key(address);
            for drift in drift(recorded.records.get(address), pending, found) {
                notes.push(DriftNote { address: address.clone(), drift });
            }
        }
        notes
    }

    /// Who stays up and loses something that it depends on.
    fn disruptions(&self, drafts: &BTreeMap<Address, Draft<'_>>) -> Vec<Disruption> {
        if self.input.request.mode == Mode::Destroy {
            return Vec::new();
        }
        let interrupted: BTreeMap<&ServiceName, Action> = drafts
            .iter()
            .filter(|(_, draft)| {
                draft.decision.action.interrupts() && draft.record.is_some_and(|r| r.kind != Kind::Job)
            })
            .map(|(address, draft)| (&address.service, draft.decision.action))
            .collect();
        let up: BTreeSet<&ServiceName> = self
            .input
            .recorded
            .records
            .iter()
            .filter(|(_, record)| record.status == RecordStatus::Healthy && record.kind != Kind::Job)
            .map(|(address, _)| &address.service)
            .collect();
        let disruption = |(service, action): (&&ServiceName, &Action)| {
            let dependents = self.graph.dependents(service);
            let stays = |dependent: &&ServiceName| up.contains(dependent) && !interrupted.contains_key(*dependent);
            let affects = dependents.filter(stays).cloned().collect();
            Disruption { service: (*service).clone(), action: *action, affects }
        };
        interrupted.iter().map(disruption).collect()
    }

    /// How many steps run at once. Steps on many machines cost this one little, and a batch is as large
    /// as the file says.
    fn max_parallel(&self, steps: &[Step], rolls: &[Roll]) -> usize {
        if self.input.max_parallel_given {
            return self.input.max_parallel;
        }
        let remote = steps.iter().any(|step| matches!(step.address.key, InstanceKey::Host(_)));
        let batch = rolls.iter().flat_map(|roll| &roll.batches).map(Vec::len).max().unwrap_or(0);
        self.input.max_parallel.max(if remote { REMOTE_PARALLEL } else { 0 }).max(batch)
    }

    /// The machines that could not be asked, once each.
    fn unreachable(&self) -> Vec<Warning> {
        let mut why: BTreeMap<&str, usize> = BTreeMap::new();
        for found in
            self.input.observed.iter().filter(|(address, _)| self.covers(&address.service)).map(|(_, found)| found)
        {
            if let Some(message) = &found.unreachable {
                *why.entry(message).or_default() += 1;
            }
        }
        let warning = |(message, instances): (&str, usize)| {
            let what = if instances == 1 { "what runs there is" } else { "all that runs there is" };
            Warning {
                address: None,
                message: format!(
                    "{message}; {what} taken to be as it is recorded (`orch doctor` says what can be done)"
                ),
            }
        };
        why.into_iter().map(warning).collect()
    }

    fn warnings(&self, drafts: &BTreeMap<Address, Draft<'_>>) -> Vec<Warning> {
        let recorded = self.input.recorded;
        let mut warnings = self.unreachable();
        for (address, found) in self.input.observed {
            let known = recorded.records.contains_key(address)
                || recorded.pending.contains_key(address)
                || self.input.desired.contains_key(address)
                || drafts.contains_key(address);
            if !known && !found.objects.is_empty() && self.covers(&address.service) {
                let message = "runs, but neither the file nor the state knows it: write it in the file to adopt it, or take it down with `orch destroy`";
                warnings.push(Warning { address: Some(address.clone()), message: message.to_owned() });
            }
            let starts =
                drafts.get(address).is_some_and(|d| !matches!(d.decision.action, Action::Delete | Action::Forget));
            if starts {
                warnings.extend(found.conflicts.iter().map(|conflict| Warning {
                    address: Some(address.clone()),
                    message: format!("{} is taken by {}, which orch does not own", conflict.what, conflict.holder),
                }));
            }
        }
        warnings
    }
}

/// A plan without steps, stamped with what it is made from.
pub(super) fn plan_of(input: &PlanInput<'_>) -> Plan {
    Plan {
        format: PLAN_FORMAT,
        project: input.project.clone(),
        mode: input.request.mode,
        created_at: input.now,
        lineage: input.recorded.lineage.clone(),
        serial: input.recorded.serial,
        source: input.source.clone(),
        inputs: input.inputs.clone(),
        pins: input.pins.clone(),
        max_parallel: input.max_parallel,
        on_failure: input.on_failure,
        steps: Vec::new(),
        rolls: Vec::new(),
        unchanged: 0,
        drift: Vec::new(),
        disruptions: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Whether an action makes what depends on the service follow it, where it is to.
fn renews(action: Action) -> bool {
    matches!(action, Action::Replace { .. } | Action::Restart | Action::Create)
}

/// Whether what is recorded has nothing left to it. A job that ended is not gone.
fn is_gone(record: Option<&Record>, found: &Observation) -> bool {
    record.is_some_and(|r| r.backend != BackendKind::External && r.kind != Kind::Job) && found.objects.is_empty()
}

/// What was found of an instance: at its address, and at the one that it is renamed from. A run that
/// was killed in a rename leaves objects under both.
#[must_use]
pub fn found_at<'o>(
    observed: &'o BTreeMap<Address, Observation>,
    address: &Address,
    renamed_from: Option<&Address>,
) -> Cow<'o, Observation> {
    let at = |address| observed.get(address).unwrap_or(&NOTHING);
    let Some(old) = renamed_from.map(at) else { return Cow::Borrowed(at(address)) };
    let new = at(address);
    if new.objects.is_empty() {
        return Cow::Borrowed(old);
    }
    let mut merged = old.clone();
    merged.objects.extend(new.objects.iter().cloned());
    merged.objects.sort_by(|a, b| a.op_id.cmp(&b.op_id));
    merged.health = merged.health.or_else(|| new.health.clone());
    Cow::Owned(merged)
}

/// The digest of what was observed and would make a plan wrong if it changed: which objects there
/// are, what they carry and which incarnation runs; not counters, times or a passing probe.
#[must_use]
pub fn fingerprint(found: &Observation) -> Digest {
    let mut text = String::new();
    for object in &found.objects {
        let incarnation = object.incarnation.as_deref().unwrap_or("-");
        let parts = [object.id.as_str(), object.op_id.as_str(), &object.revision.to_string(), incarnation];
        text.push_str(&parts.join("\n"));
        text.push_str(&object.state.to_string());
        text.extend(object.drift.iter().map(|drift| drift.detail.as_str()));
    }
    Digest::of(text.as_bytes())
}

fn desired_graph(desired: &BTreeMap<Address, Instance>) -> Result<Graph, crate::graph::Cycle> {
    let services: BTreeMap<&ServiceName, &Instance> =
        desired.iter().map(|(address, instance)| (&address.service, instance)).collect();
    Graph::build(services.iter().map(|(name, instance)| {
        let depends = instance.service.dependencies.iter().map(|dependency| &dependency.service);
        // What replaces a service when it changes comes before it, as a dependency does.
        (*name, depends.chain(&instance.service.lifecycle.replace_triggered_by))
    }))
}

/// The recorded address of each instance that the file renames and that has not been renamed yet.
fn renames<'a>(input: &PlanInput<'a>) -> BTreeMap<&'a Address, Address> {
    let recorded = input.recorded;
    let old_address = |(address, instance): (&'a Address, &'a Instance)| {
        // An intent at the new address alone is a rename that was killed: it is still to be done.
        let is_open = |old: &Address| {
            let moved = recorded.records.contains_key(old) && !recorded.records.contains_key(address);
            moved && !input.desired.contains_key(old)
        };
        let renamed =
            instance.service.renamed_from.clone().map(|from| Address { service: from, key: address.key.clone() });
        // The first of several copies is the one that had no number, and the other way round.
        let numbered = match address.key {
            InstanceKey::Only => Some(InstanceKey::Replica(0)),
            InstanceKey::Replica(0) => Some(InstanceKey::Only),
            _ => None,
        };
        let numbered = numbered.map(|key| Address { key, ..address.clone() });
        renamed.into_iter().chain(numbered).find(is_open).map(|old| (address, old))
    };
    input.desired.iter().filter_map(old_address).collect()
}

/// The services that `--target` and `--exclude` leave; `None` when all.
fn covered(input: &PlanInput<'_>, graph: &Graph) -> Result<Option<BTreeSet<ServiceName>>, Vec<PlanError>> {
    let Request { target, exclude, replace, mode } = input.request;
    let recorded = input.recorded.records.keys().map(|address| &address.service);
    let known: BTreeSet<&ServiceName> = recorded.chain(input.desired.keys().map(|a| &a.service)).collect();
    let unknown = |name: &&ServiceName| !known.contains(name);
    let errors: Vec<_> = target
        .iter()
        .chain(exclude)
        .filter(unknown)
        .chain(replace.iter().filter(|name| !input.desired.keys().any(|address| address.service == **name)))
        .map(|name| PlanError::UnknownService { name: name.clone() })
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    if target.is_empty() && exclude.is_empty() {
        return Ok(None);
    }
    // The order of a destroy is the reverse: what depends on a target goes with it.
    let recorded_graph = recorded_graph(input);
    let mut covered: BTreeSet<ServiceName> = match (target.is_empty(), mode) {
        (true, _) => known.into_iter().cloned().collect(),
        (false, Mode::Destroy) => with(target, recorded_graph.dependents_of(target)),
        (false, _) => with(target, graph.dependencies_of(target)),
    };
    let without = match mode {
        Mode::Destroy => with(exclude, recorded_graph.dependencies_of(exclude)),
        _ => with(exclude, graph.dependents_of(exclude)),
    };
    covered.retain(|name| !without.contains(name));
    Ok(Some(covered))
}

fn with(names: &BTreeSet<ServiceName>, more: BTreeSet<&ServiceName>) -> BTreeSet<ServiceName> {
    names.iter().chain(more).cloned().collect()
}

/// The graph as it was applied. A cycle there (the file was changed and applied in part) is cut by
/// leaving out the dependencies of the services on it, which only the order of a delete knows.
pub(super) fn recorded_graph(input: &PlanInput<'_>) -> Graph {
    let records = &input.recorded.records;
    let mut cut: BTreeSet<ServiceName> = BTreeSet::new();
    loop {
        let services = records.iter().map(|(address, record)| {
            let keep = !cut.contains(&address.service);
            let depends = record.dependencies.iter().filter(move |_| keep).map(|dependency| &dependency.service);
            (&address.service, depends)
        });
        match Graph::build(services) {
            Ok(graph) => return graph,
            Err(cycle) => cut.extend(cycle.path),
        }
    }
}
