"""A small client of the Kubernetes API over plain HTTP, and a cache of what it has listed and watched."""

import http.client
import json
import threading
import time
import urllib.parse

# Lets the requests of the player through whatever faults a test has asked of the mock.
PLAYER = {"Orch-Test-Player": "1", "User-Agent": "orch-test-player/1"}
PATHS = {
    "Namespace": ("/api/v1", "namespaces"), "Node": ("/api/v1", "nodes"), "Pod": ("/api/v1", "pods"),
    "Event": ("/api/v1", "events"), "Service": ("/api/v1", "services"), "Endpoints": ("/api/v1", "endpoints"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"), "ConfigMap": ("/api/v1", "configmaps"), "Secret": ("/api/v1", "secrets"),
    "Deployment": ("/apis/apps/v1", "deployments"), "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"), "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "Job": ("/apis/batch/v1", "jobs"), "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
}  # fmt: skip


class Refused(Exception):
    """An answer other than success."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def path_of(kind, namespace=None, name=None, sub=None):
    base, plural = PATHS[kind]
    parts = [base] + (["namespaces", namespace] if namespace else []) + [plural]
    return "/".join(parts + ([name] if name else []) + ([sub] if sub else []))


class Api:
    """Requests, over one connection for each thread."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc
        self.local = threading.local()

    def open(self, method, path, body=None, type="application/json", timeout=30):
        """An answer whose body is still to be read. A connection that the server has closed is made anew."""
        content = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = http.client.HTTPConnection(self.host, timeout=timeout)
            try:
                connection.request(method, path, content, {**PLAYER, "Content-Type": type})
                answer = connection.getresponse()
                break
            except (OSError, http.client.HTTPException):
                self.close()
                if attempt == 2:
                    raise
        if answer.status >= 300:
            said = answer.read().decode(errors="replace")
            raise Refused(answer.status, said)
        return answer

    def close(self):
        if getattr(self.local, "connection", None) is not None:
            self.local.connection.close()
            self.local.connection = None

    def request(self, method, path, body=None, type="application/json"):
        return json.loads(self.open(method, path, body, type).read())


class Cache:
    """The objects of some kinds, kept up to date by one thread for each kind."""

    def __init__(self, url, kinds, changed):
        self.api, self.url, self.changed = Api(url), url, changed
        self.lock = threading.RLock()
        self.objects = {kind: {} for kind in kinds}
        self.gone = set()
        self.listed = set()
        for kind in kinds:
            threading.Thread(target=self._follow, args=(kind,), daemon=True).start()

    def _follow(self, kind):
        api = Api(self.url)
        while True:
            try:
                found = api.request("GET", path_of(kind))
                self._replace(kind, found["items"])
                revision = found["metadata"]["resourceVersion"]
                stream = api.open("GET", f"{path_of(kind)}?watch=1&resourceVersion={revision}", timeout=None)
                for line in stream:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    self._take(kind, event["type"], event["object"])
            except (OSError, ValueError, http.client.HTTPException, Refused):
                # The server is away. It may come back.
                time.sleep(0.1)
            api.close()

    def _replace(self, kind, items):
        with self.lock:
            wanted = {item["metadata"]["uid"] for item in items}
            for uid in [uid for uid in self.objects[kind] if uid not in wanted]:
                del self.objects[kind][uid]
            self.listed.add(kind)
        for item in items:
            self._take(kind, "ADDED", item)
        self.changed()

    def _take(self, kind, type, object):
        uid, revision = object["metadata"].get("uid"), int(object["metadata"]["resourceVersion"])
        if uid is None:
            return
        with self.lock:
            if type == "DELETED":
                self.objects[kind].pop(uid, None)
                self.gone.add(uid)
            elif uid not in self.gone:
                known = self.objects[kind].get(uid)
                if known is None or int(known["metadata"]["resourceVersion"]) < revision:
                    self.objects[kind][uid] = {**object, "kind": kind}
        self.changed()

    # ---------------------------------------------------------------- for the player

    @property
    def complete(self):
        return self.listed >= set(self.objects)

    def all(self, kind, namespace=None):
        with self.lock:
            found = list(self.objects[kind].values())
        found = [one for one in found if namespace is None or one["metadata"].get("namespace") == namespace]
        return sorted(found, key=lambda one: (one["metadata"].get("creationTimestamp", ""), one["metadata"]["name"]))

    def named(self, kind, namespace, name):
        return next((one for one in self.all(kind, namespace) if one["metadata"]["name"] == name), None)

    def owned(self, kind, owner):
        uid = owner["metadata"]["uid"]
        every = self.all(kind, owner["metadata"].get("namespace"))
        return [one for one in every if any(o["uid"] == uid for o in one["metadata"].get("ownerReferences", []))]

    def create(self, kind, object):
        namespace = object["metadata"].get("namespace")
        object = self.api.request("POST", path_of(kind, namespace), {**object, "kind": kind})
        self._take(kind, "ADDED", object)
        return object

    def patch(self, object, change, sub=None):
        """Changes an object by a merge patch, unless it is so already."""
        if _holds(object, change):
            return object
        kind, metadata = object["kind"], object["metadata"]
        path = path_of(kind, metadata.get("namespace"), metadata["name"], sub)
        changed = self.api.request("PATCH", path, change, "application/merge-patch+json")
        self._take(kind, "MODIFIED", changed)
        return {**changed, "kind": kind}

    def set_status(self, object, status):
        return self.patch(object, {"status": status}, "status")

    def delete(self, object):
        kind, metadata = object["kind"], object["metadata"]
        try:
            asked = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
            self.api.request("DELETE", path_of(kind, metadata.get("namespace"), metadata["name"]), asked)
        except Refused as refused:
            if refused.code not in (404, 409):
                raise
        with self.lock:
            self.gone.add(metadata["uid"])
            self.objects[kind].pop(metadata["uid"], None)


def _holds(value, change):
    """Whether a merge patch would change nothing."""
    if isinstance(change, dict):
        if not isinstance(value, dict):
            return False
        return all(name not in value if new is None else name in value and _holds(value[name], new) for name, new in change.items())
    return value == change
