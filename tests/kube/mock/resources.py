"""The resources that the server has: the built-in ones, and those that custom resource definitions add."""

from . import schema

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


class Resource:
    def __init__(self, group, version, kind, plural, short="", namespaced=True, status=False, scale=False, all=False):
        self.group, self.version, self.kind, self.plural = group, version, kind, plural
        self.singular = kind.lower()
        self.list_kind = kind + "List"
        self.short = short.split()
        self.namespaced, self.status, self.scale = namespaced, status, scale
        self.categories = ["all"] if all else []
        self.custom = False
        self.versions = [version]  # served ones
        self.columns = []  # of a custom resource

    @property
    def key(self):
        return (self.group, self.plural)

    @property
    def qualified(self):
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version=None):
        version = version or self.version
        return f"{self.group}/{version}" if self.group else version

    def type(self, version=None):
        return schema.of_kind(self.kind)

    def subresources(self):
        names = (["status"] if self.status else []) + (["scale"] if self.scale else [])
        return names + {"pods": ["log", "exec", "portforward", "eviction"], "namespaces": ["finalize"]}.get(self.plural, [])


class CustomResource(Resource):
    def __init__(self, definition):
        spec = definition["spec"]
        names = spec["names"]
        served = [version for version in spec["versions"] if version.get("served")]
        stored = next((version for version in spec["versions"] if version.get("storage")), spec["versions"][0])
        super().__init__(spec["group"], stored["name"], names["kind"], names["plural"])
        self.singular = names.get("singular") or self.kind.lower()
        self.list_kind = names.get("listKind") or self.kind + "List"
        self.short = names.get("shortNames", [])
        self.categories = names.get("categories", [])
        self.namespaced = spec["scope"] == "Namespaced"
        self.custom = True
        self.versions = [version["name"] for version in served]
        self.columns = stored.get("additionalPrinterColumns", [])
        self.status = "status" in (stored.get("subresources") or {})
        schemas = {version["name"]: version.get("schema", {}).get("openAPIV3Schema") for version in spec["versions"]}
        self.types = {name: schema.of_custom(spec) for name, spec in schemas.items()}

    def type(self, version=None):
        return self.types[version or self.version]


def _built_in():
    apps, batch, rbac, net = "apps", "batch", "rbac.authorization.k8s.io", "networking.k8s.io"
    cluster = {"namespaced": False}
    return [
        Resource("", "v1", "Namespace", "namespaces", "ns", status=True, **cluster),
        Resource("", "v1", "Node", "nodes", "no", status=True, **cluster),
        Resource("", "v1", "PersistentVolume", "persistentvolumes", "pv", status=True, **cluster),
        Resource("", "v1", "ConfigMap", "configmaps", "cm"),
        Resource("", "v1", "Endpoints", "endpoints", "ep"),
        Resource("", "v1", "Event", "events", "ev"),
        Resource("", "v1", "LimitRange", "limitranges", "limits"),
        Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", status=True),
        Resource("", "v1", "Pod", "pods", "po", status=True, all=True),
        Resource("", "v1", "PodTemplate", "podtemplates"),
        Resource("", "v1", "ReplicationController", "replicationcontrollers", "rc", status=True, scale=True, all=True),
        Resource("", "v1", "ResourceQuota", "resourcequotas", "quota", status=True),
        Resource("", "v1", "Secret", "secrets"),
        Resource("", "v1", "Service", "services", "svc", status=True, all=True),
        Resource("", "v1", "ServiceAccount", "serviceaccounts", "sa"),
        Resource(apps, "v1", "ControllerRevision", "controllerrevisions"),
        Resource(apps, "v1", "DaemonSet", "daemonsets", "ds", status=True, all=True),
        Resource(apps, "v1", "Deployment", "deployments", "deploy", status=True, scale=True, all=True),
        Resource(apps, "v1", "ReplicaSet", "replicasets", "rs", status=True, scale=True, all=True),
        Resource(apps, "v1", "StatefulSet", "statefulsets", "sts", status=True, scale=True, all=True),
        Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", status=True, all=True),
        Resource(batch, "v1", "CronJob", "cronjobs", "cj", status=True, all=True),
        Resource(batch, "v1", "Job", "jobs", status=True, all=True),
        Resource("coordination.k8s.io", "v1", "Lease", "leases"),
        Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
        Resource(net, "v1", "Ingress", "ingresses", "ing", status=True),
        Resource(net, "v1", "IngressClass", "ingressclasses", **cluster),
        Resource(net, "v1", "NetworkPolicy", "networkpolicies", "netpol"),
        Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", status=True),
        Resource(rbac, "v1", "ClusterRole", "clusterroles", **cluster),
        Resource(rbac, "v1", "ClusterRoleBinding", "clusterrolebindings", **cluster),
        Resource(rbac, "v1", "Role", "roles"),
        Resource(rbac, "v1", "RoleBinding", "rolebindings"),
        Resource("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", **cluster),
        Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", **cluster),
        Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd crds",
                 status=True, **cluster),
    ]  # fmt: skip


class Resources:
    """All resources by group and plural."""

    def __init__(self):
        self.all = {resource.key: resource for resource in _built_in()}

    def find(self, group, version, plural):
        resource = self.all.get((group, plural))
        return resource if resource and version in resource.versions else None

    def named(self, plural, group=""):
        return self.all[(group, plural)]

    def of_kind(self, api_version, kind):
        group, _, version = api_version.rpartition("/")
        matches = (r for r in self.all.values() if (r.group, r.kind) == (group, kind) and version in r.versions)
        return next(matches, None)

    def define(self, definition):
        resource = CustomResource(definition)
        self.all[resource.key] = resource

    def forget(self, definition):
        spec = definition["spec"]
        self.all.pop((spec["group"], spec["names"]["plural"]), None)

    def groups(self):
        """Each group with its versions, and the resources of each version."""
        found = {}
        for resource in self.all.values():
            for version in resource.versions:
                found.setdefault(resource.group, {}).setdefault(version, []).append(resource)
        return found
