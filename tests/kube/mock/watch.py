"""Watches: the changes since a revision, one JSON object a line, for as long as the client stays."""

import json
import time

from . import errors

# How often a watch that asked for bookmarks has one, in seconds.
BOOKMARKS = 60


class Watch:
    """The stream of one watch."""

    def __init__(self, store, resource, namespace, query, matches, shape):
        self.store, self.resource, self.namespace = store, resource, namespace
        self.matches, self.shape = matches, shape
        self.bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self.initial = query.get("sendInitialEvents") in ("true", "1")
        self.until = time.monotonic() + int(query.get("timeoutSeconds") or 1800)
        with store.lock:
            since = query.get("resourceVersion", "")
            # Without a revision, a watch starts with what there is.
            self.all_first = self.initial or since in ("", "0")
            self.revision = store.revision if self.all_first else int(since)
            self.next = len(store.history) if self.all_first else self._position(self.revision)
            self.first = list(store.list(resource.key, namespace)) if self.all_first else []
            self.too_old = not self.all_first and self.revision < store.oldest

    def _position(self, revision):
        history = self.store.history
        low, high = 0, len(history)
        while low < high:
            middle = (low + high) // 2
            if history[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return low

    def lines(self, stopped):
        """The events. `stopped` says, whenever anything changes, whether the server has ended the watch."""
        if self.too_old:
            error = errors.expired(self.revision, self.store.oldest)
            yield self._line("ERROR", error.status())
            return
        for object in self.first:
            if self.matches(object):
                yield self._line("ADDED", self.shape(object))
        if self.initial and self.bookmarks:
            yield self._bookmark({"k8s.io/initial-events-end": "true"})
        quiet_until = time.monotonic() + BOOKMARKS
        while True:
            with self.store.lock:
                while len(self.store.history) <= self.next and not stopped():
                    left = min(self.until, quiet_until) - time.monotonic()
                    if left <= 0:
                        break
                    self.store.changed.wait(left)
                changes, self.next = self.store.history[self.next :], len(self.store.history)
            if stopped() or time.monotonic() >= self.until:
                return
            for change in changes:
                self.revision = change.revision
                if line := self._event(change):
                    yield line
            if time.monotonic() >= quiet_until:
                quiet_until = time.monotonic() + BOOKMARKS
                if self.bookmarks:
                    yield self._bookmark({})

    def _event(self, change):
        if change.key != self.resource.key:
            return None
        if self.namespace and change.object["metadata"].get("namespace") != self.namespace:
            return None
        matched = change.before is not None and self.matches(change.before)
        matches = change.type != "DELETED" and self.matches(change.object)
        if matches:
            return self._line("MODIFIED" if matched else "ADDED", self.shape(change.object))
        return self._line("DELETED", self.shape(change.object)) if matched else None

    def _bookmark(self, annotations):
        metadata = {"resourceVersion": str(self.revision)}
        if annotations:
            metadata["annotations"] = annotations
        object = {"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata}
        return self._line("BOOKMARK", object)

    @staticmethod
    def _line(type, object):
        return json.dumps({"type": type, "object": object}, separators=(",", ":")).encode() + b"\n"
