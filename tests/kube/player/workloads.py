"""The part of the controllers of Deployments, ReplicaSets, StatefulSets and DaemonSets."""

import hashlib
import json

from .clock import now, seconds_since
from .kubelet import is_ready

REVISION = "deployment.kubernetes.io/revision"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def hash_of(template):
    """A short name for a template."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:10])


def owner_of(object):
    versions = {"Job": "batch/v1"}
    return {
        "apiVersion": versions.get(object["kind"], "apps/v1"), "kind": object["kind"],
        "name": object["metadata"]["name"], "uid": object["metadata"]["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def pod_from(owner, template, labels=(), **metadata):
    """A pod as a controller makes it."""
    given = template.get("metadata") or {}
    made = {
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), **dict(labels)},
        "ownerReferences": [owner_of(owner)],
        **metadata,
    }
    if given.get("annotations"):
        made["annotations"] = given["annotations"]
    return {"apiVersion": "v1", "metadata": made, "spec": template["spec"]}


def condition(object, type, status, reason, message):
    """A condition of a workload, which keeps its times while it says the same."""
    old = next((one for one in (object.get("status") or {}).get("conditions", []) if one["type"] == type), {})
    same = (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message)
    return {
        "type": type, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": (old.get("lastTransitionTime") if old.get("status") == status else None) or now(),
        "lastUpdateTime": old["lastUpdateTime"] if same else now(),
    }  # fmt: skip


class Workloads:
    def __init__(self, player):
        self.player, self.cache = player, player.cache

    # ---------------------------------------------------------------- replica sets

    def replica_set(self, rs):
        wanted = rs["spec"].get("replicas", 1)
        pods = [pod for pod in self.cache.owned("Pod", rs) if not pod["metadata"].get("deletionTimestamp")]
        for pod in [pod for pod in pods if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")]:
            pods.remove(pod)
        for pod in sorted(pods, key=is_ready)[: max(0, len(pods) - wanted)]:
            self.cache.delete(pod)
            self.player.event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", "replicaset-controller")
            pods.remove(pod)
        for _ in range(wanted - len(pods)):
            pod = self.cache.create("Pod", pod_from(rs, rs["spec"]["template"], generateName=rs["metadata"]["name"] + "-"))
            self.player.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", "replicaset-controller")
            pods.append(pod)
        ready = sum(1 for pod in pods if is_ready(pod))
        self.cache.set_status(rs, {
            "observedGeneration": rs["metadata"].get("generation", 1), "replicas": len(pods),
            "fullyLabeledReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready,
        })  # fmt: skip

    # ---------------------------------------------------------------- deployments

    def deployment(self, deployment):
        spec, name = deployment["spec"], deployment["metadata"]["name"]
        wanted, key = spec.get("replicas", 1), hash_of(spec["template"])
        sets = self.cache.owned("ReplicaSet", deployment)
        current = next((rs for rs in sets if rs["metadata"]["labels"].get("pod-template-hash") == key), None)
        old = [rs for rs in sets if rs is not current]
        revisions = [int(rs["metadata"].get("annotations", {}).get(REVISION, 0)) for rs in old]
        revision = max(revisions, default=0) + 1
        if spec.get("paused"):
            return self._deployment_status(deployment, current, old, wanted)
        recreate = spec.get("strategy", {}).get("type") == "Recreate"
        still = sum((rs.get("status") or {}).get("replicas", 0) for rs in old)
        size = 0 if recreate and still else wanted
        if current is None:
            current = self.cache.create("ReplicaSet", self._set_of(deployment, key, size, str(revision)))
            self.player.event(deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name}-{key} from 0 to {size}", "deployment-controller")  # fmt: skip
        else:
            newest = str(max(int(current["metadata"].get("annotations", {}).get(REVISION, 0)), revision))
            current = self.cache.patch(current, {"metadata": {"annotations": {REVISION: newest}}, "spec": {"replicas": size}})
        has = current["metadata"]["annotations"][REVISION]
        deployment = self.cache.patch(deployment, {"metadata": {"annotations": {REVISION: has}}})
        ready = (current.get("status") or {}).get("readyReplicas", 0)
        room = 0 if recreate else max(0, wanted - ready)
        for rs in reversed(old):
            keep = min(rs["spec"].get("replicas", 0), room)
            room -= keep
            self.cache.patch(rs, {"spec": {"replicas": keep}})
        self._forget(old, spec.get("revisionHistoryLimit", 10))
        self._deployment_status(deployment, current, self.cache.owned("ReplicaSet", deployment), wanted)

    @staticmethod
    def _set_of(deployment, key, size, revision):
        spec, metadata = deployment["spec"], deployment["metadata"]
        template = json.loads(json.dumps(spec["template"]))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels["pod-template-hash"] = key
        selector = json.loads(json.dumps(spec["selector"]))
        selector.setdefault("matchLabels", {})["pod-template-hash"] = key
        made = {
            "name": f"{metadata['name']}-{key}", "namespace": metadata["namespace"], "labels": labels,
            "annotations": {REVISION: revision}, "ownerReferences": [owner_of(deployment)],
        }  # fmt: skip
        return {"apiVersion": "apps/v1", "metadata": made, "spec": {"replicas": size, "selector": selector, "template": template}}

    def _forget(self, old, limit):
        empty = [rs for rs in old if not rs["spec"].get("replicas") and not (rs.get("status") or {}).get("replicas")]
        empty.sort(key=lambda rs: int(rs["metadata"].get("annotations", {}).get(REVISION, 0)))
        for rs in empty[: max(0, len(empty) - limit)]:
            self.cache.delete(rs)

    def _deployment_status(self, deployment, current, sets, wanted):
        def count(rs, name):
            return (rs.get("status") or {}).get(name, 0)

        every = {rs["metadata"]["uid"]: rs for rs in [*sets, *([current] if current else [])]}.values()
        total, ready = sum(count(rs, "replicas") for rs in every), sum(count(rs, "readyReplicas") for rs in every)
        updated, updated_ready = (count(current, "replicas"), count(current, "readyReplicas")) if current else (0, 0)
        available = ready >= max(1, wanted - int(wanted * 0.25)) or wanted == 0
        done = updated == wanted == updated_ready and total == updated
        conditions = [
            condition(deployment, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            if available
            else condition(deployment, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
            self._progress(deployment, current, done, (total, updated, ready)),
        ]  # fmt: skip
        self.cache.set_status(deployment, {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": total, "updatedReplicas": updated,
            "readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": max(0, max(wanted, total) - ready) or None,
            "conditions": conditions,
        })  # fmt: skip

    def _progress(self, deployment, current, done, counts):
        name = current["metadata"]["name"] if current else ""
        if deployment["spec"].get("paused"):
            return condition(deployment, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        if done:
            message = f'ReplicaSet "{name}" has successfully progressed.'
            return condition(deployment, "Progressing", "True", "NewReplicaSetAvailable", message)
        status = deployment.get("status") or {}
        old = next((one for one in status.get("conditions", []) if one["type"] == "Progressing"), None)
        before = (status.get("replicas", 0), status.get("updatedReplicas", 0), status.get("readyReplicas", 0))
        observed = status.get("observedGeneration") == deployment["metadata"]["generation"]
        exceeded = condition(deployment, "Progressing", "False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')  # fmt: skip
        if old and old["reason"] == "ProgressDeadlineExceeded" and observed:
            return exceeded
        message = f'ReplicaSet "{name}" is progressing.'
        going = condition(deployment, "Progressing", "True", "ReplicaSetUpdated", message)
        if before != counts or not observed:
            going["lastUpdateTime"] = now()
        left = deployment["spec"].get("progressDeadlineSeconds", 600) - seconds_since(going["lastUpdateTime"])
        if left <= 0:
            return exceeded
        self.player.wake_in(left + 0.1)
        return going

    # ---------------------------------------------------------------- stateful sets

    def stateful_set(self, sts):
        spec, metadata = sts["spec"], sts["metadata"]
        wanted, key = spec.get("replicas", 1), f"{metadata['name']}-{hash_of(spec['template'])}"
        pods = {pod["metadata"]["name"]: pod for pod in self.cache.owned("Pod", sts)}
        names = [f"{metadata['name']}-{number}" for number in range(wanted)]
        ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        for number, name in enumerate(names):
            if name not in pods:
                pods[name] = self._member(sts, name, number, key)
            if ordered and not is_ready(pods[name]) and pods[name]["metadata"]["labels"]["controller-revision-hash"] == key:
                break
        for name in sorted(set(pods) - set(names), reverse=True):
            self.cache.delete(pods.pop(name))
        outdated = [n for n in names if n in pods and pods[n]["metadata"]["labels"]["controller-revision-hash"] != key]
        strategy = spec.get("updateStrategy") or {}
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        replaceable = [name for name in outdated if int(name.rpartition("-")[2]) >= partition]
        others_ready = all(is_ready(pod) for name, pod in pods.items() if name not in outdated)
        if replaceable and strategy.get("type") != "OnDelete" and others_ready and len(pods) == wanted:
            self.cache.delete(pods.pop(replaceable[-1]))
            self.player.wake_in(0)
        ready = sum(1 for pod in pods.values() if is_ready(pod))
        updated = sum(1 for pod in pods.values() if pod["metadata"]["labels"]["controller-revision-hash"] == key)
        before = (sts.get("status") or {}).get("currentRevision") or key
        done = updated == wanted == ready
        self.cache.set_status(sts, {
            "observedGeneration": metadata["generation"], "replicas": len(pods), "readyReplicas": ready,
            "availableReplicas": ready, "updatedReplicas": updated, "updateRevision": key,
            "currentRevision": key if done else before,
            "currentReplicas": updated if done or before == key else len(pods) - updated, "collisionCount": 0,
        })  # fmt: skip

    def _member(self, sts, name, number, key):
        namespace, template = sts["metadata"]["namespace"], json.loads(json.dumps(sts["spec"]["template"]))
        for claim in sts["spec"].get("volumeClaimTemplates", []):
            title = claim["metadata"]["name"]
            full = f"{title}-{name}"
            if self.cache.named("PersistentVolumeClaim", namespace, full) is None:
                labels = (sts["spec"]["selector"].get("matchLabels")) or {}
                self.cache.create("PersistentVolumeClaim", {
                    "apiVersion": "v1", "metadata": {"name": full, "namespace": namespace, "labels": labels}, "spec": claim["spec"],
                })  # fmt: skip
            volumes = template["spec"].setdefault("volumes", [])
            volumes.append({"name": title, "persistentVolumeClaim": {"claimName": full}})
        template["spec"].update(hostname=name, subdomain=sts["spec"].get("serviceName", ""))
        labels = {"controller-revision-hash": key, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(number)}  # fmt: skip
        self.player.event(sts, "Normal", "SuccessfulCreate", f"create Pod {name} in StatefulSet {sts['metadata']['name']} successful", "statefulset-controller")  # fmt: skip
        return self.cache.create("Pod", pod_from(sts, template, labels, name=name))

    # ---------------------------------------------------------------- daemon sets

    def daemon_set(self, ds):
        key = hash_of(ds["spec"]["template"])
        pods = self.cache.owned("Pod", ds)
        on_delete = (ds["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
        for pod in list(pods):
            if pod["metadata"]["labels"]["controller-revision-hash"] != key and not on_delete:
                self.cache.delete(pod)
                pods.remove(pod)
        if not pods:
            made = pod_from(ds, ds["spec"]["template"], {"controller-revision-hash": key}, generateName=ds["metadata"]["name"] + "-")
            pods = [self.cache.create("Pod", made)]
        ready = 1 if is_ready(pods[0]) else 0
        updated = 1 if pods[0]["metadata"]["labels"]["controller-revision-hash"] == key else 0
        self.cache.set_status(ds, {
            "observedGeneration": ds["metadata"]["generation"], "currentNumberScheduled": 1, "desiredNumberScheduled": 1,
            "numberMisscheduled": 0, "numberReady": ready, "numberAvailable": ready, "updatedNumberScheduled": updated,
            "numberUnavailable": 1 - ready or None,
        })  # fmt: skip
