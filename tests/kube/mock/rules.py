"""What the server makes of an object of a certain kind when it is created or changed, beyond defaults."""

import base64
import binascii
import random
import string

from . import errors
from .store import now

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def suffix(length=5):
    """What the server puts after a generateName."""
    return "".join(random.choice(ALPHABET) for _ in range(length))


def on_create(object, resource, store):
    """Sets, in place, what a new object has from the start."""
    if resource.status and not resource.custom:
        object["status"] = {}
    elif resource.status:
        object.pop("status", None)
    prepare = {
        "Namespace": _namespace,
        "Pod": _pod,
        "Job": _job,
        "Service": _service,
        "PersistentVolumeClaim": _claim,
        "CustomResourceDefinition": _definition,
        "Secret": _secret,
    }.get(resource.kind)
    if prepare and not resource.custom:
        prepare(object, store)


def on_update(object, before, resource, store):
    """Sets, in place, what a changed object keeps from before or gets anew."""
    if resource.kind == "Secret":
        _secret(object, store)
    elif resource.kind == "Service" and not resource.custom:
        kept = before["spec"]
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if object["spec"].get(name) in (None, "") and name in kept and object["spec"].get("type") != "ExternalName":
                object["spec"][name] = kept[name]
        _node_ports(object["spec"], kept)
    elif resource.kind == "CustomResourceDefinition":
        _definition(object, store)
    elif resource.kind == "Namespace":
        object["spec"] = before.get("spec", {})
    elif resource.kind == "Pod" and not object["spec"].get("nodeName") and before["spec"].get("nodeName"):
        object["spec"]["nodeName"] = before["spec"]["nodeName"]
    elif resource.kind == "PersistentVolumeClaim":
        for name in ("volumeName", "storageClassName"):
            if name not in object["spec"] and name in before["spec"]:
                object["spec"][name] = before["spec"][name]
    elif resource.kind == "Job" and not resource.custom:
        object["spec"].setdefault("selector", before["spec"].get("selector"))
        template = object["spec"]["template"].setdefault("metadata", {})
        labels = (before["spec"]["template"].get("metadata") or {}).get("labels") or {}
        for name, value in labels.items():
            template.setdefault("labels", {}).setdefault(name, value)


def _namespace(object, store):
    object["spec"] = {"finalizers": ["kubernetes"]}
    object["status"] = {"phase": "Active"}
    object["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = object["metadata"]["name"]


def _pod(object, store):
    spec = object["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    object["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _quality(spec):
    every = [container.get("resources") or {} for container in spec.get("containers", [])]
    if all(not one.get("limits") and not one.get("requests") for one in every):
        return "BestEffort"
    full = all(one.get("limits", {}).keys() >= {"cpu", "memory"} and one["limits"] == one.get("requests") for one in every)
    return "Guaranteed" if full else "Burstable"


def _job(object, store):
    spec, metadata = object["spec"], object["metadata"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    labels = {"batch.kubernetes.io/controller-uid": metadata["uid"], "batch.kubernetes.io/job-name": metadata["name"],
              "controller-uid": metadata["uid"], "job-name": metadata["name"]}  # fmt: skip
    template = spec.setdefault("template", {})
    template["metadata"] = {**(template.get("metadata") or {})}
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}


def _service(object, store):
    spec = object["spec"]
    object["status"] = {"loadBalancer": {}}
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        taken = {service["spec"].get("clusterIP") for service in store.list(("", "services"))}
        free = (f"10.96.{high}.{low}" for high in range(256) for low in range(10, 255))
        spec["clusterIP"] = next(address for address in free if address not in taken)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    _node_ports(spec, {})


def _node_ports(spec, before):
    if spec.get("type") not in ("NodePort", "LoadBalancer"):
        return
    kept = {(port["port"], port.get("protocol")): port.get("nodePort") for port in before.get("ports", [])}
    for port in spec.get("ports", []):
        if not port.get("nodePort"):
            port["nodePort"] = kept.get((port["port"], port.get("protocol"))) or random.randint(30000, 32767)


def _claim(object, store):
    object["status"] = {"phase": "Pending"}
    default = "storageclass.kubernetes.io/is-default-class"
    for found in store.list(("storage.k8s.io", "storageclasses")):
        if (found["metadata"].get("annotations") or {}).get(default) == "true":
            object["spec"].setdefault("storageClassName", found["metadata"]["name"])


def _definition(object, store):
    names, status = object["spec"]["names"], object.setdefault("status", {})
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    object["spec"].setdefault("conversion", {"strategy": "None"})
    stored = [version["name"] for version in object["spec"]["versions"] if version.get("storage")]
    status["acceptedNames"] = names
    status["storedVersions"] = stored
    old = {one["type"]: one for one in status.get("conditions", [])}
    status["conditions"] = [
        old.get("NamesAccepted")
        or {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found",
            "lastTransitionTime": now()},
        old.get("Established")
        or {"type": "Established", "status": "True", "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted", "lastTransitionTime": now()},
    ]  # fmt: skip


def _secret(object, store):
    for name, value in (object.pop("stringData", None) or {}).items():
        object.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()
    for value in (object.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            at = next((n for n, c in enumerate(value) if c not in string.ascii_letters + string.digits + "+/="), len(value))
            why = f'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte {at}'
            raise errors.bad_request(why) from None
