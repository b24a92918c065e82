"""The kinds of patches besides server-side apply: JSON patch, merge patch, strategic merge patch."""

import copy

from . import errors


def merge_patch(value, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), change)
    return merged


# ---------------------------------------------------------------- JSON patch, RFC 6902


def _refused(operation, path, why):
    return errors.ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {operation} {path}: {why}")  # fmt: skip


def _steps(path):
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _parent(value, path):
    *steps, last = _steps(path)
    for step in steps:
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _refused("path", path, "missing") from None
    return value, last


def _take(value, path):
    parent, last = _parent(value, path)
    try:
        return parent[int(last)] if isinstance(parent, list) else parent[last]
    except (KeyError, IndexError, ValueError, TypeError):
        raise _refused("path", path, "missing") from None


def _add(value, path, new):
    parent, last = _parent(value, path)
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), new)
    else:
        parent[last] = new


def _remove(value, path):
    _take(value, path)
    parent, last = _parent(value, path)
    del parent[int(last) if isinstance(parent, list) else last]


def json_patch(value, operations):
    value = copy.deepcopy(value)
    for one in operations:
        operation, path = one.get("op"), one.get("path", "")
        if operation == "add":
            _add(value, path, one.get("value"))
        elif operation == "remove":
            _remove(value, path)
        elif operation == "replace":
            _take(value, path)
            parent, last = _parent(value, path)
            parent[int(last) if isinstance(parent, list) else last] = one.get("value")
        elif operation == "test":
            if _take(value, path) != one.get("value"):
                raise _refused("testing", path, "value differs")
        elif operation in ("move", "copy"):
            taken = copy.deepcopy(_take(value, one["from"]))
            if operation == "move":
                _remove(value, one["from"])
            _add(value, path, taken)
        else:
            raise errors.bad_request(f"Unexpected kind: {operation}")
    return value


# ---------------------------------------------------------------- strategic merge patch


def strategic(value, patch, type):
    """A merge patch in which lists merge by the keys of their items, and `$` directives delete and order."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: child for name, child in patch.items() if name != "$patch"}
    merged = dict(value) if isinstance(value, dict) else {}
    if "$retainKeys" in patch:
        merged = {name: child for name, child in merged.items() if name in patch["$retainKeys"]}
    for name, change in patch.items():
        if name in ("$patch", "$retainKeys") or name.startswith("$setElementOrder/"):
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.split("/", 1)[1]
            merged[field] = [item for item in merged.get(field, []) if item not in change]
        elif change is None:
            merged.pop(name, None)
        elif isinstance(change, dict) and change.get("$patch") == "delete":
            merged.pop(name, None)
        elif isinstance(change, list):
            merged[name] = _strategic_list(merged.get(name) or [], change, type.child(name))
        else:
            merged[name] = strategic(merged.get(name), change, type.child(name))
    for name, order in patch.items():
        if name.startswith("$setElementOrder/"):
            field = name.split("/", 1)[1]
            if isinstance(merged.get(field), list):
                merged[field] = _ordered(merged[field], order, type.child(field))
    return merged


def _key(item, type):
    return item.get(type.keys[0]) if type.keys and isinstance(item, dict) else item


def _strategic_list(items, changes, type):
    if any(isinstance(change, dict) and change.get("$patch") == "replace" for change in changes):
        return [change for change in changes if not (isinstance(change, dict) and "$patch" in change)]
    if type.is_set:
        return items + [change for change in changes if change not in items]
    if not type.keys:
        return changes
    merged = list(items)
    for change in changes:
        at = next((n for n, item in enumerate(merged) if _key(item, type) == _key(change, type)), None)
        if change.get("$patch") == "delete":
            merged = [item for item in merged if _key(item, type) != _key(change, type)]
        elif at is None:
            merged.append(strategic({}, change, type.item))
        else:
            merged[at] = strategic(merged[at], change, type.item)
    return merged


def _ordered(items, order, type):
    keys = [_key(one, type) for one in order]
    listed = sorted((item for item in items if _key(item, type) in keys), key=lambda item: keys.index(_key(item, type)))
    return listed + [item for item in items if _key(item, type) not in keys]
