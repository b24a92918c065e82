"""The part of the scheduler and the kubelet: what becomes of pods."""

import time

from . import behaviour
from .clock import now


class Kubelet:
    def __init__(self, player):
        self.player, self.cache = player, player.cache
        self.seen = {}
        self.logged = set()

    def reconcile(self, pod):
        status = pod.get("status") or {}
        if pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
            return
        how = behaviour.of(pod)
        if why := self._unschedulable(pod, how):
            message = f"0/1 nodes are available: {why}."
            self.player.event(pod, "Warning", "FailedScheduling", message, "default-scheduler")
            condition = self._condition(pod, "PodScheduled", False, "Unschedulable", message)
            self.cache.set_status(pod, {"phase": "Pending", "conditions": [condition]})
            return
        if not status.get("startTime"):
            pod = self._scheduled(pod)
        started = self.seen.setdefault(pod["metadata"]["uid"], time.monotonic())
        if how.kind == "pull":
            return self._not_pulled(pod)
        if why := self._not_configured(pod):
            return self._waiting(pod, "CreateContainerConfigError", why)
        self._log(pod, how)
        left = started + how.delay - time.monotonic()
        once = pod["spec"].get("restartPolicy") in ("Never", "OnFailure")
        if how.kind == "crash":
            self._crashed(pod) if pod["spec"].get("restartPolicy") != "Never" else self._ended(pod, 1)
        elif how.kind == "never" or left > 0:
            self._running(pod, ready=once)
            if left > 0:
                self.player.wake_in(left)
            elif not once:
                self.player.event(pod, "Warning", "Unhealthy", "Readiness probe failed: ", "kubelet")
        elif once:
            self._ended(pod, 0)
        else:
            self._running(pod, ready=True)

    # ---------------------------------------------------------------- what keeps a pod from starting

    def _unschedulable(self, pod, how):
        if how.kind == "pending":
            return "1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling"  # fmt: skip
        for volume in pod["spec"].get("volumes", []):
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not name:
                continue
            claim = self.cache.named("PersistentVolumeClaim", pod["metadata"]["namespace"], name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if (claim.get("status") or {}).get("phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def _not_configured(self, pod):
        namespace = pod["metadata"]["namespace"]
        for container in pod["spec"].get("containers", []):
            wanted = []
            for variable in container.get("env", []):
                source = variable.get("valueFrom") or {}
                wanted += [("ConfigMap", source.get("configMapKeyRef")), ("Secret", source.get("secretKeyRef"))]
            for source in container.get("envFrom", []):
                wanted += [("ConfigMap", source.get("configMapRef")), ("Secret", source.get("secretRef"))]
            for kind, reference in wanted:
                if not reference or reference.get("optional"):
                    continue
                found = self.cache.named(kind, namespace, reference["name"])
                if found is None:
                    return f'{kind.lower()} "{reference["name"]}" not found'
                if "key" in reference and reference["key"] not in (found.get("data") or {}):
                    return f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}"
        return None

    # ---------------------------------------------------------------- states

    def _scheduled(self, pod):
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self.player.event(pod, "Normal", "Scheduled", f"Successfully assigned {name} to node-1", "default-scheduler")
        address = self.player.next_address()
        conditions = self._conditions(pod, ready=False)
        statuses = [self._container(one, {"waiting": {"reason": "ContainerCreating"}}) for one in pod["spec"]["containers"]]
        return self.cache.set_status(pod, {
            "phase": "Pending", "startTime": now(), "podIP": address, "podIPs": [{"ip": address}],
            "hostIP": "192.0.2.1", "conditions": conditions, "containerStatuses": statuses,
        })  # fmt: skip

    def _waiting(self, pod, reason, message, event="Failed"):
        state = {"waiting": {"reason": reason, "message": message}}
        self.player.event(pod, "Warning", event, f"Error: {message}", "kubelet")
        self._set(pod, "Pending", state, ready=False)

    def _not_pulled(self, pod):
        image = pod["spec"]["containers"][0]["image"]
        why = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": no such host'
        self.player.event(pod, "Normal", "Pulling", f'Pulling image "{image}"', "kubelet")
        self.player.event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {why}', "kubelet")
        self.player.event(pod, "Warning", "Failed", "Error: ErrImagePull", "kubelet")
        waiting = _state_of(pod).get("waiting", {}).get("reason")
        if waiting not in ("ErrImagePull", "ImagePullBackOff"):
            pod = self._set(pod, "Pending", {"waiting": {"reason": "ErrImagePull", "message": why}}, ready=False)
        self.player.event(pod, "Normal", "BackOff", f'Back-off pulling image "{image}"', "kubelet")
        self.player.event(pod, "Warning", "Failed", "Error: ImagePullBackOff", "kubelet")
        message = f'Back-off pulling image "{image}": ErrImagePull: {why}'
        self._set(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": message}}, ready=False)

    def _started(self, pod):
        for container in pod["spec"]["containers"]:
            name, image = container["name"], container["image"]
            present = f'Container image "{image}" already present on machine'
            self.player.event(pod, "Normal", "Pulled", present, "kubelet")
            self.player.event(pod, "Normal", "Created", f"Created container: {name}", "kubelet")
            self.player.event(pod, "Normal", "Started", f"Started container {name}", "kubelet")

    def _running(self, pod, ready):
        self._started(pod)
        since = _state_of(pod).get("running", {}).get("startedAt") or now()
        if ready and _state_of(pod).get("running") is None:
            pod = self._set(pod, "Running", {"running": {"startedAt": since}}, ready=False)
        self._set(pod, "Running", {"running": {"startedAt": since}}, ready)

    def _crashed(self, pod):
        self._started(pod)
        if _state_of(pod).get("waiting", {}).get("reason") == "CrashLoopBackOff":
            return
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": now(), "finishedAt": now()}}
        pod = self._set(pod, "Running", ended, ready=False)
        metadata, name = pod["metadata"], pod["spec"]["containers"][0]["name"]
        where = f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        message = f"back-off 10s restarting failed container={name} {where}"
        said = f"Back-off restarting failed container {name} in pod {metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        self.player.event(pod, "Warning", "BackOff", said, "kubelet")
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._set(pod, "Running", waiting, ready=False, last=ended, restarts=1)

    def _ended(self, pod, code):
        if not _state_of(pod).get("running"):
            self._started(pod)
            pod = self._set(pod, "Running", {"running": {"startedAt": now()}}, ready=True)
        reason = "Completed" if code == 0 else "Error"
        ended = {"terminated": {"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()}}
        self._set(pod, "Succeeded" if code == 0 else "Failed", ended, ready=False)

    # ---------------------------------------------------------------- how states are written

    def _set(self, pod, phase, state, ready, last=None, restarts=0):
        statuses = []
        for container in pod["spec"]["containers"]:
            one = self._container(container, state, ready, last, restarts)
            statuses.append(one)
        conditions = self._conditions(pod, ready, completed=phase == "Succeeded")
        return self.cache.set_status(pod, {"phase": phase, "conditions": conditions, "containerStatuses": statuses})

    @staticmethod
    def _container(container, state, ready=False, last=None, restarts=0):
        image = container["image"]
        running = "running" in state
        status = {
            "name": container["name"], "image": image, "imageID": "", "ready": ready, "started": running,
            "restartCount": restarts, "state": state, "lastState": last or {},
        }  # fmt: skip
        if "waiting" not in state or last:
            status["containerID"] = f"containerd://{abs(hash((container['name'], image))):064x}"
        return status

    def _conditions(self, pod, ready, completed=False):
        names = " ".join(container["name"] for container in pod["spec"]["containers"])
        reason, message = "ContainersNotReady", f"containers with unready status: [{names}]"
        if completed:
            reason, message = "PodCompleted", ""
        if ready:
            reason = message = ""
        return [
            self._condition(pod, "PodScheduled", True),
            self._condition(pod, "Initialized", True),
            self._condition(pod, "ContainersReady", ready, reason, message),
            self._condition(pod, "Ready", ready, reason, message),
        ]

    @staticmethod
    def _condition(pod, type, holds, reason="", message=""):
        status = "True" if holds else "False"
        old = next((one for one in (pod.get("status") or {}).get("conditions", []) if one["type"] == type), {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        condition = {"type": type, "status": status, "lastTransitionTime": since or now()}
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        return condition

    def _log(self, pod, how):
        """Only the mock can be told what a container has written."""
        metadata = pod["metadata"]
        if not how.log or metadata["uid"] in self.logged:
            return
        self.logged.add(metadata["uid"])
        text = how.log if how.log.endswith("\n") else how.log + "\n"
        for container in pod["spec"]["containers"]:
            for previous in (False, True) if how.kind == "crash" else (False,):
                self.player.log(metadata["namespace"], metadata["name"], container["name"], text, previous)


def _state_of(pod):
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return statuses[0].get("state") or {}


def is_ready(pod):
    conditions = (pod.get("status") or {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
