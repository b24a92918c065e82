"""What `kubectl logs` shows: the text that a test, or the play of the controllers, has put there."""

from . import errors


def container_of(pod, name):
    """The container whose log is asked for."""
    containers = [one["name"] for one in pod["spec"].get("containers", [])]
    every = containers + [one["name"] for one in pod["spec"].get("initContainers", [])]
    pod_name = pod["metadata"]["name"]
    if name and name not in every:
        raise errors.bad_request(f"container {name} is not valid for pod {pod_name}")
    if not name and len(containers) > 1:
        raise errors.bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(containers)}]")
    return name or containers[0]


WAITING = {
    "ContainerCreating": "ContainerCreating",
    "PodInitializing": "PodInitializing",
    "ImagePullBackOff": "trying and failing to pull image",
    "ErrImagePull": "image can't be pulled",
}


def read(control, pod, query):
    """The text of a container's log, or why there is none."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    container = container_of(pod, query.get("container"))
    previous = query.get("previous") in ("true", "1")
    text = control.logs.get((namespace, name, container, previous))
    if text is None:
        status = pod.get("status") or {}
        every = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
        found = next((one for one in every if one.get("name") == container), {})
        waiting = found.get("state", {}).get("waiting", {}).get("reason")
        if previous:
            raise errors.bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        if waiting in WAITING:
            raise errors.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {WAITING[waiting]}')
        if not found and status.get("phase") == "Pending":
            if pod["spec"].get("nodeName"):
                raise errors.bad_request(f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating')
            return ""
        text = ""
    lines = text.splitlines(keepends=True)
    if query.get("tailLines"):
        lines = lines[-int(query["tailLines"]) :] if int(query["tailLines"]) else []
    text = "".join(lines)
    return text[: int(query["limitBytes"])] if query.get("limitBytes") else text


def write(control, body):
    """Adds to the log of a container, as `{namespace, pod, container, text, previous}` says."""
    key = (body["namespace"], body["pod"], body["container"], bool(body.get("previous")))
    with control.store.lock:
        control.logs[key] = control.logs.get(key, "") + body["text"]
        control.store.changed.notify_all()


def follow(control, pod, query, stopped):
    """The log and then what is added to it, until the pod has gone."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    key = (namespace, name, container_of(pod, query.get("container")), False)
    sent = len(control.logs.get(key, ""))
    yield read(control, pod, query).encode()
    while True:
        with control.store.lock:
            while len(control.logs.get(key, "")) == sent:
                found = control.store.get(("", "pods"), namespace, name)
                over = found is None or (found.get("status") or {}).get("phase") in ("Succeeded", "Failed")
                if stopped() or over or found["metadata"]["uid"] != pod["metadata"]["uid"]:
                    return
                control.store.changed.wait(60)
            text = control.logs[key][sent:]
            sent += len(text)
        yield text.encode()
