"""The part of the controllers of namespaces, claims, services and disruption budgets."""

from .kubelet import is_ready


class Surroundings:
    def __init__(self, player):
        self.player, self.cache = player, player.cache

    def node(self):
        """The node that the mock's pods seem to be on."""
        if not self.cache.all("Node"):
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
            node = self.cache.create("Node", {"apiVersion": "v1", "metadata": {"name": "node-1"}})
            self.cache.set_status(node, {"conditions": [ready]})

    def namespace(self, namespace):
        """What every namespace of a cluster has soon after it was made."""
        name = namespace["metadata"]["name"]
        for kind, title, content in (
            ("ServiceAccount", "default", {}),
            ("ConfigMap", "kube-root-ca.crt", {"data": {"ca.crt": ""}}),
        ):
            if self.cache.named(kind, name, title) is None:
                metadata = {"name": title, "namespace": name}
                self.cache.create(kind, {"apiVersion": "v1", "metadata": metadata, **content})

    def claim(self, claim):
        if (claim.get("status") or {}).get("phase") == "Bound":
            return
        wanted = claim["spec"].get("storageClassName")
        classes = {one["metadata"]["name"] for one in self.cache.all("StorageClass")}
        asked = (claim["metadata"].get("annotations") or {}).get("orch-test/play")
        if asked == "pending" or (wanted and wanted not in classes):
            message = f'storageclass.storage.k8s.io "{wanted}" not found'
            self.player.event(claim, "Warning", "ProvisioningFailed", message, "persistentvolume-controller")
            return
        capacity = (claim["spec"].get("resources") or {}).get("requests") or {"storage": "1Gi"}
        claim = self.cache.patch(claim, {"spec": {"volumeName": f"pvc-{claim['metadata']['uid']}"}})
        modes = claim["spec"].get("accessModes", [])
        self.cache.set_status(claim, {"phase": "Bound", "accessModes": modes, "capacity": capacity})

    def service(self, service):
        spec, metadata = service["spec"], service["metadata"]
        if spec.get("type") == "LoadBalancer" and not (service.get("status") or {}).get("loadBalancer", {}).get("ingress"):
            # An address for documentation: nobody is there.
            self.cache.set_status(service, {"loadBalancer": {"ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]}})
        selector = spec.get("selector")
        if not selector:
            return
        found = {True: [], False: []}
        for pod in self.cache.all("Pod", metadata["namespace"]):
            labels = pod["metadata"].get("labels") or {}
            address = (pod.get("status") or {}).get("podIP")
            if address and all(labels.get(key) == value for key, value in selector.items()):
                target = {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": metadata["namespace"], "uid": pod["metadata"]["uid"]}  # fmt: skip
                found[is_ready(pod)].append({"ip": address, "targetRef": target})
        ports = [
            {"port": port["targetPort"] if isinstance(port.get("targetPort"), int) else port["port"],
             "protocol": port.get("protocol", "TCP"), **({"name": port["name"]} if port.get("name") else {})}
            for port in spec.get("ports", [])
        ]  # fmt: skip
        subset = {"ports": ports}
        if found[True]:
            subset["addresses"] = found[True]
        if found[False]:
            subset["notReadyAddresses"] = found[False]
        subsets = [subset] if len(subset) > 1 else []
        endpoints = self.cache.named("Endpoints", metadata["namespace"], metadata["name"])
        if endpoints is None:
            made = {"name": metadata["name"], "namespace": metadata["namespace"], "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}]}  # fmt: skip
            self.cache.create("Endpoints", {"apiVersion": "v1", "metadata": made, "subsets": subsets})
        elif endpoints.get("subsets", []) != subsets:
            self.cache.patch(endpoints, {"subsets": subsets})

    def budget(self, budget):
        selector = (budget["spec"].get("selector") or {}).get("matchLabels") or {}
        pods = [
            pod for pod in self.cache.all("Pod", budget["metadata"]["namespace"])
            if all((pod["metadata"].get("labels") or {}).get(key) == value for key, value in selector.items())
        ]  # fmt: skip
        healthy = sum(1 for pod in pods if is_ready(pod))
        least = budget["spec"].get("minAvailable", 0)
        desired = least if isinstance(least, int) else 1
        self.cache.set_status(budget, {
            "observedGeneration": budget["metadata"].get("generation", 1), "currentHealthy": healthy,
            "desiredHealthy": desired, "expectedPods": len(pods), "disruptionsAllowed": max(0, healthy - desired),
        })  # fmt: skip
