//! What to do about a job, which runs to completion.

use super::{Decision, Known, Push, existing, gate, remove_all};
use crate::model::{Effect, ObjectState, ObservedObject};
use crate::plan::diff::Diff;
use crate::plan::{Action, ObjectRef, Operation, Reason, ReplaceOrder};
use crate::state::RecordStatus;

impl Known<'_> {
    pub(super) fn decide_job(&self, push: Option<Push>) -> Option<Decision> {
        let diff = self.diff();
        let completed = self.pending.is_none()
            && self.record.is_some_and(|r| r.status == RecordStatus::Completed && r.revision == self.wanted.revision);
        if completed && push.is_none() {
            return self.update_completed_job(diff);
        }
        let wanted = |object: &&ObservedObject| object.revision == self.wanted.revision;
        let useful = |object: &&ObservedObject| match &object.state {
            ObjectState::Exited(exit) => exit.is_success() && self.pending.is_some(),
            _ => object.is_up(),
        };
        if push.is_none()
            && let Some(running) = self.found.objects.iter().filter(wanted).find(useful)
        {
            let reason = self.interrupted().unwrap_or(Reason::FoundRunning);
            let mut operations = vec![gate(existing(running))];
            operations.extend(remove_all(self.others(running)));
            let decision = self.make(diff, Action::Adopt, reason, operations, Vec::new())?;
            return Some(Decision { adopts: Some(running.op_id.clone()), ..decision });
        }
        let operations = self.run_job();
        let (action, reason) = match (push, self.record) {
            (Some(Push::Replace(reason) | Push::Restart(reason)), Some(_)) => (Action::Restart, reason),
            (_, None) => (Action::Create, self.interrupted().unwrap_or(Reason::New)),
            (None, Some(record)) if record.revision == self.wanted.revision => {
                let failed = record.status == RecordStatus::Failed;
                let otherwise = if failed { Reason::FailedBefore } else { Reason::WasStopped };
                (Action::Restart, self.interrupted().unwrap_or(otherwise))
            }
            (None, Some(_)) => {
                let reason = self.change_reason(&diff);
                let order = ReplaceOrder::DestroyBeforeCreate;
                let only_trigger = diff.effect == Some(Effect::Restart);
                (if only_trigger { Action::Restart } else { Action::Replace { order } }, reason)
            }
        };
        self.make(diff, action, reason, operations, Vec::new())
    }

    /// A job runs anew as a new object. One that still runs goes first, one that ended is kept as
    /// evidence until the new one is done.
    fn run_job(&self) -> Vec<Operation> {
        let ended = |object: &&ObservedObject| matches!(object.state, ObjectState::Exited(_));
        if self.wanted.service.spec.backend().is_slot() {
            // It is the same object that runs again, so that nothing of the run before can be kept.
            let mut operations = remove_all(&self.found.objects);
            operations.extend([Operation::Create, gate(ObjectRef::New)]);
            return operations;
        }
        let (ended, running): (Vec<_>, Vec<_>) = self.found.objects.iter().partition(ended);
        let mut operations = remove_all(running);
        operations.extend([Operation::Create, gate(ObjectRef::New)]);
        operations.extend(remove_all(ended));
        operations
    }

    fn update_completed_job(&self, diff: Diff) -> Option<Decision> {
        let current = self
            .found
            .objects
            .iter()
            .find(|object| self.record.and_then(|record| record.object.as_ref()) == Some(&object.id));
        let reason = self.update_reason(current, &diff)?;
        let renamed = current.filter(|object| object.address != self.wanted.address);
        let operations = renamed.map(|object| Operation::Update { object: existing(object) }).into_iter().collect();
        self.make(diff, Action::Update, reason, operations, Vec::new())
    }
}
