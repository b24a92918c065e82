"""What makes an object invalid, as the real server finds it: missing fields, values that cannot be, fields that
cannot change."""

import json
import re

from . import selectors
from .errors import Cause, forbidden_field, invalid_value, required

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
SUBDOMAIN_SAYS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_SAYS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
LABEL_VALUE_SAYS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
QUANTITY = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?"
WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")


def of_object(object, before, resource, type):
    """Every cause for which an object cannot be stored, in the place of another one or as a new one."""
    causes = _metadata(object["metadata"], resource)
    causes += _missing({name: value for name, value in object.items() if name != "status"}, type)
    if resource.custom:
        return causes + _custom_rules(object, type)
    if resource.kind in WORKLOADS or resource.kind == "Job":
        causes += _workload(object, resource.kind)
    if resource.kind == "Service":
        causes += _service(object["spec"]) if object.get("spec") else [required("spec.ports")]
    if resource.kind in ("ConfigMap", "Secret"):
        causes += _data(object)
    if before:
        causes += _immutable(before, object, resource.kind)
    return causes


def _quoted(value):
    return json.dumps(value)


def _metadata(metadata, resource):
    causes, name = [], metadata["name"]
    if resource.kind in ("Namespace", "Service"):
        pattern, says, longest = LABEL, LABEL_SAYS, 63
    else:
        pattern, says, longest = SUBDOMAIN, SUBDOMAIN_SAYS, 253
    if resource.group == "rbac.authorization.k8s.io":
        pattern, says = r"[^/%]+", 'may not contain "/" or "%"'
    if len(name) > longest:
        causes.append(invalid_value("metadata.name", _quoted(name), f"must be no more than {longest} characters"))
    elif not re.fullmatch(pattern, name):
        causes.append(invalid_value("metadata.name", _quoted(name), says))
    for value in (metadata.get("labels") or {}).values():
        if len(value) > 63:
            causes.append(invalid_value("metadata.labels", _quoted(value), "must be no more than 63 bytes"))
        elif not re.fullmatch(LABEL_VALUE, value):
            causes.append(invalid_value("metadata.labels", _quoted(value), LABEL_VALUE_SAYS))
    return causes


def _missing(value, type, path=""):
    """Required fields that are absent, and lists of containers that are empty."""
    causes = []
    if type.kind == "struct" and isinstance(value, dict):
        for name, field in type.fields.items():
            where = f"{path}.{name}" if path else name
            child = value.get(name)
            absent = child is None or (child == "" and name != "value") or (child == [] and name == "containers")
            if field.required and absent and not (child == "" and type.name == "Toleration"):
                causes.append(required(where))
            elif child is not None:
                causes += _missing(child, field.type, where)
    elif type.kind == "map" and isinstance(value, dict):
        for name, child in value.items():
            causes += _missing(child, type.item, f"{path}[{name}]")
            if type.item.name == "quantity" and not re.fullmatch(QUANTITY, str(child)):
                causes.append(invalid_value(f"{path}.{name}", _quoted(child), "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"))  # fmt: skip
    elif type.kind == "list" and isinstance(value, list):
        seen = set()
        for number, child in enumerate(value):
            causes += _missing(child, type.item, f"{path}[{number}]")
            if type.keys and isinstance(child, dict):
                key = type.key_of(child)
                if key in seen:
                    said = _quoted(child.get("name", child.get(type.keys[0])))
                    causes.append(Cause("FieldValueDuplicate", f"{path}[{number}].{type.keys[0]}", f"Duplicate value: {said}"))
                seen.add(key)
    return causes


def _go_map(labels):
    return "map[string]string{" + ", ".join(f'"{key}":"{value}"' for key, value in sorted(labels.items())) + "}"


