"""Bodies in protobuf: helm sends what it keeps its releases in so, and `kubectl create KIND` what it makes.

Only a few kinds are known here. Others are made from manifests, which are sent as JSON.
"""

import base64
import datetime

from . import errors

MAGIC = b"k8s\x00"


def _varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _wire(data):
    """The fields of a message: the number of each, and its content as an integer or as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind}")
        yield number, value


def _text(value):
    return value.decode()


def _base64(value):
    return base64.b64encode(value).decode()


def _time(value):
    seconds = dict(_wire(value)).get(1, 0)
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Map:
    """An entry of a map, whose key is field 1 and whose value is field 2."""

    def __init__(self, value):
        self.value = value

    def add(self, found, name, data):
        entry = dict(_wire(data))
        found.setdefault(name, {})[_text(entry.get(1, b""))] = self.value(entry.get(2, b""))


class _List:
    def __init__(self, value):
        self.value = value

    def add(self, found, name, data):
        found.setdefault(name, []).append(self.value(data))


class _Message:
    def __init__(self, fields):
        self.fields = fields

    def __call__(self, data):
        found = {}
        for number, value in _wire(data):
            if number not in self.fields:
                continue
            name, kind = self.fields[number]
            if isinstance(kind, (_Map, _List)):
                kind.add(found, name, value)
            else:
                found[name] = kind(value)
        return found


OWNER = _Message({
    1: ("kind", _text), 3: ("name", _text), 4: ("uid", _text), 5: ("apiVersion", _text), 6: ("controller", bool),
    7: ("blockOwnerDeletion", bool),
})  # fmt: skip
METADATA = _Message({
    1: ("name", _text), 2: ("generateName", _text), 3: ("namespace", _text), 5: ("uid", _text),
    6: ("resourceVersion", _text), 7: ("generation", int), 8: ("creationTimestamp", _time),
    11: ("labels", _Map(_text)), 12: ("annotations", _Map(_text)), 13: ("ownerReferences", _List(OWNER)),
    14: ("finalizers", _List(_text)),
})  # fmt: skip
PRECONDITIONS = _Message({1: ("uid", _text), 2: ("resourceVersion", _text)})
KINDS = {
    "Secret": _Message({
        1: ("metadata", METADATA), 2: ("data", _Map(_base64)), 3: ("type", _text), 4: ("stringData", _Map(_text)),
        5: ("immutable", bool),
    }),
    "ConfigMap": _Message({
        1: ("metadata", METADATA), 2: ("data", _Map(_text)), 3: ("binaryData", _Map(_base64)), 4: ("immutable", bool),
    }),
    "Namespace": _Message({1: ("metadata", METADATA)}),
    "ServiceAccount": _Message({1: ("metadata", METADATA), 4: ("automountServiceAccountToken", bool)}),
    "DeleteOptions": _Message({
        1: ("gracePeriodSeconds", int), 2: ("preconditions", PRECONDITIONS), 3: ("orphanDependents", bool),
        4: ("propagationPolicy", _text), 5: ("dryRun", _List(_text)),
    }),
}  # fmt: skip
TYPE = _Message({1: ("apiVersion", _text), 2: ("kind", _text)})
ENVELOPE = _Message({1: ("type", TYPE), 2: ("raw", bytes)})


def decode(body):
    """The object in a body, as JSON has it. What is empty is as if it were absent."""
    if not body.startswith(MAGIC):
        raise errors.bad_request("the body is no protobuf of Kubernetes")
    try:
        envelope = ENVELOPE(body[len(MAGIC) :])
        kind = envelope["type"].get("kind")
        if kind not in KINDS:
            raise errors.unsupported_media(f"this mock knows no protobuf of the kind {kind}; make it from a manifest")
        object = KINDS[kind](envelope.get("raw", b""))
    except (ValueError, IndexError, KeyError) as error:
        raise errors.bad_request(f"the protobuf in the body cannot be read: {error}") from None
    metadata = {name: value for name, value in object.get("metadata", {}).items() if value != ""}
    metadata.pop("creationTimestamp", None)
    if kind != "DeleteOptions":
        object["metadata"] = metadata
    return {**envelope["type"], **object}
