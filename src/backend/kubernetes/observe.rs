//! What a service in a cluster is doing, and how it differs from what was applied.

use super::apply::MANAGER;
use super::inventory::{Broken, Inventory, Slot, Version};
use super::{KIND, KubernetesBackend, object_id};
use crate::backend::BackendError;
use crate::backend::kube::{Difference, Rollout, Verdict, object};
use crate::model::{Digest, Drift, DriftKind, Exit, Health, KubeId, KubeObject, ObjectState, ObservedObject, Repair};

/// An exit of which nothing is known.
const UNKNOWN: Exit = Exit { code: None, signal: None, out_of_memory: false };

impl KubernetesBackend {
    /// How far the workloads of a service are.
    pub(super) async fn rollout(&self, slot: &Slot, inventory: &Inventory) -> Result<Rollout, BackendError> {
        let ids: Vec<KubeId> = match inventory.stands_for() {
            Some(version) => version.objects(&slot.namespace).into_iter().map(|object| object.id).collect(),
            None => Vec::new(),
        };
        self.kube.rollout(&slot.cluster, &ids).await
    }

    /// A service as it is now; `thoroughly` compares its objects with what was applied too.
    pub(super) async fn observe(
        &self,
        slot: &Slot,
        inventory: &Inventory,
        thoroughly: bool,
    ) -> Result<Option<ObservedObject>, BackendError> {
        let Some(version) = inventory.stands_for() else { return Ok(None) };
        let rollout = self.rollout(slot, inventory).await?;
        let compares = thoroughly && !inventory.stopped && inventory.pending.is_none();
        let differences = if compares { self.differences(slot, version).await? } else { Vec::new() };
        Ok(Some(observed(slot, inventory, version, &rollout, &differences)))
    }

    async fn differences(&self, slot: &Slot, version: &Version) -> Result<Vec<Difference>, BackendError> {
        let target = self.target_of(slot, String::new());
        // What is stamped is compared too: without it, the server would take the stamps away.
        let stamped = version
            .objects(&slot.namespace)
            .into_iter()
            .filter_map(|declared| object(target.stamped(&declared, version.restart.as_ref()), &slot.namespace).ok());
        let stamped: Vec<KubeObject> = stamped.collect();
        let differences = self.kube.drift(&slot.cluster, &stamped, MANAGER).await?;
        // A job that is done may be taken away by the cluster, and a namespace may be another's.
        let counts = |it: &Difference| match it.id.kind.as_str() {
            "Job" => !it.is_gone,
            "Namespace" => it.is_gone,
            _ => true,
        };
        Ok(differences.into_iter().filter(counts).collect())
    }
}

fn observed(
    slot: &Slot,
    inventory: &Inventory,
    version: &Version,
    rollout: &Rollout,
    differences: &[Difference],
) -> ObservedObject {
    let verdict = rollout.verdict(&slot.namespace);
    let (ready, all) = rollout.count();
    let is_down = rollout.workloads.iter().all(|seen| seen.left == 0);
    let count = || format!("{ready} of {all} workloads are up");
    let (state, health, failure, exit) = match verdict {
        _ if inventory.stopped && is_down => (ObjectState::Stopped, None, None, None),
        Verdict::Ready => (ObjectState::Running, Some((true, count())), None, None),
        Verdict::Progressing(how_far) => (ObjectState::Starting, Some((false, how_far)), None, None),
        Verdict::Missing => (ObjectState::Starting, Some((false, count())), None, None),
        Verdict::Failed { why, exit, crashes } => {
            let state = match (crashes, &exit) {
                (true, exit) => ObjectState::CrashLoop(exit.clone().unwrap_or(UNKNOWN)),
                (false, Some(exit)) => ObjectState::Exited(exit.clone()),
                (false, None) => ObjectState::Starting,
            };
            (state, Some((false, why.clone())), Some(why), exit)
        }
    };
    let mut drift: Vec<Drift> = differences.iter().map(|difference| told(slot, difference)).collect();
    if inventory.pending.is_some() {
        drift.push(Drift { kind: DriftKind::Config, detail: "its last apply did not end".to_owned() });
    }
    let repair = (!drift.is_empty()).then_some(Repair::Update);
    if let Some(why) = &failure {
        drift.push(Drift { kind: DriftKind::Health, detail: why.clone() });
    }
    ObservedObject {
        incarnation: (state != ObjectState::Stopped)
            .then(|| format!("{} {}", version.op_id, version.restart.as_ref().unwrap_or(&version.op_id))),
        since: Some(inventory.since),
        restarts: rollout.restarts(),
        last_exit: exit,
        drift,
        repair,
        reported: health.map(|(healthy, detail)| Health { healthy, detail }),
        failure,
        ..ObservedObject::new(
            KIND,
            object_id(slot),
            version.op_id.clone(),
            inventory.address.clone(),
            version.revision,
            state,
        )
    }
}

fn told(slot: &Slot, difference: &Difference) -> Drift {
    let name = difference.id.within(&slot.namespace);
    if difference.is_gone {
        return Drift { kind: DriftKind::Missing, detail: format!("{name} is gone") };
    }
    Drift { kind: DriftKind::Config, detail: format!("{name}: {}", difference.fields.join(", ")) }
}

/// An inventory that cannot be read; `None` where it does not even say of what it is.
pub(super) fn broken(slot: &Slot, broken: &Broken) -> Option<ObservedObject> {
    let drift =
        vec![Drift { kind: DriftKind::Identity, detail: format!("{} cannot be read: {}", slot.stamp(), broken.why) }];
    Some(ObservedObject {
        drift,
        ..ObservedObject::new(
            KIND,
            object_id(slot),
            broken.op_id.clone(),
            broken.address.clone()?,
            Digest::of(b""),
            ObjectState::Lost,
        )
    })
}
