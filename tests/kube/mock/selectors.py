"""Label selectors and field selectors."""

import re

from . import errors


def _requirement(text):
    """What one part of a label selector asks of the labels."""
    if match := re.fullmatch(r"\s*([^\s!=(),]+)\s+(in|notin)\s*\(([^)]*)\)\s*", text):
        key, operator, values = match.groups()
        values = {value.strip() for value in values.split(",")}
        if operator == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: labels.get(key) not in values
    if match := re.fullmatch(r"\s*([^\s!=(),]+)\s*(=|==|!=)\s*([^\s!=(),]*)\s*", text):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := re.fullmatch(r"\s*(!?)\s*([^\s!=(),]+)\s*", text):
        absent, key = match.groups()
        return lambda labels: (key not in labels) if absent else (key in labels)
    raise errors.bad_request(f"unable to parse requirement: {text}")


def by_labels(text):
    """Whether an object has the labels that a selector in a query asks for."""
    wanted = [_requirement(part) for part in re.split(r",(?![^(]*\))", text or "") if part.strip()]
    return lambda object: all(one(object["metadata"].get("labels") or {}) for one in wanted)


def _field(object, path):
    value = object
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, dict) else ""
    if value in ("", None) and path in ("spec.unschedulable", "spec.hostNetwork"):
        return "false"
    if value in ("", None) and path == "status.successful":
        return str(object.get("status", {}).get("succeeded", 0))
    return str(value).lower() if isinstance(value, bool) else str(value)


def by_fields(text):
    wanted = []
    for part in filter(None, (text or "").split(",")):
        match = re.fullmatch(r"([^!=]+)(!=|==|=)(.*)", part)
        if not match:
            raise errors.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        wanted.append(match.groups())
    return lambda object: all((_field(object, path) == value) == (op != "!=") for path, op, value in wanted)


def of_query(query):
    """Whether an object is one that the query of a list or a watch asks for."""
    labels, fields = by_labels(query.get("labelSelector")), by_fields(query.get("fieldSelector"))
    return lambda object: labels(object) and fields(object)


def selects(selector, labels):
    """Whether a LabelSelector, as workloads have them, takes these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or []:
        key, values = one["key"], one.get("values") or []
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds.get(one["operator"], False):
            return False
    return True
