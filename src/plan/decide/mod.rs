//! What to do about one instance, from what is wanted, recorded and found of it.

mod external;
mod job;
mod permanent;

use super::diff::Diff;
use super::{Action, Change, GateBy, ObjectRef, Operation, Reason};
use crate::model::{BackendKind, Instance, Kind, Observation, ObservedObject, OpId, ServiceName, Spec};
use crate::state::{Pending, Record};

/// What is known of one instance that the file wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) wanted: &'a Instance,
    pub(super) record: Option<&'a Record>,
    pub(super) pending: Option<&'a Pending>,
    pub(super) found: &'a Observation,
    /// The name it had before, when this plan renames it.
    pub(super) renamed_from: Option<&'a ServiceName>,
}

/// What is to be done about it.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) reason: Reason,
    pub(super) changes: Vec<Change>,
    pub(super) operations: Vec<Operation>,
    pub(super) rollback: Vec<Operation>,
    /// The op-id of an object that is taken over as it is.
    pub(super) adopts: Option<OpId>,
    /// Why the old one of a replace must stop first, where it is not by choice.
    pub(super) stops_first: Option<String>,
    /// What puts the version before back once the step was done, for a roll that stops.
    pub(super) undo: Vec<Operation>,
}

/// Why an instance is replaced or restarted although nothing about itself asks for it.
#[derive(Debug, Clone)]
pub(super) enum Push {
    Replace(Reason),
    Restart(Reason),
}

fn existing(object: &ObservedObject) -> ObjectRef {
    ObjectRef::Existing { backend: object.backend, id: object.id.clone() }
}

fn remove(object: &ObservedObject) -> Operation {
    Operation::Remove { object: existing(object), volumes: false }
}

fn remove_all<'o>(objects: impl IntoIterator<Item = &'o ObservedObject>) -> Vec<Operation> {
    objects.into_iter().map(remove).collect()
}

fn gate(object: ObjectRef) -> Operation {
    Operation::Gate { object: Some(object), by: GateBy::Checks }
}

impl<'a> Known<'a> {
    /// The decision; `None` when all is as it should be.
    pub(super) fn decide(&self, push: Option<Push>) -> Option<Decision> {
        match (self.wanted.service.spec.backend(), self.wanted.service.kind) {
            (BackendKind::External, _) => self.decide_external(push),
            (_, Kind::Job) => self.decide_job(push),
            (_, Kind::Permanent | Kind::Periodic) => self.decide_permanent(push),
        }
    }

    fn diff(&self) -> Diff {
        match self.record {
            Some(record) => Diff::between(record.backend, &record.fields, &self.wanted.fields),
            None => Diff::all_new(&self.wanted.fields),
        }
    }

    fn make(
        &self,
        diff: Diff,
        action: Action,
        reason: Reason,
        mut operations: Vec<Operation>,
        rollback: Vec<Operation>,
    ) -> Option<Decision> {
        let makes = |operation: &Operation| matches!(operation, Operation::Create | Operation::Switch { .. });
        if needs_preparation(&self.wanted.service.spec) && operations.iter().any(makes) {
            operations.insert(0, Operation::Prepare);
        }
        self.confirm(&mut operations);
        Some(Decision {
            action,
            reason,
            changes: diff.changes,
            operations,
            rollback,
            adopts: None,
            stops_first: None,
            undo: Vec::new(),
        })
    }

    /// A host that is to be told that it can still be reached is told before anything else.
    fn confirm(&self, operations: &mut Vec<Operation>) {
        let wanted = self.wanted.service.strategy.as_ref().and_then(|strategy| strategy.confirm);
        let arms = |operation: &Operation| match operation {
            Operation::Switch { object } => Some(object.clone()),
            Operation::Create => Some(ObjectRef::New),
            _ => None,
        };
        let armed = operations.iter().enumerate().find_map(|(index, operation)| Some((index, arms(operation)?)));
        if let (Some(_), Some((index, object))) = (wanted, armed) {
            operations.insert(index + 1, Operation::Confirm { object });
        }
    }

    /// The reason that interruption gives, which comes before any other.
    fn interrupted(&self) -> Option<Reason> {
        self.pending.map(|pending| Reason::Interrupted { run: pending.run.clone() })
    }

    /// Why something that is recorded and not as wanted has to change: for its reason only.
    fn change_reason(&self, diff: &Diff) -> Reason {
        if let Some(reason) = self.interrupted() {
            return reason;
        }
        match self.record {
            Some(record) if record.backend != self.wanted.service.spec.backend() => {
                Reason::Moved { from: record.backend }
            }
            Some(record) if diff.only_image_moved() => {
                let image = record.fields.get("image").map(ToString::to_string).unwrap_or_default();
                Reason::ImageMoved { image }
            }
            Some(_) => match diff.only_trigger() {
                Some(path) => Reason::Triggered { path: path.to_owned() },
                None => Reason::Changed { fields: diff.reason_fields() },
            },
            None => Reason::FoundRunning,
        }
    }

    /// Why what runs as it is wanted is updated all the same; `None` when it need not be.
    fn update_reason(&self, current: Option<&ObservedObject>, diff: &Diff) -> Option<Reason> {
        let stamped = current.map(|object| &object.address).filter(|address| **address != self.wanted.address);
        if let Some(from) = self.renamed_from.or(stamped.map(|address| &address.service)) {
            return Some(Reason::Renamed { from: from.clone() });
        }
        (!diff.changes.is_empty()).then(|| Reason::Changed { fields: diff.reason_fields() })
    }

    fn unhealthy(&self) -> Option<Reason> {
        let health = self.found.health.as_ref().filter(|health| !health.healthy)?;
        Some(Reason::Unhealthy { detail: health.detail.clone() })
    }

    fn others(&self, current: &ObservedObject) -> impl Iterator<Item = &'a ObservedObject> {
        let id = current.id.clone();
        self.found.objects.iter().filter(move |object| object.id != id)
    }
}

/// What to do about an instance that the file does not want: it goes, or its record does.
pub(super) fn decide_unwanted(record: Option<&Record>, found: &Observation, reason: Reason) -> Decision {
    let volumes = record.is_some_and(|record| record.fields.contains_key("remove_volumes"));
    let remove = |object| Operation::Remove { object: existing(object), volumes };
    let operations: Vec<_> = found.objects.iter().map(remove).collect();
    let (action, reason) = match (operations.is_empty(), record) {
        (true, Some(record)) if record.backend == BackendKind::External => (Action::Forget, reason),
        (true, _) => (Action::Forget, Reason::AlreadyGone),
        (false, _) => (Action::Delete, reason),
    };
    let changes = record.map(|record| {
        let gone = |(path, value): (&String, &_)| Change {
            path: path.clone(),
            old: Some(Clone::clone(value)),
            new: None,
            forces: false,
        };
        record.fields.iter().map(gone).collect()
    });
    Decision {
        action,
        reason,
        changes: changes.unwrap_or_default(),
        operations,
        rollback: Vec::new(),
        adopts: None,
        stops_first: None,
        undo: Vec::new(),
    }
}

/// Whether something is got before the object is made: an image, a package, a program.
fn needs_preparation(spec: &Spec) -> bool {
    match spec {
        Spec::Docker(_) | Spec::Compose(_) | Spec::Package(_) => true,
        Spec::Ssh(spec) => spec.upload.is_some(),
        Spec::Process(_)
        | Spec::Network(_)
        | Spec::Systemd(_)
        | Spec::Helm(_)
        | Spec::Kubernetes(_)
        | Spec::Wireguard(_)
        | Spec::External(_) => false,
    }
}
