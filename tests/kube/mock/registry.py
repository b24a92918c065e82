"""The verbs: create, update, patch, delete, on the objects of a store, with the rules of all of them together."""

import copy

from . import apply, defaults, errors, patch, rules, schema, validation
from .deletion import DEFINITIONS, NAMESPACES, Deletion
from .resources import Resources
from .store import new_uid, now

# The built-in kinds whose generation counts the changes of their specification.
COUNTED = {*validation.WORKLOADS, "Job", "CronJob", "Ingress", "NetworkPolicy", "PodDisruptionBudget",
           "CustomResourceDefinition"}  # fmt: skip


class Options:
    """What the query of a write says about it."""

    def __init__(self, query, agent="", version=None):
        self.dry_run = query.get("dryRun") == "All"
        self.validation = query.get("fieldValidation", "Warn")
        self.manager = query.get("fieldManager") or agent.split("/")[0] or "unknown"
        self.force = query.get("force") in ("true", "1")
        self.version = version
        self.warnings = []


class Registry(Deletion):
    def __init__(self, store):
        self.store = store
        self.resources = Resources()
        with store.lock:
            for definition in store.list(DEFINITIONS):
                self.resources.define(definition)
            for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
                if not store.get(NAMESPACES, "", name):
                    self._first_namespace(name)

    def _first_namespace(self, name):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.create(self.resources.named("namespaces"), "", body, Options({}, "kube-apiserver"))

    # ---------------------------------------------------------------- reading

    def get(self, resource, namespace, name):
        object = self.store.get(resource.key, namespace, name)
        if object is None:
            raise errors.not_found(resource, name)
        return object

    # ---------------------------------------------------------------- writing

    def create(self, resource, namespace, body, options):
        with self.store.lock:
            object = self._decoded(resource, namespace, body, options)
            metadata = object["metadata"]
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = metadata["generateName"] + rules.suffix()
            if not metadata.get("name"):
                raise errors.invalid(resource, "", [errors.required("metadata.name", "name or generateName is required")])
            if metadata.get("resourceVersion"):
                raise errors.bad_request("resourceVersion should not be set on objects to be created")
            self._check_namespace(resource, namespace, metadata["name"])
            if self.store.get(resource.key, namespace, metadata["name"]):
                raise errors.already_exists(resource, metadata["name"])
            object = self._new(resource, namespace, object, options)
            apply.update(None, object, resource.type(options.version), options.manager)
            return self._created(resource, namespace, object, options)

    def update(self, resource, namespace, name, body, options, subresource=""):
        with self.store.lock:
            before = self.store.get(resource.key, namespace, name)
            if before is None:
                raise errors.not_found(resource, name)
            object = self._decoded(resource, namespace, body, options)
            if object["metadata"].get("name") not in (None, name):
                raise errors.bad_request(f"the name of the object ({object['metadata']['name']}) does not match the name on the URL ({name})")  # fmt: skip
            object["metadata"]["name"] = name
            return self._change(resource, before, object, options, subresource)

    def patch(self, resource, namespace, name, body, kind, options, subresource=""):
        """Changes an object by one of the kinds of patches. Gives it back and whether it was created."""
        with self.store.lock:
            if kind == "apply":
                return self._apply(resource, namespace, name, body, options, subresource)
            before = self.store.get(resource.key, namespace, name)
            if before is None:
                raise errors.not_found(resource, name)
            type = resource.type(options.version)
            current = self._in_version(resource, before, options.version)
            if kind == "json":
                object = patch.json_patch(current, body)
            elif kind == "merge":
                object = patch.merge_patch(current, body)
            elif resource.custom:
                raise errors.unsupported_media("the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")  # fmt: skip
            else:
                object = patch.strategic(current, body, type)
            object = self._decoded(resource, namespace, object, options)
            return self._change(resource, before, object, options, subresource), False

    def _apply(self, resource, namespace, name, body, options, subresource):
        type = resource.type(options.version)
        config = schema.clean(copy.deepcopy(body))
        config.setdefault("metadata", {})
        if config["metadata"].get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        if config["metadata"].get("name") not in (None, name):
            raise errors.bad_request(f"the name of the object ({config['metadata']['name']}) does not match the name on the URL ({name})")  # fmt: skip
        config["metadata"]["name"] = name
        if resource.namespaced:
            self._right_namespace(config, namespace)
            config["metadata"]["namespace"] = namespace
        self._typed(resource, config, type, namespace)
        before = self.store.get(resource.key, namespace, name)
        if before is None:
            if subresource:
                raise errors.not_found(resource, name)
            self._check_namespace(resource, namespace, name)
            empty = {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {"name": name}}
            config["metadata"].pop("resourceVersion", None)
            object = apply.apply(empty, config, type, options.manager, options.force)
            object = object if resource.custom else schema.drop_empty(object, type)
            managed = object["metadata"].pop("managedFields", [])
            object = self._new(resource, namespace, object, options)
            object["metadata"]["managedFields"] = managed
            return self._created(resource, namespace, object, options), True
        current = self._in_version(resource, before, options.version)
        wanted = config["metadata"].pop("resourceVersion", None)
        if wanted and wanted != before["metadata"]["resourceVersion"]:
            raise errors.conflict(resource, name)
        if config["metadata"].get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
            raise errors.conflict(resource, name, self._other_uid(before, config))
        object = apply.apply(current, config, type, options.manager, options.force, subresource)
        object = object if resource.custom else schema.drop_empty(object, type)
        return self._change(resource, before, object, options, subresource, applied=True), False

    def _typed(self, resource, config, type, namespace):
        unknown = schema.unknown_fields(config, type)
        if unknown and not resource.custom:
            where = f"{namespace}/{config['metadata']['name']}; {config['apiVersion']}, Kind={resource.kind}"
            message = f"failed to create typed patch object ({where}): .{unknown[0]}: field not declared in schema"
            raise errors.ApiError(500, "", message)
        self._well_typed(resource, config, type)

    # ---------------------------------------------------------------- steps that the verbs share

    def _decoded(self, resource, namespace, body, options):
        """The body as an object of the resource, or what a decoder has against it."""
        if not isinstance(body, dict):
            raise errors.bad_request("the object provided is unrecognized (must be of type " + resource.kind + ")")
        object, version = schema.clean(copy.deepcopy(body)), options.version or resource.version
        object.setdefault("apiVersion", resource.api_version(version))
        object.setdefault("kind", resource.kind)
        if (object["apiVersion"], object["kind"]) != (resource.api_version(version), resource.kind):
            raise errors.bad_request(f"{object['kind']} in version \"{object['apiVersion'].rpartition('/')[2]}\" cannot be handled as a {resource.kind}: converting ({object['apiVersion']}, Kind={object['kind']}) to ({resource.api_version(version)}, Kind={resource.kind}): unknown conversion")  # fmt: skip
        object.setdefault("metadata", {})
        type = resource.type(options.version)
        self._well_typed(resource, object, type)
        self._right_namespace(object, namespace if resource.namespaced else "")
        if resource.namespaced:
            object["metadata"]["namespace"] = namespace
        else:
            object["metadata"].pop("namespace", None)
        unknown = schema.unknown_fields(object, type)
        if unknown:
            said = [f'unknown field "{path}"' for path in unknown]
            if options.validation == "Strict":
                version = object["apiVersion"].rpartition("/")[2]
                what = "" if resource.custom else f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: '
                raise errors.bad_request(f"{what}strict decoding error: {', '.join(said)}")
            if options.validation == "Warn":
                options.warnings += said
            object = schema.prune(object, type)
        return object if resource.custom else schema.drop_empty(object, type)

    def _well_typed(self, resource, object, type):
        if said := schema.type_error(object, type):
            version = object["apiVersion"].rpartition("/")[2]
            message = f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: {said}'
            raise errors.bad_request(message)

    def _right_namespace(self, object, namespace):
        if object["metadata"].get("namespace") not in (None, "", namespace):
            raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")

    def _check_namespace(self, resource, namespace, name):
        """Nothing is made in a namespace that is not there, or that is on its way out."""
        if not resource.namespaced:
            return
        found = self.store.get(NAMESPACES, "", namespace)
        if found is None:
            raise errors.not_found(self.resources.named("namespaces"), namespace)
        if found["metadata"].get("deletionTimestamp"):
            raise errors.terminating(resource, name, namespace)

    def _new(self, resource, namespace, object, options):
        """What a new object has from the start."""
        metadata = object["metadata"]
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"):
            metadata.pop(name, None)
        if resource.namespaced:
            metadata["namespace"] = namespace
        metadata["uid"], metadata["creationTimestamp"] = new_uid(), now()
        if resource.custom or resource.kind in COUNTED:
            metadata["generation"] = 1
        type = resource.type(options.version)
        if not resource.custom and not isinstance(object.get("spec", {}), dict):
            raise errors.invalid(resource, metadata["name"], [errors.required("spec")])
        missing = "spec" not in object and "spec" in type.fields and type.fields["spec"].type.kind == "struct"
        if missing and not resource.custom:
            object["spec"] = {}
        defaults.fill(object, resource, type)
        self._valid(object, None, resource, type)
        rules.on_create(object, resource, self.store)
        if missing and object.get("spec") == {}:
            del object["spec"]
        return object

    def _valid(self, object, before, resource, type):
        causes = validation.of_object(object, before, resource, type)
        if causes:
            raise errors.invalid(resource, object["metadata"]["name"], causes)

    def _created(self, resource, namespace, object, options):
        if options.dry_run:
            return object
        object = self.store.put(resource.key, self._stored(resource, object))
        if resource.key == DEFINITIONS:
            self.resources.define(object)
        if self.is_orphan(object):
            # The garbage collector finds what was made for an owner that went meanwhile.
            self.delete(resource, namespace, object["metadata"]["name"], {})
        return self._in_version(resource, object, options.version)

    def _change(self, resource, before, object, options, subresource, applied=False):
        """Puts an object in the place of another one, unless nothing differs."""
        old, type = before["metadata"], resource.type(options.version)
        metadata = object["metadata"]
        if metadata.get("uid", old["uid"]) != old["uid"]:
            raise errors.conflict(resource, old["name"], self._other_uid(before, object))
        if metadata.get("resourceVersion") not in (None, "", "0", old["resourceVersion"]):
            raise errors.conflict(resource, old["name"])
        current = self._in_version(resource, before, options.version)
        object = self._parts(resource, current, object, subresource)
        for name in ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp",
                     "deletionGracePeriodSeconds", "generateName"):  # fmt: skip
            object["metadata"].pop(name, None)
            if name in old:
                object["metadata"][name] = old[name]
        if subresource in ("", "scale"):
            defaults.fill(object, resource, type)
            self._valid_change(resource, object, current, type)
        if "managedFields" not in object["metadata"] and "managedFields" in old:
            object["metadata"]["managedFields"] = old["managedFields"]
        object = copy.deepcopy(object)
        if not applied:
            apply.update(current, object, type, options.manager, subresource)
        if self._same(current, object):
            return current
        if subresource in ("", "scale") and self._specified(current) != self._specified(object) and "generation" in old:
            object["metadata"]["generation"] = old["generation"] + 1
        if options.dry_run:
            return object
        return self._in_version(resource, self._changed(resource, object), options.version)

    def _valid_change(self, resource, object, before, type):
        """Rules first fill in what a change may leave out, so they come before the check for changes."""
        if isinstance(object.get("spec", {}), dict) or resource.custom:
            rules.on_update(object, before, resource, self.store)
        self._valid(object, before, resource, type)

    def _changed(self, resource, object):
        if object["metadata"].get("deletionTimestamp") and self._is_free(resource, object):
            return self.gone(resource, object)
        object = self.store.put(resource.key, self._stored(resource, object))
        if resource.key == DEFINITIONS:
            self.resources.define(object)
        return object

    def _parts(self, resource, before, object, subresource):
        """A status is changed by its own endpoint and all else by the other."""
        if subresource == "status":
            kept = {**before, "metadata": {**before["metadata"]}}
            kept["metadata"]["managedFields"] = object["metadata"].get("managedFields", before["metadata"].get("managedFields"))
            kept.pop("status", None)
            return {**kept, "status": object["status"]} if "status" in object else kept
        if not resource.status or subresource == "finalize":
            return object
        object = {**object}
        object.pop("status", None)
        return {**object, "status": before["status"]} if "status" in before else object

    @staticmethod
    def _same(before, after):
        def bare(object):
            metadata = {name: value for name, value in object["metadata"].items() if name != "managedFields"}
            managed = copy.deepcopy(object["metadata"].get("managedFields", []))
            for entry in managed:
                entry.pop("time", None)
            managed.sort(key=str)
            return {**object, "metadata": {**metadata, "managedFields": managed}}

        return bare(before) == bare(after)

    @staticmethod
    def _specified(object):
        return {name: value for name, value in object.items() if name not in ("metadata", "status")}

    @staticmethod
    def _other_uid(before, object):
        wanted, is_now = object["metadata"].get("uid"), before["metadata"]["uid"]
        return f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {is_now}"

    @staticmethod
    def _in_version(resource, object, version):
        if not resource.custom or version in (None, object["apiVersion"].rpartition("/")[2]):
            return object
        return {**object, "apiVersion": resource.api_version(version)}

    @staticmethod
    def _stored(resource, object):
        return {**object, "apiVersion": resource.api_version()} if resource.custom else object
