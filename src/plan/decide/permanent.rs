//! What to do about a service that runs until it is stopped.

use super::{Decision, Known, Push, existing, gate, remove, remove_all};
use crate::model::{
    BackendKind, Claim, Effect, HealthCheck, Instance, ObjectState, ObservedObject, Probe, Repair, Spec,
};
use crate::plan::diff::Diff;
use crate::plan::{Action, GateBy, ObjectRef, Operation, Reason, ReplaceOrder};
use crate::state::RecordStatus;

/// The gate of an old version that comes back: the file's checks only where they are still its own,
/// those that run a command in the service's environment only where that is still the same too.
fn gate_back(object: &ObservedObject, wanted: &Instance, diff: &Diff) -> Operation {
    let runs = |check: &HealthCheck| matches!(check.probe, Probe::Command { .. } | Probe::Script { .. });
    let others = diff.touches_checks() || (wanted.service.checks.iter().any(runs) && diff.touches_environment());
    let by = if others { GateBy::Running } else { GateBy::Checks };
    Operation::Gate { object: Some(existing(object)), by }
}

impl<'a> Known<'a> {
    pub(super) fn decide_permanent(&self, push: Option<Push>) -> Option<Decision> {
        let diff = self.diff();
        let Some(current) = self.current() else {
            return self.create_missing(diff);
        };
        if current.state == ObjectState::Lost {
            return self.replace_lost(current, diff);
        }
        if let Some(Push::Replace(reason)) = push {
            return self.replace(current, diff, reason);
        }
        if current.revision != self.wanted.revision {
            let reason = self.change_reason(&diff);
            let same_definition = self.record.is_some_and(|record| record.revision == current.revision);
            // Where a restart cannot give the object its new revision, only a new object has it.
            // A slot has its definition in it, which a restart alone does not change.
            let restarts = current.backend.restamps() && (!current.backend.is_slot() || diff.only_trigger().is_some());
            if same_definition && diff.effect == Some(Effect::Restart) && restarts {
                return self.restart(current, diff, reason);
            }
            return self.replace(current, diff, reason);
        }
        // A limit that cannot be lifted while it runs is not in the revision, since it can be set.
        let as_recorded = self.record.is_some_and(|record| record.revision == current.revision);
        if as_recorded && self.pending.is_none() && diff.effect == Some(Effect::Replace) {
            let reason = self.change_reason(&diff);
            return self.replace(current, diff, reason);
        }
        if let Some(decision) = self.settle_record(current) {
            return Some(decision);
        }
        let drifted = || {
            let detail = current.drift.first().map(|drift| drift.detail.clone()).unwrap_or_default();
            Reason::Drifted { detail }
        };
        match current.repair {
            Some(Repair::Restart) => return self.restart(current, diff, drifted()),
            Some(Repair::Update) => {
                let operations = vec![Operation::Update { object: existing(current) }, gate(existing(current))];
                return self.make(diff, Action::Update, drifted(), operations, Vec::new());
            }
            None => {}
        }
        if let Some(Push::Restart(reason)) = push {
            return self.restart(current, diff, reason);
        }
        if let Some(reason) = self.unhealthy() {
            return self.restart(current, diff, reason);
        }
        self.update_in_place(current, diff)
    }

    fn create_missing(&self, diff: Diff) -> Option<Decision> {
        let reason = self.interrupted().unwrap_or_else(|| match self.record {
            Some(record) if record.backend != self.wanted.service.spec.backend() => {
                Reason::Moved { from: record.backend }
            }
            Some(record) if record.status == RecordStatus::Failed => Reason::FailedBefore,
            Some(_) => Reason::Drifted { detail: "nothing of it is left".to_owned() },
            None => Reason::New,
        });
        self.make(diff, Action::Create, reason, vec![Operation::Create, gate(ObjectRef::New)], Vec::new())
    }

    /// The keeper is gone and with it what a rollback would need: what is left goes first.
    fn replace_lost(&self, lost: &ObservedObject, diff: Diff) -> Option<Decision> {
        let mut operations = remove_all(&self.found.objects);
        operations.extend([Operation::Create, gate(ObjectRef::New)]);
        let detail =
            lost.drift.first().map_or_else(|| "its supervisor is gone".to_owned(), |drift| drift.detail.clone());
        let reason = self.interrupted().unwrap_or(Reason::Drifted { detail });
        self.make(diff, Action::Create, reason, operations, Vec::new())
    }

