"""Managed fields: who owns which field, server-side apply and its conflicts.

The rules are those of the structured merge that the real server has; what differs is that parents of fields have no
owners here, but for items of lists.
"""

import copy
import json

from . import errors, fieldset
from .store import now

NEVER = {
    ("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace"),
    ("f:metadata", "f:creationTimestamp"), ("f:metadata", "f:selfLink"), ("f:metadata", "f:uid"),
    ("f:metadata", "f:generation"), ("f:metadata", "f:resourceVersion"), ("f:metadata", "f:generateName"),
    ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:deletionGracePeriodSeconds"),
}  # fmt: skip


class Managers:
    """The sets of fields by manager, operation, version and subresource."""

    def __init__(self, entries=()):
        self.sets, self.times = {}, {}
        for entry in entries or ():
            key = (entry.get("manager", ""), entry.get("operation", "Update"), entry.get("apiVersion", ""),
                   entry.get("subresource", ""))  # fmt: skip
            self.sets[key] = fieldset.from_json(entry.get("fieldsV1"))
            self.times[key] = entry.get("time")

    def entries(self, before=None):
        """As metadata has them. A set that is as it was keeps its time."""
        found = []
        for key in sorted(self.sets, key=lambda key: (key[1] != "Apply", self.times.get(key) or "~", key)):
            manager, operation, version, subresource = key
            if not self.sets[key]:
                continue
            same = before is not None and before.sets.get(key) == self.sets[key]
            entry = {
                "manager": manager,
                "operation": operation,
                "apiVersion": version,
                "time": (before.times.get(key) if same else None) or now(),
                "fieldsType": "FieldsV1",
                "fieldsV1": fieldset.to_json(self.sets[key]),
            }
            if subresource:
                entry["subresource"] = subresource
            found.append(entry)
        return found


def _ignored(path, subresource):
    if path in NEVER or path[:2] == ("f:metadata", "f:managedFields"):
        return True
    return (path[0] == "f:status") != (subresource == "status") and (path[0] == "f:status" or subresource == "status")


def _kept(paths, subresource):
    return {path for path in paths if path and not _ignored(path, subresource)}


def _current(object):
    return Managers(object["metadata"].get("managedFields"))


def update(before, after, type, manager, subresource=""):
    """What an update or a patch makes of the managed fields: who changes a field owns it. Works in place."""
    managers, original = _current(after), _current(before) if before else Managers()
    added, changed, removed = fieldset.compare(before or {}, after, type)
    touched = _kept(added | changed, subresource)
    key = (manager, "Update", after["apiVersion"], subresource)
    for other in managers.sets:
        managers.sets[other] -= removed
        if other != key:
            managers.sets[other] -= touched
    managers.sets[key] = managers.sets.get(key, set()) | touched
    after["metadata"]["managedFields"] = managers.entries(original)


def apply(live, config, type, manager, force, subresource=""):
    """The object that a configuration makes of the live one, or a conflict."""
    managers, original = _current(live), _current(live)
    key = (manager, "Apply", config["apiVersion"], subresource)
    wanted = _kept(fieldset.leaves(config, type), subresource)
    last = managers.sets.get(key, set())
    merged = merge(live, _relevant(config, subresource), type)
    others = {other: fields for other, fields in managers.sets.items() if other != key}
    owned = set().union(*others.values()) if others else set()
    # What was applied before and nobody has now goes, and with it what defaults have put beneath.
    dropped = fieldset.closure(last) - fieldset.closure(wanted | owned) - set(NEVER)
    merged = fieldset.without(merged, type, dropped)
    added, changed, _ = fieldset.compare(live, merged, type)
    touched = _kept(added | changed, subresource) & wanted
    clashes = {other: fields & touched for other, fields in others.items() if fields & touched}
    if clashes and not force:
        raise _conflict(clashes, managers)
    for other, fields in clashes.items():
        managers.sets[other] = managers.sets[other] - fields
    managers.sets[key] = wanted
    merged["metadata"]["managedFields"] = managers.entries(original)
    return merged


def _relevant(config, subresource):
    """A configuration without what the endpoint does not set."""
    config = copy.deepcopy(config)
    if subresource == "status":
        for name in [name for name in config if name not in ("apiVersion", "kind", "metadata", "status")]:
            del config[name]
    else:
        config.pop("status", None)
    config.get("metadata", {}).pop("managedFields", None)
    return config


def merge(live, config, type):
    """The live value with what the configuration says over it."""
    if isinstance(live, dict) and isinstance(config, dict) and type.granular:
        merged = dict(live)
        for name, value in config.items():
            merged[name] = merge(live[name], value, type.child(name)) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(config, list) and type.kind == "list" and type.granular:
        return _merge_lists(live, config, type)
    return config


def _merge_lists(live, config, type):
    """The items of the configuration in its order, and then those that only the live list has."""
    by_key = {fieldset.element(item, type): item for item in live}
    wanted = [fieldset.element(item, type) for item in config]
    merged = []
    for key, item in zip(wanted, config):
        merged.append(merge(by_key[key], item, type.item) if key in by_key and not type.is_set else item)
    rest = [item for item in live if fieldset.element(item, type) not in wanted]
    return merged + rest


def _name(key, managers):
    manager, operation, version, subresource = key
    text = json.dumps(manager)
    if subresource:
        text += f' with subresource "{subresource}"'
    text += f" using {version}"
    return f"{text} at {managers.times[key]}" if operation == "Update" and managers.times.get(key) else text


def _conflict(clashes, managers):
    causes, said = [], []
    for key in sorted(clashes):
        name = _name(key, managers)
        paths = sorted(fieldset.as_text(path) for path in clashes[key])
        said.append((name, paths))
        causes += [{"reason": "FieldManagerConflict", "message": f"conflict with {name}", "field": p} for p in paths]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: conflict with {said[0][0]}: {said[0][1][0]}"
    else:
        parts = [f"conflicts with {name}:\n" + "\n".join(f"- {path}" for path in paths) for name, paths in said]
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)
    return errors.ApiError(409, "Conflict", message, {"causes": causes})
