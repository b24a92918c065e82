"""What the server says it has: versions, groups, resources."""

from .resources import VERBS

VERSION = {
    "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "0" * 40, "gitTreeState": "clean",
    "buildDate": "2025-04-23T13:00:00Z", "goVersion": "go1.24.2", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SUBRESOURCE_VERBS = {
    "status": ["get", "patch", "update"], "scale": ["get", "patch", "update"], "log": ["get"],
    "exec": ["create", "get"], "portforward": ["create", "get"], "eviction": ["create"], "finalize": ["update"],
}  # fmt: skip
SUBRESOURCE_KINDS = {"eviction": ("policy", "v1", "Eviction"), "scale": ("autoscaling", "v1", "Scale")}


def api_versions(address):
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def _group(name, versions):
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def groups(resources):
    found = [_group(name, versions) for name, versions in resources.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(resources, name):
    versions = resources.groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if versions else None


def resource_list(resources, group, version):
    """The resources of a version of a group, with their subresources."""
    found = []
    for resource in resources.groups().get(group, {}).get(version, []):
        entry = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": VERBS,
        }
        if resource.short:
            entry["shortNames"] = resource.short
        if resource.categories:
            entry["categories"] = resource.categories
        found.append(entry)
        for name in resource.subresources():
            other = SUBRESOURCE_KINDS.get(name)
            sub = {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": other[2] if other else resource.kind,
                "verbs": SUBRESOURCE_VERBS[name],
            }
            if other:
                sub["group"], sub["version"] = other[:2]
            found.append(sub)
    if not found:
        return None
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}


def aggregated(resources, core):
    """All groups with all their resources in one answer: the core one, or the others."""
    items = []
    for name, versions in resources.groups().items():
        if bool(name) == core:
            continue
        listed = []
        for version, members in versions.items():
            found = [_discovered(resource, name, version) for resource in members]
            listed.append({"version": version, "freshness": "Current", "resources": found})
        items.append({"metadata": {"name": name, "creationTimestamp": None} if name else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _discovered(resource, group, version):
    entry = {
        "resource": resource.plural,
        "responseKind": {"group": group, "version": version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": VERBS,
        "subresources": [],
    }
    if resource.short:
        entry["shortNames"] = resource.short
    if resource.categories:
        entry["categories"] = resource.categories
    for name in resource.subresources():
        kind = SUBRESOURCE_KINDS.get(name, (group, version, resource.kind))
        entry["subresources"].append({
            "subresource": name,
            "responseKind": {"group": kind[0], "version": kind[1], "kind": kind[2]},
            "verbs": SUBRESOURCE_VERBS[name],
        })  # fmt: skip
    return entry
