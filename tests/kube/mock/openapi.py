"""OpenAPI, as far as kubectl and helm read it: which queries a patch takes, how the fields are typed and merge."""

import hashlib
import json

SCALARS = {
    "str": {"type": "string"}, "time": {"type": "string", "format": "date-time"},
    "bytes": {"type": "string", "format": "byte"}, "int": {"type": "integer", "format": "int64"},
    "float": {"type": "number"}, "bool": {"type": "boolean"}, "quantity": {"type": "string"},
    "intstr": {"x-kubernetes-int-or-string": True},
}  # fmt: skip
PATCH_TYPES = [
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json",
]  # fmt: skip


def v2():
    """An OpenAPI v2 document that says nothing, in the protobuf form that clients ask for: its version and title."""
    info = bytes([0x0A, 10]) + b"Kubernetes" + bytes([0x12, 7]) + b"v1.33.0"
    return bytes([0x0A, 3]) + b"2.0" + bytes([0x12, len(info)]) + info


def root(resources):
    """Where the document of each version of each group is."""
    paths = {}
    for group, versions in resources.groups().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            text = json.dumps(document(resources, group, version), sort_keys=True)
            found = hashlib.sha256(text.encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={found}"}
    return {"paths": paths}


def document(resources, group, version):
    """The document of one version of a group."""
    members = resources.groups().get(group, {}).get(version)
    if not members:
        return None
    schemas, paths = {}, {}
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for resource in members:
        gvk = {"group": group, "version": version, "kind": resource.kind}
        name = _name(resource, version)
        schemas[name] = {**_schema(resource.type(version), schemas, top=True), "x-kubernetes-group-version-kind": [gvk]}
        place = base + ("/namespaces/{namespace}" if resource.namespaced else "") + f"/{resource.plural}"
        body = {"schema": {"$ref": f"#/components/schemas/{name}"}}
        answer = {"200": {"description": "OK", "content": {"application/json": body}}}
        common = {"x-kubernetes-group-version-kind": gvk, "responses": answer}
        paths[place] = {
            "get": {**common, "x-kubernetes-action": "list"},
            "post": {**common, "x-kubernetes-action": "post", "parameters": _queries("dryRun", "fieldManager", "fieldValidation")},
        }  # fmt: skip
        taken = {"content": {type: body for type in PATCH_TYPES}}
        paths[place + "/{name}"] = {
            "get": {**common, "x-kubernetes-action": "get"},
            "put": {**common, "x-kubernetes-action": "put", "parameters": _queries("dryRun", "fieldManager", "fieldValidation")},
            "patch": {**common, "x-kubernetes-action": "patch", "requestBody": taken,
                      "parameters": _queries("dryRun", "fieldManager", "fieldValidation", "force")},
            "delete": {**common, "x-kubernetes-action": "delete", "parameters": _queries("dryRun", "propagationPolicy")},
        }  # fmt: skip
    info = {"title": "Kubernetes", "version": "v1.33.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _queries(*names):
    return [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names]


def _name(resource, version):
    group = resource.group.split(".")[0] or "core"
    if resource.custom:
        return ".".join(reversed(resource.group.split("."))) + f".{version}.{resource.kind}"
    return f"io.k8s.api.{group}.{version}.{resource.kind}"


def _schema(type, schemas, top=False):
    if type.kind == "any":
        return {"x-kubernetes-preserve-unknown-fields": True, "type": "object"}
    if type.kind == "scalar":
        return SCALARS[type.name]
    if type.kind == "map":
        return {"type": "object", "additionalProperties": _schema(type.item, schemas), **_map_type(type)}
    if type.kind == "list":
        found = {"type": "array", "items": _schema(type.item, schemas), "x-kubernetes-list-type": "atomic"}
        if type.keys:
            found["x-kubernetes-list-type"] = "map"
            found["x-kubernetes-list-map-keys"] = list(type.keys)
            found["x-kubernetes-patch-merge-key"] = type.keys[0]
            found["x-kubernetes-patch-strategy"] = "merge"
        elif type.is_set:
            found["x-kubernetes-list-type"] = "set"
            found["x-kubernetes-patch-strategy"] = "merge"
        return found
    if type.name and not top:
        name = f"io.k8s.api.shared.{type.name}"
        if name not in schemas:
            schemas[name] = {}
            schemas[name] = _struct(type, schemas)
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "default": {}}
    return _struct(type, schemas)


def _struct(type, schemas):
    found = {"type": "object", "properties": {name: _schema(f.type, schemas) for name, f in type.fields.items()}}
    wanted = [name for name, field in type.fields.items() if field.required]
    if wanted:
        found["required"] = wanted
    return {**found, **_map_type(type)}


def _map_type(type):
    return {"x-kubernetes-map-type": "atomic"} if type.atomic else {}
