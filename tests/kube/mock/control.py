"""What a test may do to the server: faults, an expired token, what pods have logged."""

import threading


class Control:
    """The state of the server apart from the objects."""

    def __init__(self, store):
        self.store = store
        self.pause = None  # hang, close, unavailable
        self.expired = False
        self.faults = []
        self.logs = {}  # text by (namespace, pod, container, previous)
        self.requests = []
        self.epoch = 0  # watches end when this changes
        self._resumed = threading.Event()
        self._resumed.set()

    def set_pause(self, mode):
        self.pause = mode
        if mode == "hang":
            self._resumed.clear()
        else:
            self._resumed.set()
        if mode != "hang":
            self.end_watches()

    def end_watches(self):
        with self.store.lock:
            self.epoch += 1
            self.store.changed.notify_all()

    def wait_while_hanging(self):
        self._resumed.wait()

    def set_expired(self, expired):
        self.expired = expired
        if expired:
            self.end_watches()

    def fault(self, method, path):
        """The fault that was asked for this request, which it then takes up."""
        for fault in self.faults:
            if fault.get("method", method) == method and fault.get("path", "") in path:
                fault["count"] = fault.get("count", 1) - 1
                if fault["count"] <= 0:
                    self.faults.remove(fault)
                return fault
        return None
