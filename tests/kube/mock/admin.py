"""The endpoints under /orch-test/, by which a test plays the cluster's part.

    GET  /orch-test/state          all objects, by resource
    GET  /orch-test/requests       what was asked of the API: method, path, client
    POST /orch-test/pause          {"mode": "hang" | "close" | "unavailable"}: no request is answered, connections are
                                   closed without an answer, or every answer is 503
    POST /orch-test/resume
    POST /orch-test/expire         credentials are refused (401) until
    POST /orch-test/renew
    POST /orch-test/fault          {"method", "path" (a part of it), "code", "message", "count", "when"}: the next such
                                   requests fail; without a code the connection is closed, before or "after" the effect
    POST /orch-test/compact        watches from an earlier revision are refused (410)
    POST /orch-test/drop-watches   all watches end
    POST /orch-test/log            {"namespace", "pod", "container", "text", "previous"}: adds to a container's log
    POST /orch-test/play           {"on": true}: plays the controllers from now on, or no longer
"""

from . import errors, pod_logs


def handle(server, method, name, body):
    """The answer to one of the requests above."""
    control, store = server.control, server.store
    if (method, name) == ("GET", "state"):
        with store.lock:
            return {"/".join(key).lstrip("/"): store.list(key) for key in sorted(store.objects)}
    if (method, name) == ("GET", "requests"):
        return list(control.requests)
    if method != "POST":
        raise errors.no_such_path()
    actions = {
        "pause": lambda: control.set_pause(body["mode"]),
        "resume": lambda: control.set_pause(None),
        "expire": lambda: control.set_expired(True),
        "renew": lambda: control.set_expired(False),
        "fault": lambda: control.faults.append(body),
        "compact": lambda: (store.compact(), control.end_watches()),
        "drop-watches": control.end_watches,
        "log": lambda: pod_logs.write(control, body),
        "play": lambda: server.set_play(body.get("on", True)),
    }
    if name not in actions:
        raise errors.no_such_path()
    actions[name]()
    return {}
