"""The part of the controller of Jobs."""

from .clock import now, seconds_since
from .workloads import condition, pod_from


class Jobs:
    def __init__(self, player):
        self.player, self.cache = player, player.cache

    def job(self, job):
        spec, status = job["spec"], job.get("status") or {}
        if spec.get("suspend") or any(one["type"] in ("Complete", "Failed") for one in status.get("conditions", [])):
            return
        pods = self.cache.owned("Pod", job)
        phases = [(pod.get("status") or {}).get("phase") for pod in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        wanted, parallel = spec.get("completions", 1), spec.get("parallelism", 1)
        started = status.get("startTime") or now()
        counts = {"startTime": started, "succeeded": succeeded or None, "failed": failed or None}
        if succeeded >= wanted:
            message = "Reached expected number of succeeded pods"
            met = condition(job, "SuccessCriteriaMet", "True", "CompletionsReached", message)
            done = condition(job, "Complete", "True", "CompletionsReached", message)
            self.player.event(job, "Normal", "Completed", "Job completed", "job-controller")
            over = {"active": None, "ready": 0, "completionTime": now()}
            return self._set(job, {**counts, **over, "conditions": [_plain(met), _plain(done)]})
        left = None
        if spec.get("activeDeadlineSeconds") is not None:
            left = spec["activeDeadlineSeconds"] - seconds_since(started)
            self.player.wake_in(max(left, 0) + 0.1)
        if failed > spec.get("backoffLimit", 6):
            return self._failed(job, pods, counts, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        if left is not None and left <= 0:
            return self._failed(job, pods, counts, "DeadlineExceeded", "Job was active longer than specified deadline")
        active = [pod for pod, phase in zip(pods, phases) if phase not in ("Succeeded", "Failed")]
        for _ in range(min(parallel, wanted - succeeded) - len(active)):
            pod = self.cache.create("Pod", pod_from(job, spec["template"], generateName=job["metadata"]["name"] + "-"))
            self.player.event(job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", "job-controller")
            active.append(pod)
        ready = sum(1 for pod in active if (pod.get("status") or {}).get("phase") == "Running")
        self._set(job, {**counts, "active": len(active), "ready": ready})

    def _failed(self, job, pods, counts, reason, message):
        for pod in pods:
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                self.cache.delete(pod)
        self.player.event(job, "Warning", reason, message, "job-controller")
        target = condition(job, "FailureTarget", "True", reason, message)
        failed = condition(job, "Failed", "True", reason, message)
        self._set(job, {**counts, "active": None, "ready": 0, "conditions": [_plain(target), _plain(failed)]})

    def _set(self, job, status):
        self.cache.set_status(job, status)


def _plain(condition):
    """The conditions of a Job have other times than those of a Deployment."""
    condition["lastProbeTime"] = condition.pop("lastUpdateTime")
    return condition
