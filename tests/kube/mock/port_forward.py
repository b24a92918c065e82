"""Port forwarding: `kubectl port-forward` to a pod in which nothing runs.

A port that a container of a running pod declares answers HTTP itself, with the pod's name. With the annotation
`orch-test/forward: HOST:PORT`, of a pod or of a template, it leads there instead, to a server of the test's.
"""

import socket
import threading

from . import errors, spdy

PROTOCOL = "portforward.k8s.io"
FORWARD = "orch-test/forward"


def refuse_unless_possible(pod, headers):
    """Web sockets are refused in the way after which kubectl falls back to SPDY."""
    if headers.get("Upgrade", "").upper() != "SPDY/3.1":
        raise errors.bad_request("unable to upgrade: this mock forwards ports over SPDY only")
    phase = (pod.get("status") or {}).get("phase")
    if phase != "Running":
        name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}"
        raise errors.ApiError(500, "InternalError", f"unable to forward port because pod is not running. Current status={phase}: {name}")  # fmt: skip


class PortForward:
    """One connection of kubectl, with a pair of streams for each connection to the forwarded port."""

    def __init__(self, pod, reader, writer):
        self.pod, self.frames = pod, spdy.Frames(reader, writer)
        self.pairs, self.upstream = {}, {}

    def run(self):
        while (frame := self.frames.read()) is not None:
            type, stream, flags, content = frame
            if type == spdy.SYN_STREAM:
                self._open(stream, content)
            elif type == spdy.PING:
                self.frames.pong(content)
            elif type == spdy.GOAWAY:
                break
            elif type == spdy.RST_STREAM:
                self._close(stream)
            elif type is None:
                self._take(stream, flags, content)
        for stream in list(self.upstream):
            self._close(stream)

    def _open(self, stream, headers):
        self.frames.accept(stream)
        pair = self.pairs.setdefault(headers.get("requestid"), {})
        pair[headers.get("streamtype")] = stream
        if headers.get("streamtype") == "data":
            self._connect(int(headers["port"]), stream, pair.get("error"))

    def _take(self, stream, flags, content):
        upstream = self.upstream.get(stream)
        if upstream is None:
            return
        try:
            if content:
                upstream.sendall(content)
            if flags & spdy.FIN:
                upstream.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(stream)

    def _close(self, stream):
        if upstream := self.upstream.pop(stream, None):
            upstream.close()

    def _connect(self, port, stream, error):
        target = (self.pod["metadata"].get("annotations") or {}).get(FORWARD)
        declared = {one["containerPort"] for container in self.pod["spec"]["containers"] for one in container.get("ports", [])}
        try:
            if target:
                host, _, number = target.rpartition(":")
                upstream = socket.create_connection((host, int(number)), timeout=10)
                upstream.settimeout(None)
            elif port in declared:
                upstream, other = socket.socketpair()
                threading.Thread(target=self._answer, args=(other,), daemon=True).start()
            else:
                raise OSError("connection refused")
        except OSError as refused:
            name = f"{self.pod['metadata']['name']}_{self.pod['metadata']['namespace']}"
            said = f"error forwarding port {port} to pod {self.pod['metadata']['uid']}, uid : failed to connect to localhost:{port} inside namespace {name}: {refused}"  # fmt: skip
            if error is not None:
                self.frames.send(error, said.encode(), last=True)
            self.frames.send(stream, b"", last=True)
            return
        self.upstream[stream] = upstream
        threading.Thread(target=self._copy, args=(upstream, stream, error), daemon=True).start()

    def _copy(self, upstream, stream, error):
        """What the other side says, until it has said all."""
        try:
            while content := upstream.recv(65536):
                self.frames.send(stream, content)
            self.frames.send(stream, b"", last=True)
            if error is not None:
                self.frames.send(error, b"", last=True)
        except (OSError, ValueError):
            # The client has gone.
            pass

    def _answer(self, connection):
        """What stands for the program in the pod: it answers one request of HTTP."""
        with connection:
            received = b""
            while b"\r\n\r\n" not in received and (content := connection.recv(65536)):
                received += content
            body = (self.pod["metadata"]["name"] + "\n").encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            if received:
                connection.sendall(head.encode() + body)
