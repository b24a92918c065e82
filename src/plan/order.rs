//! The order of a plan: what each step needs, its wave and its number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::decide::Decision;
use super::input::PlanInput;
use super::roll::{RollDraft, keep_for_undo, rolls};
use super::{Action, Milestone, Need, Operation, Part, Roll, Step, StepId};
use crate::graph::Graph;
use crate::model::{Address, BackendKind, Claim, Condition, Digest, Instance, RollFailure, ServiceName};
use crate::state::Record;

/// A step without its place in the order.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) decision: Decision,
    pub(super) backend: BackendKind,
    pub(super) wanted: Option<&'a Instance>,
    pub(super) record: Option<&'a Record>,
    pub(super) parts: Vec<Part>,
    pub(super) renamed_from: Option<Address>,
    pub(super) fingerprint: Option<Digest>,
    pub(super) timeout_ms: u64,
}

/// What a draft needs before it, by the index of the draft.
pub(super) type Needs = BTreeMap<usize, Milestone>;

/// Puts drafts in order: each after all that it needs, in waves, by address within a wave.
pub(super) fn order(
    drafts: BTreeMap<Address, Draft<'_>>,
    input: &PlanInput<'_>,
    graph: &Graph,
) -> (Vec<Step>, Vec<Roll>) {
    let addresses: Vec<&Address> = drafts.keys().collect();
    let list: Vec<&Draft<'_>> = drafts.values().collect();
    let mut by_service: BTreeMap<&ServiceName, Vec<usize>> = BTreeMap::new();
    for (index, address) in addresses.iter().enumerate() {
        by_service.entry(&address.service).or_default().push(index);
    }
    let mut needs: Vec<Needs> = vec![Needs::new(); list.len()];
    forward_needs(&mut needs, &list, &by_service, input, graph);
    let wanted = needs.clone();
    reverse_needs(&mut needs, &addresses, &list, &by_service, input, |_, step| goes(list[step]));
    let firm = needs.clone();
    reverse_needs(&mut needs, &addresses, &list, &by_service, input, |dependent, step| {
        goes(list[dependent]) && list[step].decision.action.interrupts()
    });
    claim_needs(&mut needs, &list);
    let rolls = rolls(&mut needs, &addresses, &list, &by_service, input.on_failure);
    let waves = waves(&mut needs, [&firm, &wanted]);

    let mut places: Vec<usize> = (0..list.len()).collect();
    places.sort_by_key(|&index| (waves[index], addresses[index]));
    let mut ids = vec![StepId(0); list.len()];
    for (place, &index) in places.iter().enumerate() {
        ids[index] = StepId(u32::try_from(place + 1).unwrap_or(u32::MAX));
    }
    let mut slots: Vec<Option<(Address, Draft<'_>)>> = drafts.into_iter().map(Some).collect();
    let step = |index: usize| {
        let (address, draft) = slots[index].take()?;
        let mut needs: Vec<Need> =
            needs[index].iter().map(|(&step, &milestone)| Need { step: ids[step], milestone }).collect();
        needs.sort();
        Some(into_step(ids[index], waves[index], needs, address, draft))
    };
    let mut steps: Vec<Step> = places.into_iter().filter_map(step).collect();
    let rolls = rolls.into_iter().map(|roll| number(roll, &ids)).collect::<Vec<_>>();
    let goes_back = |roll: &&Roll| roll.on_failure == RollFailure::Rollback;
    let rolled: BTreeSet<StepId> =
        rolls.iter().filter(goes_back).flat_map(|roll| roll.batches.iter().flatten()).copied().collect();
    for step in &mut steps {
        if !rolled.contains(&step.id) {
            step.undo.clear();
        } else if !step.undo.is_empty() {
            step.after = keep_for_undo(&mut step.operations);
        }
    }
    (steps, rolls)
}

fn number(roll: RollDraft, ids: &[StepId]) -> Roll {
    let batch = |batch: Vec<usize>| {
        let mut batch: Vec<StepId> = batch.into_iter().map(|index| ids[index]).collect();
        batch.sort();
        batch
    };
    let RollDraft { service, batches, canary, max_failures, pause, on_failure } = roll;
    let batches = batches.into_iter().map(batch).collect();
    Roll { service, batches, canary, max_failures, pause, on_failure }
}

fn into_step(id: StepId, wave: u32, needs: Vec<Need>, address: Address, draft: Draft<'_>) -> Step {
    let Decision { action, reason, changes, operations, rollback, adopts, stops_first, undo } = draft.decision;
    let strategy = draft.wanted.and_then(|wanted| wanted.service.strategy.as_ref());
    let confirms = operations.iter().any(|operation| matches!(operation, Operation::Confirm { .. }));
    let gates = operations.iter().any(|operation| matches!(operation, Operation::Gate { .. }));
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Step {
        id,
        address,
        renamed_from: draft.renamed_from,
        backend: draft.backend,
        action,
        reason,
        stops_first,
        changes,
        parts: draft.parts,
        needs,
        wave,
        operations,
        rollback,
        undo,
        after: Vec::new(),
        min_healthy_ms: strategy.filter(|_| gates).map_or(0, |strategy| millis(strategy.min_healthy_time)),
        confirm_ms: strategy.and_then(|strategy| strategy.confirm).filter(|_| confirms).map(millis),
        revision: draft.wanted.map(|wanted| wanted.revision),
        adopts,
        takes_over: None,
        fingerprint: draft.fingerprint,
        timeout_ms: draft.timeout_ms,
        expected_ms: draft.record.map(|record| record.took_ms).filter(|_| draft.wanted.is_some()),
    }
}

/// A step comes after the steps of what it depends on. A service without a step hands on what it
/// waits for itself, so that a step two services away still comes first.
fn forward_needs(
    needs: &mut [Needs],
    list: &[&Draft<'_>],
    by_service: &BTreeMap<&ServiceName, Vec<usize>>,
    input: &PlanInput<'_>,
    graph: &Graph,
) {
    let desired: BTreeMap<&ServiceName, &Instance> = input.desired.iter().map(|(a, i)| (&a.service, i)).collect();
    let mut handed_on: BTreeMap<&ServiceName, Rc<BTreeSet<usize>>> = BTreeMap::new();
    let nothing = Rc::new(BTreeSet::new());
    for service in graph.order() {
        let Some(instance) = desired.get(service) else { continue };
        let own = by_service.get(service).filter(|own| own.iter().any(|&index| list[index].wanted.is_some()));
        let mut inherited = nothing.clone();
        let follows = instance.service.lifecycle.replace_triggered_by.iter().map(|name| (name, Condition::Healthy));
        let depends = instance.service.dependencies.iter().map(|d| (&d.service, d.condition));
        for (dependency, condition) in depends.chain(follows) {
            let milestone = if condition == Condition::Started { Milestone::Started } else { Milestone::Done };
            // A copy that goes since the service has fewer is nothing to wait for.
            let steps = by_service
                .get(dependency)
                .map(|steps| steps.iter().copied().filter(|&step| list[step].wanted.is_some()).collect::<Vec<_>>());
            match steps.as_ref().filter(|steps| !steps.is_empty()) {
                Some(steps) => {
                    for &index in own.into_iter().flatten() {
                        for &step in steps {
                            let need = needs[index].entry(step).or_insert(milestone);
                            *need = (*need).max(milestone);
                        }
                    }
                    if own.is_none() {
                        Rc::make_mut(&mut inherited).extend(steps);
                    }
                }
                None => {
                    let further = handed_on.get(dependency).unwrap_or(&nothing);
                    if inherited.is_empty() {
                        inherited = further.clone();
                    } else if !further.is_empty() && !Rc::ptr_eq(&inherited, further) {
                        Rc::make_mut(&mut inherited).extend(further.iter());
                    }
                }
            }
        }
        match own {
            Some(own) => {
                for &index in own {
                    for &step in inherited.iter() {
                        needs[index].insert(step, Milestone::Done);
                    }
                }
            }
            None => {
                handed_on.insert(service, inherited);
            }
        }
    }
}

fn goes(draft: &Draft<'_>) -> bool {
    matches!(draft.decision.action, Action::Delete | Action::Forget)
}

/// Lets steps wait for the steps of what was applied as depending on them, where `waits(dependent,
/// step)` says so: what goes away goes after its dependents; a service that is interrupted waits for
/// its dependents that go.
fn reverse_needs(
    needs: &mut [Needs],
    addresses: &[&Address],
    list: &[&Draft<'_>],
    by_service: &BTreeMap<&ServiceName, Vec<usize>>,
    input: &PlanInput<'_>,
    waits: impl Fn(usize, usize) -> bool,
) {
    for (dependent, draft) in list.iter().enumerate() {
        let Some(record) = draft.record.or_else(|| input.recorded.records.get(addresses[dependent])) else { continue };
        for dependency in &record.dependencies {
            for &step in by_service.get(&dependency.service).into_iter().flatten() {
                if step != dependent && waits(dependent, step) {
                    needs[step].entry(dependent).or_insert(Milestone::Done);
                }
            }
        }
    }
}

/// What goes away frees its ports, volumes and names before a step that wants them.
fn claim_needs(needs: &mut [Needs], list: &[&Draft<'_>]) {
    let mut freed: BTreeMap<&Claim, usize> = BTreeMap::new();
    for (index, draft) in list.iter().enumerate() {
        if let (Action::Delete, Some(record)) = (draft.decision.action, draft.record) {
            freed.extend(record.claims.iter().map(|claim| (claim, index)));
        }
    }
    if freed.is_empty() {
        return;
    }
    for (index, draft) in list.iter().enumerate() {
        for claim in draft.wanted.map(|wanted| wanted.service.spec.claims()).into_iter().flatten() {
            if let Some(&by) = freed.get(&claim).filter(|&&by| by != index) {
                needs[index].entry(by).or_insert(Milestone::Done);
            }
        }
    }
}

/// The wave of each draft. Dependencies of the file have no cycle; what was applied before, or a
/// port that two services swap, may close one. Then needs are dropped, of the smallest address first:
/// those beyond the first floor, and only if that is not enough those beyond the second.
fn waves(needs: &mut [Needs], floors: [&[Needs]; 2]) -> Vec<u32> {
    let count = needs.len();
    let mut waiting: Vec<usize> = needs.iter().map(BTreeMap::len).collect();
    let mut unlocks: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, needs) in needs.iter().enumerate() {
        needs.keys().for_each(|&step| unlocks[step].push(index));
    }
    let mut waves = vec![1; count];
    let mut placed = vec![false; count];
    let mut ready: VecDeque<usize> = (0..count).filter(|&index| waiting[index] == 0).collect();
    let mut candidates = floors.into_iter().flat_map(|floor| (0..count).map(move |index| (floor, index)));
    loop {
        while let Some(index) = ready.pop_front() {
            placed[index] = true;
            for &dependent in &unlocks[index] {
                if placed[dependent] || !needs[dependent].contains_key(&index) {
                    continue;
                }
                waves[dependent] = waves[dependent].max(waves[index] + 1);
                waiting[dependent] -= 1;
                if waiting[dependent] == 0 {
                    ready.push_back(dependent);
                }
            }
        }
        let stuck = candidates.find(|&(floor, index)| !placed[index] && needs[index].len() > floor[index].len());
        let Some((floor, stuck)) = stuck else { return waves };
        let soft = |step: &usize| !placed[*step] && !floor[stuck].contains_key(step);
        let dropped: Vec<usize> = needs[stuck].keys().copied().filter(soft).collect();
        for step in dropped {
            needs[stuck].remove(&step);
            waiting[stuck] -= 1;
        }
        if waiting[stuck] == 0 {
            ready.push_back(stuck);
        }
    }
}
