"""What the server fills in that the types alone do not say."""

from . import schema


def fill(object, resource, type):
    """Fills in the defaults of an object, in place."""
    status = object.pop("status", None)
    schema.fill_defaults(object, type)
    if status is not None:
        object["status"] = status
    spec = object.get("spec")
    special = {
        "Deployment": _deployment,
        "StatefulSet": _stateful_set,
        "DaemonSet": _daemon_set,
        "Job": _job,
        "Service": _service,
    }
    if not resource.custom and isinstance(spec, dict):
        special.get(resource.kind, lambda spec: None)(spec)
        for pod in pod_specs(object, resource.kind):
            _pod(pod)


def pod_specs(object, kind):
    """The pod specs in an object."""
    spec = object.get("spec") or {}
    if kind == "Pod":
        return [spec]
    if kind == "CronJob":
        spec = spec.get("jobTemplate", {}).get("spec", {})
    pod = (spec.get("template") or {}).get("spec") if isinstance(spec.get("template"), dict) else None
    return [pod] if isinstance(pod, dict) else []


def _deployment(spec):
    strategy = spec["strategy"]
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _stateful_set(spec):
    strategy = spec["updateStrategy"]
    if strategy.get("type") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    for claim in spec.get("volumeClaimTemplates", []):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("status", {"phase": "Pending"})


def _daemon_set(spec):
    strategy = spec["updateStrategy"]
    if strategy.get("type") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _job(spec):
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)


def _service(spec):
    if spec.get("type") != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec.get("type") == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for port in spec.get("ports", []):
        port.setdefault("targetPort", port.get("port"))


def _pod(spec):
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        if not isinstance(container, dict):
            continue
        image = container.get("image", "")
        latest = "@" not in image and ":" not in image.rpartition("/")[2]
        pulled = "Always" if latest or image.endswith(":latest") else "IfNotPresent"
        container.setdefault("imagePullPolicy", pulled)
        resources = container.get("resources")
        if isinstance(resources, dict) and resources.get("limits"):
            # A limit without a request is also the request.
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
    for volume in spec.get("volumes", []):
        if isinstance(volume, dict) and list(volume) == ["name"]:
            volume["emptyDir"] = {}
