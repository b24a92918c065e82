//! What changes a service in a cluster: the intent goes into its inventory first, its end comes last.

use std::time::Duration;

use super::apply::Target;
use super::inventory::{Inventory, Slot, Version};
use super::{KubernetesBackend, unreadable};
use crate::backend::kube::{Seen, Verdict};
use crate::backend::{BackendError, OpContext};
use crate::model::{Instance, KubernetesSpec, ObjectId, Spec};
use crate::sys;

/// How often pods that are to go are looked at.
const PAUSE: Duration = Duration::from_millis(200);

impl KubernetesBackend {
    fn target<'a>(&'a self, slot: &'a Slot, op: &OpContext) -> Target<'a> {
        self.target_of(slot, op.address.to_string())
    }

    pub(super) fn target_of<'a>(&'a self, slot: &'a Slot, what: String) -> Target<'a> {
        Target { kube: &self.kube, owner: &self.owner, slot, what }
    }

    async fn write(&self, slot: &Slot, inventory: &mut Inventory) -> Result<(), BackendError> {
        inventory.since = sys::now();
        slot.write(&self.kube, &self.owner, inventory).await
    }

    /// Applies what an instance wants, as a new service or in the place of what it was.
    pub(super) async fn make(&self, op: &OpContext, slot: &Slot, instance: &Instance) -> Result<(), BackendError> {
        let found = match slot.read(&self.kube, &self.owner).await? {
            Some(Ok(inventory)) => Some(inventory),
            Some(Err(broken)) => return Err(unreadable(slot, &broken)),
            None => None,
        };
        let applied = found.as_ref().and_then(|inventory| inventory.current.as_ref());
        if applied.is_some_and(|version| version.op_id == op.op_id)
            && found.as_ref().is_some_and(|inventory| inventory.pending.is_none() && !inventory.stopped)
        {
            return Ok(());
        }
        let restart = applied.and_then(|version| version.restart.clone());
        let version = Version { restart, ..version(op, instance)? };
        let mut inventory = found.unwrap_or_else(|| Inventory {
            address: op.address.clone(),
            current: None,
            previous: None,
            pending: None,
            leftovers: Vec::new(),
            stopped: false,
            since: sys::now(),
        });
        inventory.address = op.address.clone();
        let previous = inventory.current.clone().or_else(|| inventory.previous.clone());
        self.place(op, slot, &mut inventory, version, previous).await
    }

    /// Applies a version: the intent, the objects, and the end.
    async fn place(
        &self,
        op: &OpContext,
        slot: &Slot,
        inventory: &mut Inventory,
        version: Version,
        previous: Option<Version>,
    ) -> Result<(), BackendError> {
        let target = self.target(slot, op);
        target.own_or_new(&version.objects(&slot.namespace)).await?;
        target.make_namespaces(&version).await?;
        crate::crash_point!("kubernetes.namespaces");
        // What a killed run began may have made objects that are in no other version.
        if let Some(begun) = inventory.pending.replace(version.clone()) {
            inventory.leftovers.extend(begun.objects);
        }
        inventory.stopped = false;
        self.write(slot, inventory).await?;
        crate::crash_point!("kubernetes.begun");
        target.place(&version, inventory).await?;
        inventory.current = Some(version);
        inventory.previous = previous;
        inventory.pending = None;
        inventory.leftovers.clear();
        self.write(slot, inventory).await?;
        crate::crash_point!("kubernetes.ended");
        Ok(())
    }

    /// Applies what was applied again, or finishes what a killed run began, with the address and the rules of now.
    pub(super) async fn renew(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (slot, mut inventory) = self.read(id).await?;
        inventory.address = op.address.clone();
        let Some(mut version) = inventory.stands_for().cloned() else { return Ok(()) };
        rules(&mut version, instance);
        let previous = inventory.previous.clone();
        self.place(op, &slot, &mut inventory, version, previous).await
    }

    /// Brings back what was before the attempt that the op-id names.
    pub(super) async fn go_back(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let (slot, mut inventory) = self.read(id).await?;
        let is_that = |version: &Option<Version>| version.as_ref().is_some_and(|it| it.op_id == op.op_id);
        let back = if is_that(&inventory.current) {
            inventory.previous.clone().ok_or_else(|| {
                BackendError::new(format!("what {} was before is not kept", op.address))
                    .with_hint("correct the manifests, and apply again")
            })?
        } else {
            // That switch did not come to its end, or went back already: what is kept is what was before.
            match inventory.stands_for().cloned() {
                Some(version) => version,
                None => return Ok(()),
            }
        };
        // What is kept as the version before would else be what has just failed.
        let keep = if is_that(&inventory.current) { None } else { inventory.previous.clone() };
        crate::crash_point!("kubernetes.revert.before");
        self.place(op, &slot, &mut inventory, back, keep).await
    }

