//! What to do about something that others run: there is nothing to touch, only to wait for.

use super::{Decision, Known, Push, existing, remove_all};
use crate::model::BackendKind;
use crate::plan::{Action, GateBy, Operation, Reason, ReplaceOrder};
use crate::state::RecordStatus;

impl Known<'_> {
    pub(super) fn decide_external(&self, push: Option<Push>) -> Option<Decision> {
        let diff = self.diff();
        let wait = vec![Operation::Gate { object: None, by: GateBy::Checks }];
        let Some(record) = self.record else {
            let reason = self.interrupted().unwrap_or(Reason::New);
            let mut operations = wait;
            operations.extend(remove_all(&self.found.objects));
            return self.make(diff, Action::Create, reason, operations, Vec::new());
        };
        if record.backend != BackendKind::External || !self.found.objects.is_empty() {
            // What ran here is stopped and kept until the one outside answers.
            let up: Vec<_> = self.found.objects.iter().filter(|object| object.is_up()).collect();
            let mut operations: Vec<_> = up.iter().map(|o| Operation::Stop { object: existing(o) }).collect();
            operations.extend(wait);
            operations.extend(remove_all(&self.found.objects));
            let rollback = up.iter().map(|o| Operation::Start { object: existing(o) }).collect();
            let reason = self.change_reason(&diff);
            let action = Action::Replace { order: ReplaceOrder::DestroyBeforeCreate };
            return self.make(diff, action, reason, operations, rollback);
        }
        let reason = match push {
            Some(Push::Replace(reason) | Push::Restart(reason)) => Some(reason),
            None => None,
        };
        let reason = reason
            .or_else(|| self.interrupted())
            .or_else(|| (record.status == RecordStatus::Failed).then_some(Reason::FailedBefore))
            .or_else(|| self.renamed_from.map(|from| Reason::Renamed { from: from.clone() }))
            .or_else(|| (!diff.changes.is_empty()).then(|| Reason::Changed { fields: diff.reason_fields() }))
            .or_else(|| self.unhealthy());
        let reason = reason?;
        let only_recorded = matches!(reason, Reason::Changed { .. } | Reason::Renamed { .. }) && !diff.touches_checks();
        let operations = if only_recorded { Vec::new() } else { wait };
        self.make(diff, Action::Update, reason, operations, Vec::new())
    }
}
