"""The objects, and the history of their changes that watches are served from.

What is stored is never changed in place: who wants another object makes a copy and puts that.
"""

import datetime
import json
import os
import threading
import uuid


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid():
    return str(uuid.uuid4())


class Change:
    def __init__(self, revision, type, key, object, before):
        self.revision, self.type, self.key, self.object, self.before = revision, type, key, object, before


class Store:
    """Objects by resource (group and plural), namespace and name. Whoever reads and then writes holds `lock`."""

    def __init__(self, file=None):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.objects = {}
        self.revision = 1
        self.history = []
        self.oldest = 0  # watches from before this revision have to list again
        self.file = None
        if file:
            self._load(file)

    def get(self, key, namespace, name):
        return self.objects.get(key, {}).get((namespace or "", name))

    def list(self, key, namespace=None):
        with self.lock:
            found = sorted(self.objects.get(key, {}).items(), key=lambda entry: entry[0])
        return [object for (where, _), object in found if not namespace or where == namespace]

    def put(self, key, object):
        """Stores an object under a new revision, and gives it back as it is stored."""
        with self.lock:
            self.revision += 1
            object = {**object, "metadata": {**object["metadata"], "resourceVersion": str(self.revision)}}
            place = self._place(object)
            before = self.objects.setdefault(key, {}).get(place)
            self.objects[key][place] = object
            self._note("MODIFIED" if before else "ADDED", key, object, before)
            return object

    def remove(self, key, object):
        """Removes an object, and gives it back as the watches see it for the last time."""
        with self.lock:
            place = self._place(object)
            before = self.objects.get(key, {}).pop(place, None)
            if before is None:
                return object
            self.revision += 1
            last = {**object, "metadata": {**object["metadata"], "resourceVersion": str(self.revision)}}
            self._note("DELETED", key, last, before)
            return last

    def compact(self):
        """Forgets the history, as etcd does after five minutes."""
        with self.lock:
            self.oldest = self.revision

    @staticmethod
    def _place(object):
        return (object["metadata"].get("namespace", ""), object["metadata"]["name"])

    def _note(self, type, key, object, before):
        self.history.append(Change(self.revision, type, key, object, before))
        if self.file:
            line = {"type": type, "key": list(key), "object": object}
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self.file.flush()
        self.changed.notify_all()

    def _load(self, path):
        """Takes up the objects that an earlier server has left, whose last line may be cut off."""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    if not line.endswith("\n"):
                        break
                    self._replay(json.loads(line))
            with open(path + ".new", "w", encoding="utf-8") as file:
                for key, objects in self.objects.items():
                    for object in objects.values():
                        file.write(json.dumps({"type": "ADDED", "key": list(key), "object": object}) + "\n")
            os.replace(path + ".new", path)
        # What was watched before is not known here.
        self.revision += 1
        self.oldest = self.revision
        self.file = open(path, "a", encoding="utf-8")

    def _replay(self, line):
        object, place = line["object"], self._place(line["object"])
        objects = self.objects.setdefault(tuple(line["key"]), {})
        if line["type"] == "DELETED":
            objects.pop(place, None)
        else:
            objects[place] = object
        self.revision = max(self.revision, int(object["metadata"]["resourceVersion"]))