    /// Applies what was applied again with new pods.
    pub(super) async fn again(&self, op: &OpContext, id: &ObjectId, instance: &Instance) -> Result<(), BackendError> {
        let (slot, mut inventory) = self.read(id).await?;
        inventory.address = op.address.clone();
        let Some(mut version) = inventory.stands_for().cloned() else { return Ok(()) };
        rules(&mut version, instance);
        version.op_id = op.op_id.clone();
        version.revision = instance.revision;
        version.restart = Some(op.op_id.clone());
        let previous = inventory.previous.clone();
        self.place(op, &slot, &mut inventory, version, previous).await
    }

    /// Brings up what was stopped.
    pub(super) async fn raise(&self, id: &ObjectId) -> Result<(), BackendError> {
        let (slot, mut inventory) = self.read(id).await?;
        if !inventory.stopped && inventory.pending.is_none() {
            return Ok(());
        }
        let Some(version) = inventory.stands_for().cloned() else { return Ok(()) };
        let target = self.target_of(&slot, inventory.address.to_string());
        inventory.stopped = false;
        self.write(&slot, &mut inventory).await?;
        target.place(&version, &inventory).await
    }

    /// Takes the workloads down and keeps everything else; returns once no pod is left.
    pub(super) async fn lower(&self, id: &ObjectId) -> Result<(), BackendError> {
        let slot = self.slot(id)?;
        let Some(found) = slot.read(&self.kube, &self.owner).await? else { return Ok(()) };
        let mut inventory = found.map_err(|broken| unreadable(&slot, &broken))?;
        let Some(version) = inventory.stands_for().cloned() else { return Ok(()) };
        if !inventory.stopped {
            inventory.stopped = true;
            self.write(&slot, &mut inventory).await?;
        }
        crate::crash_point!("kubernetes.stop.begun");
        let target = self.target_of(&slot, inventory.address.to_string());
        let (down, gone) = target.lowered(version.objects(&slot.namespace));
        let down = target.own_or_new(&down).await?;
        target.apply(&down, &Version { force: true, ..version.clone() }).await?;
        target.delete(gone).await?;
        loop {
            let rollout = self.rollout(&slot, &inventory).await?;
            let up = |seen: &Seen| seen.left > 0 || matches!(seen.verdict, Verdict::Progressing(_));
            if !rollout.workloads.iter().any(|seen| seen.id.kind != "PersistentVolumeClaim" && up(seen)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        crate::crash_point!("kubernetes.stop.ended");
        Ok(())
    }

    /// Deletes what is orch's of every version, and then the inventory.
    pub(super) async fn take_away(&self, op: &OpContext, id: &ObjectId) -> Result<(), BackendError> {
        let slot = self.slot(id)?;
        let Some(found) = slot.read(&self.kube, &self.owner).await? else { return Ok(()) };
        let Ok(inventory) = found else {
            // Nobody knows what it had, so that it stays.
            return slot.delete(&self.kube).await;
        };
        let target = self.target(&slot, op);
        let every = inventory.every(&slot.namespace);
        let (last, rest): (Vec<_>, Vec<_>) =
            every.into_iter().partition(|object| object.id.kind == "Namespace" && object.id.name == slot.namespace);
        target.delete(rest).await?;
        crate::crash_point!("kubernetes.remove.deleted");
        // The inventory goes with the namespace that it is in.
        target.delete(last).await?;
        slot.delete(&self.kube).await?;
        crate::crash_point!("kubernetes.remove.done");
        Ok(())
    }
}

/// The version that an instance wants.
fn version(op: &OpContext, instance: &Instance) -> Result<Version, BackendError> {
    let unrendered = || BackendError::new("the manifests were not read").with_hint("plan again");
    let Spec::Kubernetes(spec) = &instance.service.spec else { return Err(unrendered()) };
    let KubernetesSpec { objects: Some(objects), prune, server_side, force_conflicts, .. } = &**spec else {
        return Err(unrendered());
    };
    let read = |error: serde_json::Error| BackendError::new(format!("cannot read an object: {error}"));
    let objects: Result<Vec<serde_json::Value>, _> =
        objects.iter().map(|object| serde_json::from_str(object.json.reveal())).collect();
    Ok(Version {
        op_id: op.op_id.clone(),
        revision: instance.revision,
        objects: objects.map_err(read)?,
        prune: *prune,
        server_side: *server_side,
        force: *force_conflicts,
        restart: None,
    })
}

/// Takes over how the file says now that objects are applied; a verb has no file.
fn rules(version: &mut Version, instance: &Instance) {
    if let Spec::Kubernetes(spec) = &instance.service.spec {
        version.prune = spec.prune;
        version.server_side = spec.server_side;
        version.force = spec.force_conflicts;
    }
}
