"""The scale of a workload, as `kubectl scale` and autoscalers change it."""

from . import patch


class Scale:
    def __init__(self, registry, resource, namespace, name):
        self.registry, self.where = registry, (resource, namespace, name)

    def handle(self, method, body, options, kind):
        """Reads the scale, or sets it by what a request says."""
        scale = self._of(self.registry.get(*self.where))
        if method == "GET":
            return scale
        if method == "PATCH":
            merged = {"json": patch.json_patch, "merge": patch.merge_patch}.get(kind(), patch.merge_patch)
            body = merged(scale, body)
        replicas = (body.get("spec") or {}).get("replicas", 0)
        change = {"spec": {"replicas": replicas}}
        object, _ = self.registry.patch(*self.where, change, "merge", options, "scale")
        return self._of(object)

    @staticmethod
    def _of(object):
        names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        labels = ((object["spec"].get("selector") or {}).get("matchLabels") or {}).items()
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {name: object["metadata"][name] for name in names},
            "spec": {"replicas": object["spec"].get("replicas", 0)},
            "status": {
                "replicas": (object.get("status") or {}).get("replicas", 0),
                "selector": ",".join(f"{key}={value}" for key, value in sorted(labels)),
            },
        }