def _workload(object, kind):
    causes, spec = [], object.get("spec")
    if not isinstance(spec, dict):
        return [required("spec.selector"), required("spec.template")]
    selector, template = spec.get("selector"), spec.get("template") or {}
    for count in ("replicas", "parallelism", "completions", "backoffLimit"):
        if isinstance(spec.get(count), int) and spec[count] < 0:
            causes.append(invalid_value(f"spec.{count}", spec[count], "must be greater than or equal to 0"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is not None and template:
        if kind != "Job" and not selector.get("matchLabels") and not selector.get("matchExpressions"):
            causes.append(invalid_value("spec.selector", "{}", f"empty selector is invalid for {kind.lower()}"))
        elif not selectors.selects(selector, labels):
            why = "`selector` does not match template `labels`"
            causes.append(invalid_value("spec.template.metadata.labels", _go_map(labels), why))
    if template and "spec" not in template:
        causes.append(required("spec.template.spec.containers"))
    policy = (template.get("spec") or {}).get("restartPolicy")
    if kind == "Job" and policy not in (None, "Never", "OnFailure"):
        causes.append(Cause("FieldValueNotSupported", "spec.template.spec.restartPolicy", f'Unsupported value: {_quoted(policy)}: supported values: "OnFailure", "Never"'))  # fmt: skip
    if kind in WORKLOADS and policy not in (None, "Always"):
        causes.append(Cause("FieldValueNotSupported", "spec.template.spec.restartPolicy", f'Unsupported value: {_quoted(policy)}: supported values: "Always"'))  # fmt: skip
    claims = {claim.get("metadata", {}).get("name") for claim in spec.get("volumeClaimTemplates", [])}
    return causes + _pod(template.get("spec") or {}, "spec.template.spec", claims)


def _pod(spec, path, claims):
    causes, volumes = [], {volume.get("name") for volume in spec.get("volumes", [])} | claims
    for number, container in enumerate(spec.get("containers") or []):
        where = f"{path}.containers[{number}]"
        for mount_number, mount in enumerate(container.get("volumeMounts", [])):
            if mount.get("name") not in volumes:
                causes.append(Cause("FieldValueNotFound", f"{where}.volumeMounts[{mount_number}].name", f"Not found: {_quoted(mount.get('name'))}"))  # fmt: skip
        for port_number, port in enumerate(container.get("ports", [])):
            if not 0 < port.get("containerPort", 1) < 65536:
                causes.append(invalid_value(f"{where}.ports[{port_number}].containerPort", port["containerPort"], "must be between 1 and 65535, inclusive"))  # fmt: skip
        name = container.get("name", "")
        if name and not re.fullmatch(LABEL, name):
            causes.append(invalid_value(f"{where}.name", _quoted(name), LABEL_SAYS))
    return causes


def _service(spec):
    ports, causes = spec.get("ports", []), []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    for number, port in enumerate(ports):
        if len(ports) > 1 and not port.get("name"):
            causes.append(required(f"spec.ports[{number}].name"))
        if isinstance(port.get("port"), int) and not 0 < port["port"] < 65536:
            causes.append(invalid_value(f"spec.ports[{number}].port", port["port"], "must be between 1 and 65535, inclusive"))
    return causes


def _data(object):
    causes = []
    for name in [*(object.get("data") or {}), *(object.get("binaryData") or {})]:
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", name):
            causes.append(invalid_value(f"data[{name}]", _quoted(name), "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"))  # fmt: skip
    return causes


FIXED = {
    "Deployment": ["spec.selector"],
    "ReplicaSet": ["spec.selector"],
    "DaemonSet": ["spec.selector"],
    "Job": ["spec.selector", "spec.template", "spec.completions", "spec.completionMode"],
    "Secret": ["type"],
    "RoleBinding": ["roleRef"],
    "ClusterRoleBinding": ["roleRef"],
    "StorageClass": ["provisioner", "parameters"],
}
STATEFUL_SET_MAY = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip


def _at(object, path):
    for name in path.split("."):
        object = object.get(name) if isinstance(object, dict) else None
    return object


def _immutable(before, after, kind):
    causes = []
    for path in FIXED.get(kind, []):
        if _at(before, path) != _at(after, path):
            why = "cannot change roleRef" if path == "roleRef" else "field is immutable"
            causes.append(invalid_value(path, _quoted(_at(after, path)), why))
    if kind == "StatefulSet":
        old = {name: value for name, value in before["spec"].items() if name not in STATEFUL_SET_MAY}
        new = {name: value for name, value in after["spec"].items() if name not in STATEFUL_SET_MAY}
        if old != new:
            may = "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'"  # fmt: skip
            causes.append(forbidden_field("spec", f"updates to statefulset spec for fields other than {may} are forbidden"))
    if kind == "PersistentVolumeClaim":
        old, new = ({k: v for k, v in o["spec"].items() if k not in ("resources", "volumeName")} for o in (before, after))
        if old != new:
            why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
            causes.append(forbidden_field("spec", why))
    if kind in ("ConfigMap", "Secret") and before.get("immutable"):
        if any(before.get(name) != after.get(name) for name in ("data", "binaryData", "immutable")):
            causes.append(forbidden_field("data", "field is immutable when `immutable` is set"))
    if kind == "Pod":
        causes += _pod_changes(before["spec"], after["spec"])
    return causes


def _pod_changes(before, after):
    """Of a pod only the images and a few fields may change."""
    may = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"}

    def fixed(spec):
        kept = {name: value for name, value in spec.items() if name not in may}
        for group in ("containers", "initContainers"):
            if group in kept:
                kept[group] = [{k: v for k, v in one.items() if k != "image"} for one in kept[group]]
        return kept

    if fixed(before) == fixed(after):
        return []
    why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"  # fmt: skip
    return [forbidden_field("spec", why)]


def _custom_rules(value, type, path=""):
    causes = []
    if type.kind == "struct" and isinstance(value, dict):
        for name, child in value.items():
            if path or name not in ("apiVersion", "kind", "metadata"):
                causes += _custom_rules(child, type.child(name), f"{path}.{name}" if path else name)
    elif type.kind == "map" and isinstance(value, dict):
        for name, child in value.items():
            causes += _custom_rules(child, type.item, f"{path}.{name}")
    elif type.kind == "list" and isinstance(value, list):
        for number, child in enumerate(value):
            causes += _custom_rules(child, type.item, f"{path}[{number}]")
    elif type.kind == "scalar":
        rules = type.rules
        if "enum" in rules and value not in rules["enum"]:
            supported = ", ".join(_quoted(one) for one in rules["enum"])
            causes.append(Cause("FieldValueNotSupported", path, f"Unsupported value: {_quoted(value)}: supported values: {supported}"))
        if "minimum" in rules and value < rules["minimum"]:
            causes.append(invalid_value(path, value, f"{path} in body should be greater than or equal to {rules['minimum']}"))
        if "maximum" in rules and value > rules["maximum"]:
            causes.append(invalid_value(path, value, f"{path} in body should be less than or equal to {rules['maximum']}"))
        if "pattern" in rules and not re.search(rules["pattern"], value):
            causes.append(invalid_value(path, _quoted(value), f"{path} in body should match '{rules['pattern']}'"))
    return causes
