//! How the changes of a service go over its copies: which steps are a roll, and in which batches.

use std::collections::BTreeMap;

use super::order::{Draft, Needs};
use super::{Action, Milestone, ObjectRef, Operation};
use crate::model::{Address, InstanceKey, OnFailure, Pause, RollFailure, ServiceName, Strategy};

/// A roll whose steps have no numbers yet: they are indices of drafts.
#[derive(Debug)]
pub(super) struct RollDraft {
    pub(super) service: ServiceName,
    pub(super) batches: Vec<Vec<usize>>,
    pub(super) canary: bool,
    pub(super) max_failures: usize,
    pub(super) pause: Option<Pause>,
    pub(super) on_failure: RollFailure,
}

/// The rolls of a plan. The first step of each batch needs one of the batch before, so that the order
/// of a plan is the order of its batches; the executor holds the others back.
///
/// Copies that run already are changed one after the other where the file has no strategy, so that the
/// others go on serving; new ones are made all at once.
pub(super) fn rolls(
    needs: &mut [Needs],
    addresses: &[&Address],
    list: &[&Draft<'_>],
    by_service: &BTreeMap<&ServiceName, Vec<usize>>,
    on_failure: OnFailure,
) -> Vec<RollDraft> {
    let usual = Strategy::default();
    let mut rolls = Vec::new();
    for (service, steps) in by_service.iter().filter(|(_, steps)| steps.len() > 1) {
        let given = steps.iter().find_map(|&index| list[index].wanted?.service.strategy.as_ref());
        let strategy = given.unwrap_or(&usual);
        let mut members: Vec<usize> =
            steps.iter().copied().filter(|&index| is_change(list[index], given.is_some())).collect();
        if members.len() < 2 {
            continue;
        }
        members.sort_by_key(|&index| place(addresses[index], list[index]));
        let mut left = members.as_slice();
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for size in strategy.batches(members.len()) {
            let (batch, rest) = left.split_at(size);
            if let Some(before) = batches.last().and_then(|before| before.last()) {
                batch.iter().for_each(|&step| {
                    needs[step].insert(*before, Milestone::Done);
                });
            }
            batches.push(batch.to_vec());
            left = rest;
        }
        let by_plan = if on_failure == OnFailure::Rollback { RollFailure::Rollback } else { RollFailure::Halt };
        rolls.push(RollDraft {
            service: (*service).clone(),
            batches,
            canary: strategy.canary > 0,
            max_failures: strategy.max_failures.of(members.len()),
            pause: strategy.pause,
            on_failure: strategy.on_failure.unwrap_or(by_plan),
        });
    }
    rolls
}

/// Whether a step is one that a roll holds back.
fn is_change(draft: &Draft<'_>, strategy: bool) -> bool {
    let decision = &draft.decision;
    let changes = match decision.action {
        Action::Replace { .. } | Action::Restart | Action::Update => true,
        Action::Create => strategy,
        // What a killed roll changed already belongs to the roll that goes on, and goes back with it.
        Action::Adopt => !decision.undo.is_empty(),
        Action::Delete | Action::Forget | Action::Stop | Action::Start => false,
    };
    changes && draft.wanted.is_some() && !decision.operations.is_empty()
}

/// Where a copy stands among those of its service: hosts in the order of the file.
fn place(address: &Address, draft: &Draft<'_>) -> (usize, Address) {
    let hosts = draft.wanted.and_then(|wanted| wanted.service.hosts.as_ref());
    let at = match (&address.key, hosts) {
        (InstanceKey::Host(host), Some(hosts)) => hosts.iter().position(|machine| *machine.name == **host),
        _ => None,
    };
    (at.unwrap_or(0), address.clone())
}

/// What a step has to do otherwise, since the roll that it is part of may still have to go back: the
/// old one is kept, stopped, until the roll has ended. Gives what is done then.
pub(super) fn keep_for_undo(operations: &mut Vec<Operation>) -> Vec<Operation> {
    let gate = operations.iter().position(|operation| matches!(operation, Operation::Gate { .. }));
    let Some(gate) = gate else { return Vec::new() };
    let stopped: Vec<ObjectRef> = operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::Stop { object } => Some(object.clone()),
            _ => None,
        })
        .collect();
    let mut after = Vec::new();
    for operation in operations.split_off(gate + 1) {
        match &operation {
            Operation::Remove { object, .. } => {
                if !stopped.contains(object) {
                    operations.push(Operation::Stop { object: object.clone() });
                }
                after.push(operation);
            }
            _ => operations.push(operation),
        }
    }
    after
}
