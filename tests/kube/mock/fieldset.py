"""Sets of fields, as managedFields names them: which ones an object has, and how two objects differ.

A field is a path, a tuple of elements: `f:name` is a field, `k:{"name":"a"}` an item of a list by its keys and
`v:"a"` an item of a set. A path that ends in such an item stands for the item itself.
"""

import json


def leaves(value, type, path=()):
    """The fields of a value, each with what it holds. Items of lists hold nothing themselves."""
    found = {}
    if not type.granular or not isinstance(value, (dict, list)) or (type.kind == "any" and isinstance(value, list)):
        found[path] = value
    elif isinstance(value, dict):
        if not value and path:
            found[path] = {}
        for name, child in value.items():
            found.update(leaves(child, type.child(name), (*path, f"f:{name}")))
    else:
        if not value:
            found[path] = []
        for child in value:
            item = (*path, element(child, type))
            found[item] = None
            if not type.is_set:
                found.update(leaves(child, type.item, item))
    return found


def element(item, type):
    """How an item of a list is named."""
    if type.is_set:
        return "v:" + json.dumps(item, separators=(",", ":"))
    return "k:" + type.key_of(item)


def to_json(paths):
    """A set of fields as fieldsV1."""
    tree = {}
    for path in sorted(paths):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        if path[-1][0] in "kv":
            node["."] = {}
    _drop_dots(tree)
    return tree


def _drop_dots(tree):
    """An item without fields of its own is written as the empty set."""
    for name, node in tree.items():
        if name != ".":
            if list(node) == ["."]:
                node.clear()
            _drop_dots(node)


def from_json(tree, path=()):
    """The fields of a fieldsV1."""
    found = set()
    for name, node in (tree or {}).items():
        if name == ".":
            found.add(path)
            continue
        if not node:
            found.add((*path, name))
        found |= from_json(node, (*path, name))
    return found


def as_text(path):
    """A field as messages name it: `.spec.containers[name="a"].image`."""
    text = ""
    for part in path:
        kind, name = part[0], part[2:]
        if kind == "f":
            text += f".{name}"
        elif kind == "v":
            text += f"[={name}]"
        else:
            keys = json.loads(name)
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(keys.items())) + "]"
    return text


def compare(before, after, type):
    """The fields that were added, changed and removed between two values."""
    old, new = leaves(before, type), leaves(after, type)
    added = {path for path in new if path not in old}
    removed = {path for path in old if path not in new}
    changed = {path for path in new if path in old and new[path] != old[path]}
    return added, changed, removed


def closure(paths):
    """The fields with all that they are in."""
    return {path[:end] for path in paths for end in range(1, len(path) + 1)}


def without(value, type, dropped, path=(), keys=()):
    """The value without the fields of a set, and whatever these hold. An item that stays keeps its keys."""
    if isinstance(value, dict) and type.granular:
        kept = {}
        for name, child in value.items():
            where = (*path, f"f:{name}")
            if where not in dropped or name in keys:
                kept[name] = without(child, type.child(name), dropped, where)
        return kept
    if isinstance(value, list) and type.kind == "list" and type.granular:
        kept = []
        for child in value:
            where = (*path, element(child, type))
            if where not in dropped:
                kept.append(child if type.is_set else without(child, type.item, dropped, where, type.keys))
        return kept
    return value
