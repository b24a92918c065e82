//! How what was found differs from what is recorded.

use crate::model::{BackendKind, Drift, DriftKind, Kind, ObjectState, Observation};
use crate::state::{Record, RecordStatus};

/// How what was found differs from what is recorded.
pub(super) fn drift(record: Option<&Record>, pending: bool, found: &Observation) -> Vec<Drift> {
    let mut list = Vec::new();
    let mut note = |kind, detail: String| list.push(Drift { kind, detail });
    if let Some(record) = record
        && !pending
        && record.backend != BackendKind::External
        && record.kind != Kind::Job
    {
        let own = found.objects.iter().find(|object| record.object.as_ref() == Some(&object.id));
        match own {
            None if record.object.is_none() => {}
            None if found.objects.is_empty() => note(DriftKind::Missing, "nothing of it is left".to_owned()),
            None => note(DriftKind::Identity, format!("{} runs in its place", found.objects[0].op_id)),
            Some(object) if object.state == ObjectState::Lost && object.drift.is_empty() => {
                note(DriftKind::Missing, "its supervisor is gone".to_owned());
            }
            Some(object) if !object.is_up() && record.status == RecordStatus::Healthy => {
                note(DriftKind::Missing, object.state.to_string());
            }
            Some(_) => {}
        }
    }
    for drift in found.objects.iter().flat_map(|object| &object.drift) {
        note(drift.kind, drift.detail.clone());
    }
    if let Some(health) = found.health.as_ref().filter(|health| !health.healthy) {
        note(DriftKind::Health, health.detail.clone());
    }
    for conflict in &found.conflicts {
        note(DriftKind::Unmanaged, format!("{} is taken by {}", conflict.what, conflict.holder));
    }
    list
}
