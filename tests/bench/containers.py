"""Containers for `peers`: a tree of them, as orch and Compose are told, and as bare calls of the engine.

Container i depends on container (i - 1) // 3. Each is busybox's httpd as process 1, which ignores
SIGTERM: it takes the whole second that it is given to stop, whoever stops it.
"""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

IMAGE = "orch-peers/web:1"
LABEL = "orch-peers.floor"
TEST = ["wget", "-q", "-O-", "http://127.0.0.1"]
HEALTHY = "health_status: healthy"


def parent(index):
    """The container that container `index` depends on."""
    return (index - 1) // 3 if index else None


# ---------------------------------------------------------------- the engine

def socket_path():
    """The socket of the engine, which is a local one."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return host.removeprefix("unix://") if host.startswith("unix://") else None


class Connection(http.client.HTTPConnection):
    """A connection to the engine's socket."""

    def __init__(self):
        super().__init__("docker", timeout=120)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(socket_path())


class Engine:
    """The engine's API, with one connection for each thread."""

    def __init__(self):
        self.local = threading.local()

    def call(self, method, path, body=None, fine=(200, 201, 204, 304)):
        if not hasattr(self.local, "connection"):
            self.local.connection = Connection()
        headers = {"Content-Type": "application/json"}
        self.local.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.local.connection.getresponse()
        content = answer.read()
        if answer.status not in fine:
            raise SystemExit(f"peers: {method} {path}: {answer.status} {content.decode()}")
        return json.loads(content) if content and answer.status < 300 else None

    def answers(self):
        try:
            return socket_path() is not None and bool(self.call("GET", "/version"))
        except OSError:
            return False

    def labelled(self, what, label):
        filters = urllib.parse.quote(json.dumps({"label": [label]}))
        found = self.call("GET", f"/{what}?all=1&filters={filters}")
        return [one["Id"] for one in found]

    def clean(self, label):
        for container in self.labelled("containers/json", label):
            self.call("DELETE", f"/containers/{container}?force=1&v=1", fine=(204, 404, 409))
        for network in self.labelled("networks", label):
            self.call("DELETE", f"/networks/{network}", fine=(204, 404))


