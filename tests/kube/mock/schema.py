"""Types of fields: read from shapes.py, or from the OpenAPI schema of a custom resource."""

import copy
import json
import re

from . import shapes


class Type:
    """What may stand at a place: a scalar, a struct, a map, a list, or anything."""

    def __init__(self, kind, name=None, fields=None, item=None, keys=(), is_set=False, atomic=False, open=False):
        self.kind = kind  # scalar, struct, map, list, any
        self.name = name
        self.fields = fields or {}
        self.item = item
        self.keys = keys  # of the items of a list
        self.is_set = is_set
        self.atomic = atomic
        self.open = open
        self.rules = {}  # of a custom resource: enum, minimum, maximum, pattern

    @property
    def granular(self):
        """Whether what is inside has owners and merges of its own."""
        if self.atomic:
            return False
        if self.kind == "list":
            return bool(self.keys) or self.is_set
        return self.kind in ("struct", "map", "any")

    def child(self, name):
        """The type of a field or of a key of a map; that of an unknown field is anything."""
        if self.kind == "struct":
            field = self.fields.get(name)
            return field.type if field else ANY
        return self.item if self.kind == "map" else ANY

    def key_of(self, item):
        """What tells an item of a list apart, with the defaults of its fields."""
        key = {}
        for name in self.keys:
            value = item.get(name) if isinstance(item, dict) else None
            field = self.item.fields.get(name)
            if value is None and field is not None:
                value = field.default
            if value is not None:
                key[name] = value
        return json.dumps(key, separators=(",", ":"), sort_keys=True)


class Field:
    def __init__(self, type, required=False, default=None):
        self.type = type
        self.required = required
        self.default = default


ANY = Type("any")
TYPES = {}


def _named(name):
    if name == "any":
        return ANY
    if name in shapes.SCALARS:
        return TYPES.setdefault(name, Type("scalar", name=name))
    return TYPES.setdefault(name, Type("struct", name=name))


def _parse_type(text):
    atomic = text.endswith("@")
    text = text.rstrip("@")
    if text.startswith("{"):
        return Type("map", item=_named(text[1:-1]), atomic=atomic)
    if text.startswith("["):
        item, _, keys = text[1:-1].partition("|")
        is_set = item.endswith("*")
        return Type("list", item=_named(item.rstrip("*")), keys=tuple(keys.split(",")) if keys else (), is_set=is_set)
    return _named(text)


def _default(type, text):
    if text is None:
        return None
    if text == "{}":
        return {}
    if type.name == "int":
        return int(text)
    return text == "true" if type.name == "bool" else text


def _parse_all(text):
    lines = [line for line in re.sub(r"\n +", " ", text).split("\n") if line]
    for line in lines:
        head, _, rest = line.partition(":")
        name, *marks = head.split()
        type = _named(name)
        type.atomic, type.open = "atomic" in marks, "open" in marks
        for token in rest.split():
            field, required, kind, default = re.fullmatch(r"(\w+)(!?):([^=]+)(?:=(.*))?", token).groups()
            parsed = _parse_type(kind)
            type.fields[field] = Field(parsed, bool(required), _default(parsed, default))


_parse_all(shapes.ALL)
TOP = {"apiVersion": Field(_named("str")), "kind": Field(_named("str")), "metadata": Field(_named("ObjectMeta"))}


def of_kind(kind):
    """The type of a built-in kind."""
    type = TYPES[kind]
    type.fields = {**TOP, **type.fields}
    return type


def of_custom(spec):
    """The type of a custom resource from the schema that its definition has for a version."""
    type = _from_openapi(spec) if spec else Type("struct", open=True)
    if type.kind != "struct":
        type = Type("struct", open=True)
    type.fields = {**type.fields, **TOP}
    return type


