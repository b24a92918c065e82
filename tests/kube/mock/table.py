"""Tables, which `kubectl get` prints."""

import datetime

from .selectors import _field


def age(object):
    """How long ago an object was made, as kubectl writes it."""
    then = object["metadata"].get("creationTimestamp")
    if not then:
        return "<unknown>"
    made = datetime.datetime.strptime(then, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    seconds = max(0, int((datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 172800 else f"{seconds // 86400}d"


def _at(path, otherwise="<none>"):
    return lambda object: _field(object, path) or otherwise


def _ready(wanted, ready):
    return lambda object: f"{_field(object, ready) or 0}/{_field(object, wanted) or 0}"


def _pod_state(object):
    if object["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = object.get("status") or {}
    for one in status.get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            if reason := one.get("state", {}).get(state, {}).get("reason"):
                return reason
    return status.get("reason") or status.get("phase", "Unknown")


def _pod_ready(object):
    statuses = (object.get("status") or {}).get("containerStatuses", [])
    return f"{sum(1 for one in statuses if one.get('ready'))}/{len(object['spec'].get('containers', []))}"


def _restarts(object):
    return str(sum(one.get("restartCount", 0) for one in (object.get("status") or {}).get("containerStatuses", [])))


def _ports(object):
    ports = (object.get("spec") or {}).get("ports", [])
    return ",".join(f"{p['port']}{':' + str(p['nodePort']) if p.get('nodePort') else ''}/{p.get('protocol')}" for p in ports) or "<none>"  # fmt: skip


def _job_state(object):
    conditions = (object.get("status") or {}).get("conditions", [])
    return next((one["type"] for one in conditions if one["type"] in ("Complete", "Failed")), "Running")


COLUMNS = {
    "Pod": [("Ready", _pod_ready), ("Status", _pod_state), ("Restarts", _restarts)],
    "Deployment": [("Ready", _ready("spec.replicas", "status.readyReplicas")),
                   ("Up-to-date", _at("status.updatedReplicas", "0")), ("Available", _at("status.availableReplicas", "0"))],
    "StatefulSet": [("Ready", _ready("spec.replicas", "status.readyReplicas"))],
    "ReplicaSet": [("Desired", _at("spec.replicas", "0")), ("Current", _at("status.replicas", "0")),
                   ("Ready", _at("status.readyReplicas", "0"))],
    "DaemonSet": [("Desired", _at("status.desiredNumberScheduled", "0")), ("Ready", _at("status.numberReady", "0"))],
    "Job": [("Status", _job_state), ("Completions", _ready("spec.completions", "status.succeeded"))],
    "Service": [("Type", _at("spec.type")), ("Cluster-IP", _at("spec.clusterIP")), ("Port(s)", _ports)],
    "ConfigMap": [("Data", lambda object: str(len(object.get("data") or {})))],
    "Secret": [("Type", _at("type")), ("Data", lambda object: str(len(object.get("data") or {})))],
    "Namespace": [("Status", _at("status.phase"))],
    "PersistentVolumeClaim": [("Status", _at("status.phase")), ("Volume", _at("spec.volumeName", ""))],
    "Event": [("Last Seen", age), ("Type", _at("type")), ("Reason", _at("reason")),
              ("Object", lambda object: f"{object['involvedObject'].get('kind', '').lower()}/{object['involvedObject'].get('name', '')}"),
              ("Message", _at("message"))],
}  # fmt: skip


def columns(resource):
    if resource.custom:
        own = [(one["name"], _at(one["jsonPath"].lstrip("."))) for one in resource.columns if one["type"] != "date"]
    else:
        own = COLUMNS.get(resource.kind, [])
    if resource.kind == "Event":
        return own
    return [("Name", lambda object: object["metadata"]["name"]), *own, ("Age", age)]


def of(resource, objects, revision, version, include="Metadata"):
    """The table of some objects. What goes with each row is the object, its metadata or nothing."""
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": name, "priority": 0}
        for name, _ in columns(resource)
    ]
    rows = []
    for object in objects:
        row = {"cells": [cell(object) for _, cell in columns(resource)]}
        if include == "Object":
            row["object"] = object
        elif include != "None":
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}
        rows.append(row)
    metadata = {"resourceVersion": str(revision)}
    return {"kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata,
            "columnDefinitions": definitions, "rows": rows}  # fmt: skip