    /// What to do when the wanted revision is there but down, or not recorded as it is.
    fn settle_record(&self, current: &'a ObservedObject) -> Option<Decision> {
        let recorded = self.record.filter(|record| {
            record.object.as_ref() == Some(&current.id)
                && record.op_id == current.op_id
                && record.revision == current.revision
        });
        if !current.is_up() {
            let (action, reason) = match (self.interrupted(), self.status()) {
                (Some(reason), _) => (Action::Restart, reason),
                (None, Some(RecordStatus::Stopped)) => (Action::Start, Reason::WasStopped),
                (None, Some(RecordStatus::Failed)) => (Action::Restart, Reason::FailedBefore),
                (None, _) => (Action::Restart, Reason::Drifted { detail: current.state.to_string() }),
            };
            let decision = self.restart(current, self.diff(), reason)?;
            return Some(Decision { action, ..decision });
        }
        if self.pending.is_none()
            && let Some(record) = recorded
        {
            return match record.status {
                RecordStatus::Failed => self.replace(current, self.diff(), Reason::FailedBefore),
                RecordStatus::Healthy if self.others(current).next().is_none() => None,
                _ => self.adopt(current),
            };
        }
        self.adopt(current)
    }

    fn adopt(&self, current: &'a ObservedObject) -> Option<Decision> {
        let reason = self.interrupted().unwrap_or_else(|| match self.record {
            None => Reason::FoundRunning,
            Some(_) => Reason::Drifted { detail: format!("{} runs in its place", current.op_id) },
        });
        let mut operations = vec![Operation::Update { object: existing(current) }, gate(existing(current))];
        operations.extend(remove_all(self.others(current)));
        // A replace that was interrupted before its gate left the old one stopped: it still can go back.
        let parked = self.others(current).find(|object| self.can_go_back_to(object));
        let mut diff = self.diff();
        // What runs has the wanted revision already: nothing forces more.
        diff.changes.iter_mut().for_each(|change| change.forces = false);
        let mut rollback = parked.map_or_else(Vec::new, |old| {
            vec![remove(current), Operation::Start { object: existing(old) }, gate_back(old, self.wanted, &diff)]
        });
        let switched = self.record.is_some_and(|record| record.revision != current.revision);
        if current.backend.is_slot() && switched && self.can_go_back_to(current) {
            rollback = vec![Operation::Revert { object: existing(current) }, gate_back(current, self.wanted, &diff)];
        }
        let decision = self.make(diff, Action::Adopt, reason, operations, rollback.clone())?;
        Some(Decision { adopts: Some(current.op_id.clone()), undo: rollback, ..decision })
    }

    fn can_go_back_to(&self, object: &ObservedObject) -> bool {
        if object.backend.is_slot() {
            // What was interrupted, or stopped by hand, still has its last healthy definition beside it.
            return self.record.is_some_and(|record| {
                record.status == RecordStatus::Healthy && record.object.as_ref() == Some(&object.id)
            });
        }
        let recorded = self.record.is_some_and(|record| {
            record.status == RecordStatus::Healthy
                && record.object.as_ref() == Some(&object.id)
                && record.revision == object.revision
        });
        recorded && (object.is_up() || matches!(object.state, ObjectState::Stopped | ObjectState::Exited(_)))
    }

    fn restart(&self, current: &ObservedObject, diff: Diff, reason: Reason) -> Option<Decision> {
        let mut operations = remove_all(self.others(current));
        if diff.touches_object || current.address != self.wanted.address {
            operations.push(Operation::Update { object: existing(current) });
        }
        operations.extend([Operation::Restart { object: existing(current) }, gate(existing(current))]);
        self.make(diff, Action::Restart, reason, operations, Vec::new())
    }

    /// Whether the wanted definition goes into the object that there is: a unit of the same name, say.
    fn stays_the_object(&self, current: &ObservedObject, diff: &Diff) -> bool {
        let backend = self.wanted.service.spec.backend();
        // Of an object without a record only the backend knows the name, and it is asked by the address.
        backend.is_slot()
            && current.backend == backend
            && (self.record.is_none() || diff.effect != Some(Effect::Replace))
    }

    /// Gives the object another definition. Its backend keeps the one before, so that a failure, and a
    /// roll that stops later, can go back to it.
    fn switch(&self, current: &ObservedObject, diff: Diff, reason: Reason) -> Option<Decision> {
        let object = existing(current);
        let mut operations = remove_all(self.others(current));
        operations.extend([Operation::Switch { object: object.clone() }, gate(object.clone())]);
        let back = if self.can_go_back_to(current) {
            vec![Operation::Revert { object }, gate_back(current, self.wanted, &diff)]
        } else {
            Vec::new()
        };
        let order = ReplaceOrder::InPlace;
        let decision = self.make(diff, Action::Replace { order }, reason, operations, back.clone())?;
        Some(Decision { undo: back, ..decision })
    }

