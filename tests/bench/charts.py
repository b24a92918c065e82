"""A chart for `peers`, in a cluster: `examples/helm`, as orch and `helm upgrade --wait` deploy it.

The cluster is that of ORCH_TEST_KUBECONFIG, or else tests/kube/apiserver, which plays the controllers. Each upgrade
changes a setting that the pods' template holds, so that they are replaced. Both wait until all workloads are up.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "examples" / "helm" / "chart"
NAMESPACE = "orch-peers"


def tools():
    """The folder with the real helm and kubectl."""
    folder = os.environ.get("ORCH_TEST_TOOLS")
    if not folder:
        folder = subprocess.run([ROOT / "tests" / "tools"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    return Path(folder) / "bin"


@contextlib.contextmanager
def cluster():
    """What the environment of helm, kubectl and orch has to say."""
    env = {"PATH": f"{tools()}:{os.environ['PATH']}"}
    given = os.environ.get("ORCH_TEST_KUBECONFIG")
    with tempfile.TemporaryDirectory(prefix="orch-peers-kube-") as home:
        env |= {"HOME": home, "KUBECONFIG": given or f"{home}/kubeconfig"}
        if given:
            yield env
            return
        command = [ROOT / "tests" / "kube" / "apiserver", "--play", "--kubeconfig", env["KUBECONFIG"]]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline().startswith("ready "), "the API server does not start"
            yield env
        finally:
            server.terminate()
            server.wait()


def orch_project(folder):
    """A project of orch with the chart; `number` says what changes with each upgrade."""
    folder.mkdir()
    shutil.copytree(CHART, folder / "chart")
    (folder / "orch.yaml").write_text(
        "project: peers\nvariables: {number: {default: 0}}\nservices:\n  ours:\n    backend:\n      type: helm\n"
        f"      chart: ./chart\n      namespace: {NAMESPACE}\n      create_namespace: true\n"
        '      values: {greeting: "number ${var:number}"}\n')
    return folder


def helm(number):
    """The command of the peer."""
    return ["helm", "upgrade", "theirs", CHART, "--install", "--namespace", NAMESPACE, "--create-namespace", "--wait",
            "--set", f"greeting=number {number}"]


def remove(env):
    """Takes away what the peer made."""
    subprocess.run(["helm", "uninstall", "theirs", "--namespace", NAMESPACE, "--ignore-not-found"], check=False,
                   env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"], check=False,
                   env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