@contextlib.contextmanager
def image(engine):
    """The image that all of them run."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        (root / "bin").mkdir(parents=True)
        (root / "www").mkdir()
        shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
        for applet in ("httpd", "sh", "wget"):
            (root / "bin" / applet).symlink_to("busybox")
        (root / "www" / "index.html").write_text("up\n")
        tar = Path(folder, "root.tar")
        subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
        changes = ["ENV PATH=/bin", 'CMD ["httpd", "-f", "-p", "80", "-h", "/www"]', "EXPOSE 80"]
        query = urllib.parse.urlencode({"fromSrc": "-", "repo": IMAGE.split(":")[0], "tag": IMAGE.split(":")[1],
                                        "changes": changes}, doseq=True)
        connection = Connection()
        connection.request("POST", f"/images/create?{query}", tar.read_bytes(), {"Content-Type": "application/x-tar"})
        answer = connection.getresponse().read().decode()
        if '"error"' in answer:
            raise SystemExit(f"peers: the image cannot be made: {answer}")
    try:
        yield
    finally:
        engine.call("DELETE", f"/images/{IMAGE}?force=1", fine=(200, 404, 409))


# ---------------------------------------------------------------- what the peers are told

def orch_file(folder, count, first_port, check):
    """The tree for orch; `check` writes the health check for a port."""
    folder.mkdir(parents=True)
    with open(folder / "orch.yaml", "w") as out:
        # Compose starts at once whatever can start, so orch may too.
        out.write(f'version: "1.0"\nproject: {folder.name}\nsettings: {{max_parallel: {count}}}\n'
                  "networks: {lan: {type: lan}}\nservices:\n")
        for index in range(count):
            out.write(f"  c{index:02}:\n    backend:\n      type: docker\n      image: {IMAGE}\n"
                      f'      ports: ["127.0.0.1:{first_port + index}:80"]\n      networks: [lan]\n'
                      f"      stop_timeout: 1s\n    health_check: {check(first_port + index)}\n")
            if parent(index) is not None:
                out.write(f"    dependencies: [c{parent(index):02}]\n")


def compose_file(folder, count, first_port):
    """The same tree for Compose."""
    folder.mkdir(parents=True)
    services = {}
    for index in range(count):
        services[f"c{index:02}"] = service = {
            "image": IMAGE,
            "ports": [f"127.0.0.1:{first_port + index}:80"],
            "restart": "unless-stopped",
            "stop_grace_period": "1s",
            "healthcheck": {"test": ["CMD", *TEST], "interval": "1s"},
        }
        if parent(index) is not None:
            service["depends_on"] = {f"c{parent(index):02}": {"condition": "service_healthy"}}
    (folder / "compose.yaml").write_text(json.dumps({"name": folder.name, "services": services}, indent=1))


# ---------------------------------------------------------------- the floor

class Floor:
    """The calls that no tool can do without, in the same order and as much at once."""

    def __init__(self, engine, count, first_port, healthy):
        self.engine, self.count, self.first_port, self.healthy = engine, count, first_port, healthy

    def each(self, work):
        """Runs `work(index)` for all of them, each in a thread of its own."""
        failed = []

        def guarded(index):
            try:
                work(index)
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=guarded, args=(index,), daemon=True) for index in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not failed:
                thread.join(0.1)
        if failed:
            raise SystemExit(f"peers: the bare calls failed: {failed[0]}")

    def up(self):
        """Made and started when what they depend on has been started, or is healthy by the engine's check."""
        network = self.engine.call("POST", "/networks/create", {"Name": LABEL, "Labels": {LABEL: "1"}})["Id"]
        ready = [threading.Event() for _ in range(self.count)]
        if self.healthy:
            self.listen(ready)

        def bring_up(index):
            if parent(index) is not None:
                ready[parent(index)].wait()
            config = {
                "Image": IMAGE,
                "Labels": {LABEL: str(index)},
                "HostConfig": {
                    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(self.first_port + index)}]},
                    "NetworkMode": network,
                    "RestartPolicy": {"Name": "unless-stopped"},
                },
            }
            if self.healthy:
                config["Healthcheck"] = {"Test": ["CMD", *TEST], "Interval": 10**9}
            name = f"{LABEL}-{index}"
            self.engine.call("POST", f"/containers/create?name={name}", config)
            self.engine.call("POST", f"/containers/{name}/start")
            if self.healthy:
                ready[index].wait()
            ready[index].set()

        self.each(bring_up)

    def listen(self, ready):
        """Sets the event of each container when the engine says that it is healthy."""
        filters = urllib.parse.quote(json.dumps({"type": ["container"], "event": ["health_status"], "label": [LABEL]}))
        connection = Connection()
        connection.request("GET", f"/events?filters={filters}")
        answer = connection.getresponse()

        def read():
            while not all(event.is_set() for event in ready):
                event = json.loads(answer.readline())
                if event["Action"] == HEALTHY:
                    ready[int(event["Actor"]["Attributes"][LABEL])].set()
            connection.close()

        threading.Thread(target=read, daemon=True).start()

    def no_op(self):
        """All of them listed and looked at."""
        found = self.engine.labelled("containers/json", LABEL)
        assert len(found) == self.count, found
        self.each(lambda index: self.engine.call("GET", f"/containers/{found[index]}/json"))

    def down(self):
        """Stopped and removed when what depends on them is gone."""
        gone = [threading.Event() for _ in range(self.count)]

        def take_down(index):
            for child in range(3 * index + 1, min(3 * index + 4, self.count)):
                gone[child].wait()
            name = f"{LABEL}-{index}"
            self.engine.call("POST", f"/containers/{name}/stop?t=1")
            self.engine.call("DELETE", f"/containers/{name}?v=1")
            gone[index].set()

        self.each(take_down)
        self.engine.call("DELETE", f"/networks/{LABEL}")

    def clean(self):
        self.engine.clean(LABEL)
