"""How the containers of a pod behave: as an annotation says, or as they would on a real node.

The annotation `orch-test/play`, of a pod or of a template, is one of

    ready         the default: they start, and are ready; those of a job exit 0
    slow=SECONDS  as above, after so long
    never         they run and never are ready; those of a job never end
    crash         they exit with 1
    pull          their image cannot be pulled
    pending       no node takes them

A test that is to run on a real cluster as well uses what comes to the same there: an image of a registry whose name
ends in `.invalid`, a command that is `false`, a readiness probe that runs `false`, a node selector that no node
fulfils, and a reference to a config map, a secret or a claim that is not there.

The annotation `orch-test/log` is what they write before they are ready, or exit.
"""

PLAY, LOG = "orch-test/play", "orch-test/log"
FAILING = (["false"], ["/bin/false"], ["sh", "-c", "exit 1"], ["/bin/sh", "-c", "exit 1"])


class Behaviour:
    def __init__(self, kind, delay=0.0, log=""):
        self.kind, self.delay, self.log = kind, delay, log


def of(pod):
    annotations = pod["metadata"].get("annotations") or {}
    kind, _, delay = annotations.get(PLAY, "").partition("=")
    log = annotations.get(LOG, "")
    if kind:
        return Behaviour(kind, float(delay or 2) if kind == "slow" else 0.0, log)
    return Behaviour(_of_spec(pod["spec"]), 0.0, log)


def _of_spec(spec):
    containers = spec.get("containers", []) + spec.get("initContainers", [])
    if any(name not in ("kubernetes.io/os", "kubernetes.io/arch") for name in spec.get("nodeSelector") or {}):
        return "pending"
    if any(one.get("image", "").split("/")[0].split(":")[0].endswith(".invalid") for one in containers):
        return "pull"
    if any((one.get("command") or []) + (one.get("args") or []) in FAILING for one in containers):
        return "crash"
    if any((one.get("readinessProbe") or {}).get("exec", {}).get("command") in FAILING for one in containers):
        return "never"
    return "ready"