    fn replace(&self, current: &ObservedObject, diff: Diff, reason: Reason) -> Option<Decision> {
        if matches!(self.wanted.service.spec, Spec::Network(_)) {
            return self.replace_network(diff, reason);
        }
        if self.stays_the_object(current, &diff) {
            return self.switch(current, diff, reason);
        }
        let stops_first = self.stops_first();
        let service = &self.wanted.service;
        // A release that moves is another one in another place, and none can be stopped.
        let by_itself = match service.spec.backend() {
            BackendKind::Docker => stops_first.is_none(),
            BackendKind::Helm => true,
            _ => false,
        };
        let create_first = current.is_up()
            && match service.lifecycle.create_before_destroy {
                Some(wanted) => wanted && !self.must_stop_first(),
                None => by_itself,
            };
        let order = if create_first { ReplaceOrder::CreateBeforeDestroy } else { ReplaceOrder::DestroyBeforeCreate };
        let go_back = self.can_go_back_to(current);
        // A leftover of an interrupted run may hold the port, and only one old version is kept.
        let mut operations = remove_all(self.others(current));
        let mut rollback = Vec::new();
        if go_back {
            rollback.push(Operation::Remove { object: ObjectRef::New, volumes: false });
        }
        if !create_first {
            if current.is_up() {
                operations.push(Operation::Stop { object: existing(current) });
            }
            if go_back {
                rollback
                    .extend([Operation::Start { object: existing(current) }, gate_back(current, self.wanted, &diff)]);
            }
        }
        operations.extend([Operation::Create, gate(ObjectRef::New), remove(current)]);
        let undo = match (go_back, create_first) {
            (false, _) => Vec::new(),
            (true, true) => {
                let back = [Operation::Start { object: existing(current) }, gate_back(current, self.wanted, &diff)];
                back.into_iter().chain(rollback.iter().cloned()).collect()
            }
            (true, false) => rollback.clone(),
        };
        let decision = self.make(diff, Action::Replace { order }, reason, operations, rollback)?;
        Some(Decision { stops_first: stops_first.filter(|_| !create_first && current.is_up()), undo, ..decision })
    }

    /// What the new one and the old one cannot both have. Of an old one that is not recorded nothing
    /// is known, so that it may have all that the new one wants.
    fn shared_claims(&self) -> Vec<Claim> {
        let mut claims = self.wanted.service.spec.claims();
        if let Some(record) = self.record {
            claims.retain(|claim| record.claims.contains(claim));
        }
        claims
    }

    /// Why the old one must stop before the new one starts; `None` when it need not, or when only the
    /// user knows, as for a process.
    fn stops_first(&self) -> Option<String> {
        if self.wanted.service.spec.backend() != BackendKind::Docker {
            return None;
        }
        Some(match self.shared_claims().into_iter().next()? {
            Claim::Volume(name) => format!("volume {name} has one writer"),
            Claim::Name(name) => format!("the name {name} is fixed"),
            other @ (Claim::Port { .. } | Claim::At { .. }) => format!("{other} cannot be held twice"),
        })
    }

    /// Whether no wish of the user's can bring the new one up beside the old one.
    fn must_stop_first(&self) -> bool {
        let engine = self.wanted.service.spec.backend() == BackendKind::Docker;
        engine && self.shared_claims().iter().any(|claim| !matches!(claim, Claim::Volume(_)))
    }

    /// Two networks with one subnet cannot be, so that the old one goes first; what is in it is
    /// replaced after it.
    fn replace_network(&self, diff: Diff, reason: Reason) -> Option<Decision> {
        let mut operations = remove_all(&self.found.objects);
        operations.extend([Operation::Create, gate(ObjectRef::New)]);
        let order = ReplaceOrder::DestroyBeforeCreate;
        self.make(diff, Action::Replace { order }, reason, operations, Vec::new())
    }

    fn update_in_place(&self, current: &ObservedObject, diff: Diff) -> Option<Decision> {
        let reason = self.update_reason(Some(current), &diff)?;
        let mut operations = Vec::new();
        if diff.touches_object || current.address != self.wanted.address {
            operations.push(Operation::Update { object: existing(current) });
        }
        if diff.touches_checks() {
            operations.push(gate(existing(current)));
        }
        self.make(diff, Action::Update, reason, operations, Vec::new())
    }

    /// The object that is, or was last meant to be, this instance.
    fn current(&self) -> Option<&'a ObservedObject> {
        let objects = &self.found.objects;
        let wanted = |object: &&ObservedObject| object.is_up() && object.revision == self.wanted.revision;
        let recorded = self.record.and_then(|record| record.object.as_ref());
        let attempted = self.pending.map(|pending| &pending.op_id);
        objects
            .iter()
            .filter(wanted)
            .max_by_key(|object| (Some(&object.op_id) == attempted, Some(&object.id) == recorded, &object.op_id))
            .or_else(|| objects.iter().find(|object| Some(&object.id) == recorded))
            .or_else(|| objects.iter().max_by_key(|object| (object.is_up(), &object.op_id)))
    }

    fn status(&self) -> Option<RecordStatus> {
        self.record.map(|record| record.status)
    }
}
