"""Deleting: finalizers, what is owned by what, and namespaces that end.

The garbage collector and the namespace controller of a cluster do their part a moment later. Here they do it before
the request is answered.
"""

import copy

from . import errors
from .store import now

NAMESPACES = ("", "namespaces")
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")


class Deletion:
    """The part of the registry that deletes."""

    def delete(self, resource, namespace, name, asked, dry_run=False):
        """Deletes an object as DeleteOptions ask for it, and gives back what is left of it, or nothing."""
        with self.store.lock:
            object = self.get(resource, namespace, name)
            wanted, is_now = asked.get("preconditions") or {}, object["metadata"]
            for field, title in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
                if wanted.get(field) not in (None, is_now[field]):
                    why = f"Precondition failed: {title} in precondition: {wanted[field]}, {title} in object meta: {is_now[field]}"
                    raise errors.conflict(resource, name, why)
            if dry_run:
                return None
            if resource.key == NAMESPACES:
                return self._end_namespace(resource, object)
            policy = asked.get("propagationPolicy") or self._policy_of_old(asked)
            if policy == "Orphan":
                self._orphan(object)
            elif policy == "Foreground" and self._owned(object):
                object = self._doom(resource, object, ["foregroundDeletion"])
                self._delete_owned(object)
                # Those that it owned may have let it go.
                object = self.store.get(resource.key, namespace, name)
                if object is None or self._owned(object):
                    return object
                object = self._without_finalizer(object, "foregroundDeletion")
            if object["metadata"].get("finalizers"):
                return self._doom(resource, object, [])
            self.gone(resource, object)
            return None

    @staticmethod
    def _policy_of_old(asked):
        return "Orphan" if asked.get("orphanDependents") else "Background"

    def gone(self, resource, object):
        """Takes an object out of the store, and then what it owned, or what waited for it."""
        last = self.store.remove(resource.key, object)
        self._delete_owned(last)
        if resource.key == DEFINITIONS:
            self._drop_custom_objects(last)
        for reference in last["metadata"].get("ownerReferences") or []:
            self._released(reference, last["metadata"].get("namespace"))
        if namespace := last["metadata"].get("namespace"):
            self._try_to_end(namespace)
        return last

    # ---------------------------------------------------------------- finalizers and owners

    def _is_free(self, resource, object):
        if resource.key == NAMESPACES and (object.get("spec") or {}).get("finalizers"):
            return False
        return not object["metadata"].get("finalizers")

    def _doom(self, resource, object, finalizers):
        """Marks an object as one that goes once its finalizers are done."""
        metadata = copy.deepcopy(object["metadata"])
        if metadata.get("deletionTimestamp") and set(finalizers) <= set(metadata.get("finalizers", [])):
            return object
        metadata.setdefault("deletionTimestamp", now())
        metadata.setdefault("deletionGracePeriodSeconds", 0)
        if "generation" in metadata:
            metadata["generation"] += 1
        missing = [name for name in finalizers if name not in metadata.get("finalizers", [])]
        metadata["finalizers"] = metadata.get("finalizers", []) + missing
        return self.store.put(resource.key, {**object, "metadata": metadata})

    @staticmethod
    def _without_finalizer(object, finalizer):
        metadata = {**object["metadata"]}
        metadata["finalizers"] = [name for name in metadata.get("finalizers", []) if name != finalizer]
        return {**object, "metadata": metadata}

    def _owned(self, object):
        """What an object owns: pairs of a resource and an object."""
        uid, found = object["metadata"]["uid"], []
        for key, objects in self.store.objects.items():
            for owned in objects.values():
                if any(reference.get("uid") == uid for reference in owned["metadata"].get("ownerReferences") or []):
                    found.append((self.resources.all[key], owned))
        return found

    def _delete_owned(self, object):
        for resource, owned in self._owned(object):
            metadata = owned["metadata"]
            others = [one for one in metadata["ownerReferences"] if one.get("uid") != object["metadata"]["uid"]]
            if any(self._is_there(one, metadata.get("namespace")) for one in others):
                self.store.put(resource.key, {**owned, "metadata": {**metadata, "ownerReferences": others}})
            elif self.store.get(resource.key, metadata.get("namespace"), metadata["name"]):
                self.delete(resource, metadata.get("namespace"), metadata["name"], {})

    def is_orphan(self, object):
        """Whether an object has owners, and none of them is there."""
        owners = object["metadata"].get("ownerReferences") or []
        return bool(owners) and not any(self._is_there(one, object["metadata"].get("namespace")) for one in owners)

    def _is_there(self, reference, namespace):
        resource = self.resources.of_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            return False
        found = self.store.get(resource.key, namespace if resource.namespaced else "", reference["name"])
        return found is not None and found["metadata"]["uid"] == reference["uid"]

    def _released(self, reference, namespace):
        """Lets an owner go that was to be deleted after what it owns, when this was the last of it."""
        resource = self.resources.of_kind(reference["apiVersion"], reference["kind"])
        owner = resource and self.store.get(resource.key, namespace if resource.namespaced else "", reference["name"])
        if not owner or owner["metadata"]["uid"] != reference["uid"]:
            return
        if "foregroundDeletion" in owner["metadata"].get("finalizers", []) and not self._owned(owner):
            owner = self._without_finalizer(owner, "foregroundDeletion")
            if owner["metadata"]["finalizers"]:
                self.store.put(resource.key, owner)
            else:
                self.gone(resource, owner)

    def _orphan(self, object):
        for resource, owned in self._owned(object):
            metadata = {**owned["metadata"]}
            others = [one for one in metadata["ownerReferences"] if one.get("uid") != object["metadata"]["uid"]]
            if others:
                metadata["ownerReferences"] = others
            else:
                del metadata["ownerReferences"]
            self.store.put(resource.key, {**owned, "metadata": metadata})

    def _drop_custom_objects(self, definition):
        """Custom resources end with their definition."""
        spec = definition["spec"]
        resource = self.resources.all.get((spec["group"], spec["names"]["plural"]))
        for object in list(self.store.objects.get(resource.key, {}).values()) if resource else []:
            self.gone(resource, object)
        self.resources.forget(definition)

    # ---------------------------------------------------------------- namespaces

    def _end_namespace(self, resource, object):
        name = object["metadata"]["name"]
        if name in ("default", "kube-system", "kube-public"):
            raise errors.forbidden(resource, name, "this namespace may not be deleted")
        if not object["metadata"].get("deletionTimestamp"):
            metadata = {**object["metadata"], "deletionTimestamp": now()}
            object = {**object, "metadata": metadata, "status": {**object.get("status", {}), "phase": "Terminating"}}
            self.store.put(resource.key, object)
        for key in list(self.store.objects):
            inside = self.resources.all.get(key)
            for namespace, within in list(self.store.objects[key]):
                if namespace == name and self.store.get(key, namespace, within):
                    self.delete(inside, namespace, within, {})
        self._try_to_end(name)
        return self.store.get(resource.key, "", name)

    def _content(self, namespace):
        found = []
        for key, objects in self.store.objects.items():
            found += [(self.resources.all[key], object) for (where, _), object in objects.items() if where == namespace]
        return found

    def _try_to_end(self, name):
        """Ends a namespace that is to end, when nothing is in it any more; says what is in its way otherwise."""
        resource, object = self.resources.named("namespaces"), self.store.get(NAMESPACES, "", name)
        if object is None or not object["metadata"].get("deletionTimestamp"):
            return
        content = self._content(name)
        if not content:
            object = {**object, "spec": {}}
            if self._is_free(resource, object):
                self.store.remove(resource.key, object)
            elif self.store.get(NAMESPACES, "", name).get("spec"):
                self.store.put(resource.key, object)
            return
        conditions = self._in_the_way(content)
        if (object.get("status") or {}).get("conditions") != conditions:
            self.store.put(resource.key, {**object, "status": {"phase": "Terminating", "conditions": conditions}})

    @staticmethod
    def _in_the_way(content):
        kinds, finalizers = {}, {}
        for resource, object in content:
            kinds[resource.qualified + ("" if resource.group else ".")] = kinds.get(resource.qualified, 0) + 1
            for finalizer in object["metadata"].get("finalizers", []):
                finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
        remaining = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
        waiting = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        said = [
            ("NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources are remaining: {remaining}"),
            ("NamespaceFinalizersRemaining", "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {waiting}"),
        ]  # fmt: skip
        since = min(object["metadata"].get("deletionTimestamp", "~") for _, object in content)
        return [
            {"type": type, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since}
            for type, reason, message in said
        ]
