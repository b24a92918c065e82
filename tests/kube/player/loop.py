"""The loop: whenever something has changed, or a time has come, every object is looked at again."""

import http.client
import threading
import time

from .api import Cache, Refused
from .clock import now
from .jobs import Jobs
from .kubelet import Kubelet
from .surroundings import Surroundings
from .workloads import Workloads

KINDS = ["Namespace", "Node", "ServiceAccount", "Pod", "Service", "Endpoints", "PersistentVolumeClaim", "ConfigMap", "Secret", "Deployment",
         "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "StorageClass", "PodDisruptionBudget"]  # fmt: skip
# A namespace with this label has no play: what is in it is as the test makes it.
OFF = ("orch-test/play", "off")


class Player:
    """Plays in all namespaces, or only in those that have a label."""

    def __init__(self, url, label=None, kubelet_only=False, mock=False):
        self.url, self.label, self.mock = url, label, mock
        self.changed, self.stopped = threading.Event(), False
        self.wake_at, self.addresses, self.told = None, 1, set()
        self.cache = Cache(url, KINDS, self.changed.set)
        self.kubelet = Kubelet(self)
        workloads, jobs, rest = Workloads(self), Jobs(self), Surroundings(self)
        self.surroundings = rest
        self.parts = [("Pod", self.kubelet.reconcile)]
        if not kubelet_only:
            self.parts = [
                ("Namespace", rest.namespace), ("PersistentVolumeClaim", rest.claim), ("Deployment", workloads.deployment),
                ("ReplicaSet", workloads.replica_set), ("StatefulSet", workloads.stateful_set),
                ("DaemonSet", workloads.daemon_set), ("Job", jobs.job), *self.parts, ("Service", rest.service),
                ("PodDisruptionBudget", rest.budget),
            ]  # fmt: skip

    def run(self):
        while not self.stopped:
            if self.cache.complete:
                try:
                    self._sweep()
                except (OSError, http.client.HTTPException, Refused):
                    # The server is away, or says no. What is left to do is found again.
                    self.wake_in(0.2)
            left = None if self.wake_at is None else max(0.0, self.wake_at - time.monotonic())
            self.changed.wait(left)
            if self.wake_at is not None and time.monotonic() >= self.wake_at:
                self.wake_at = None
            self.changed.clear()

    def stop(self):
        self.stopped = True
        self.changed.set()

    def _sweep(self):
        if self.mock:
            self.surroundings.node()
        namespaces = {one["metadata"]["name"] for one in self.cache.all("Namespace") if self._plays_in(one)}
        for kind, reconcile in self.parts:
            for object in self.cache.all(kind):
                metadata = object["metadata"]
                if metadata.get("namespace", metadata["name"]) not in namespaces or metadata.get("deletionTimestamp"):
                    continue
                try:
                    reconcile(object)
                except Refused as refused:
                    # Somebody else was faster, or the object has gone: what there is now comes by the watch.
                    if refused.code not in (404, 409, 403):
                        raise

    def _plays_in(self, namespace):
        labels = namespace["metadata"].get("labels") or {}
        if labels.get(OFF[0]) == OFF[1] or namespace["metadata"].get("deletionTimestamp"):
            return False
        return self.label is None or self.label in labels

    # ---------------------------------------------------------------- for the parts

    def wake_in(self, seconds):
        at = time.monotonic() + seconds
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    def next_address(self):
        self.addresses += 1
        return f"10.244.{self.addresses // 250}.{self.addresses % 250 + 1}"

    def event(self, object, type, reason, message, component):
        """Says an event about an object, once."""
        metadata = object["metadata"]
        key = (metadata["uid"], reason, message)
        if key in self.told:
            return
        self.told.add(key)
        version = {"Pod": "v1", "PersistentVolumeClaim": "v1", "Job": "batch/v1"}.get(object["kind"], "apps/v1")
        about = {
            "apiVersion": version, "kind": object["kind"], "name": metadata["name"], "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        }  # fmt: skip
        event = {
            "apiVersion": "v1", "kind": "Event", "involvedObject": about, "type": type, "reason": reason,
            "message": message, "source": {"component": component}, "firstTimestamp": now(), "lastTimestamp": now(),
            "count": 1, "metadata": {"generateName": metadata["name"] + ".", "namespace": metadata["namespace"]},
        }  # fmt: skip
        try:
            self.cache.api.request("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", event)
        except Refused as refused:
            if refused.code not in (403, 404):
                raise

    def log(self, namespace, pod, container, text, previous):
        if self.mock:
            body = {"namespace": namespace, "pod": pod, "container": container, "text": text, "previous": previous}
            self.cache.api.request("POST", "/orch-test/log", body)