def _from_openapi(spec):
    kind = spec.get("type")
    if kind == "object" and "properties" in spec:
        required, open = spec.get("required", []), bool(spec.get("x-kubernetes-preserve-unknown-fields"))
        fields = {
            name: Field(_from_openapi(child), name in required, child.get("default"))
            for name, child in spec["properties"].items()
        }
        return Type("struct", fields=fields, atomic=spec.get("x-kubernetes-map-type") == "atomic", open=open)
    if kind == "object" and isinstance(spec.get("additionalProperties"), dict):
        return Type("map", item=_from_openapi(spec["additionalProperties"]))
    if kind == "array":
        list_type, item = spec.get("x-kubernetes-list-type"), _from_openapi(spec.get("items", {}))
        keys = tuple(spec.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else ()
        return Type("list", item=item, keys=keys, is_set=list_type == "set")
    if spec.get("x-kubernetes-int-or-string"):
        return _named("intstr")
    if kind in ("string", "integer", "boolean", "number"):
        names = {"string": "str", "integer": "int", "boolean": "bool", "number": "float"}
        type = Type("scalar", name=names[kind])
        type.rules = {rule: spec[rule] for rule in ("enum", "minimum", "maximum", "pattern") if rule in spec}
        return type
    if kind == "object" and not spec.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in spec:
        return Type("struct")
    return ANY


def clean(value):
    """Without nulls, which stand for nothing in an object."""
    if isinstance(value, dict):
        return {key: clean(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [clean(child) for child in value]
    return value


def drop_empty(value, type):
    """Without the fields that are empty maps or lists, which a built-in kind does not keep."""
    if type.kind == "struct" and isinstance(value, dict):
        kept = {}
        for name, child in value.items():
            child_type = type.child(name)
            if child_type.kind not in ("map", "list") or child:
                kept[name] = drop_empty(child, child_type)
        return kept
    if type.kind == "list" and isinstance(value, list):
        return [drop_empty(child, type.item) for child in value]
    return value


def unknown_fields(value, type, path=""):
    """The paths of fields that the type does not have."""
    found = []
    if type.kind == "struct" and isinstance(value, dict):
        for name, child in value.items():
            where = f"{path}.{name}" if path else name
            if name in type.fields:
                found += unknown_fields(child, type.fields[name].type, where)
            elif not type.open:
                found.append(where)
    elif type.kind == "map" and isinstance(value, dict):
        for name, child in value.items():
            found += unknown_fields(child, type.item, f"{path}.{name}")
    elif type.kind == "list" and isinstance(value, list):
        for number, child in enumerate(value):
            found += unknown_fields(child, type.item, f"{path}[{number}]")
    return found


def prune(value, type):
    """Without the fields that the type does not have."""
    if type.kind == "struct" and isinstance(value, dict):
        known = {name: child for name, child in value.items() if type.open or name in type.fields}
        return {name: prune(child, type.child(name)) for name, child in known.items()}
    if type.kind == "map" and isinstance(value, dict):
        return {name: prune(child, type.item) for name, child in value.items()}
    if type.kind == "list" and isinstance(value, list):
        return [prune(child, type.item) for child in value]
    return value


GO_TYPES = {"str": "string", "int": "int32", "bool": "bool", "time": "string", "float": "float64"}


def type_error(value, type, path="", owner=""):
    """What a decoder says of the first value that is of another type than its field, or nothing."""
    if type.kind == "struct":
        if not isinstance(value, dict):
            return _mismatch(value, type.name or "map[string]interface {}", path, owner)
        for name, child in value.items():
            where = f"{path}.{name}" if path else name
            if said := type_error(child, type.child(name), where, type.name or ""):
                return said
    elif type.kind == "map":
        if not isinstance(value, dict):
            return _mismatch(value, "map[string]string", path, owner)
        for name, child in value.items():
            if said := type_error(child, type.item, path, owner):
                return said
    elif type.kind == "list":
        if not isinstance(value, list):
            return _mismatch(value, "[]" + (type.item.name or "string"), path, owner)
        for child in value:
            if said := type_error(child, type.item, path, owner):
                return said
    elif type.kind == "scalar" and not _fits(value, type.name):
        return _mismatch(value, GO_TYPES.get(type.name, type.name), path, owner)
    return None


def _fits(value, name):
    if isinstance(value, bool):
        return name == "bool"
    if isinstance(value, int):
        return name in ("int", "float", "intstr", "quantity")
    if isinstance(value, float):
        return name in ("float", "quantity") or (name == "int" and value == int(value))
    return isinstance(value, str) and name in ("str", "time", "intstr", "quantity", "bytes")


def _mismatch(value, wanted, path, owner):
    names = [(bool, "bool"), (str, "string"), (dict, "object"), (list, "array"), ((int, float), "number")]
    got = next(name for kind, name in names if isinstance(value, kind))
    return f"json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {wanted}"


def fill_defaults(value, type):
    """Fills in, in place, the defaults that the types have."""
    if type.kind == "struct" and isinstance(value, dict):
        for name, field in type.fields.items():
            if field.default is not None and name not in value:
                value[name] = copy.deepcopy(field.default)
            if name in value:
                fill_defaults(value[name], field.type)
    elif type.kind in ("map", "list") and type.item.kind != "scalar":
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            fill_defaults(child, type.item)
