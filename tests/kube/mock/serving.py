"""HTTP: which request is for what, and how answers look."""

import http.server
import json
import re
import threading
import urllib.parse

from player.loop import Player

from . import admin, discovery, errors, openapi, pod_logs, port_forward, protobuf, selectors, table
from .control import Control
from .registry import Options, Registry
from .scale import Scale
from .store import Store
from .watch import Watch

PATCHES = {
    "application/apply-patch+yaml": "apply",
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


class Closed(Exception):
    """The connection is to be closed without an answer."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, data=None):
        self.store = Store(data)
        self.registry = Registry(self.store)
        self.control = Control(self.store)
        self.player = None
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def set_play(self, on):
        if on and self.player is None:
            self.player = Player(self.url, mock=True)
            threading.Thread(target=self.player.run, daemon=True).start()
        elif not on and self.player is not None:
            self.player.stop()
            self.player = None

    def handle_error(self, request, client_address):
        """A client that goes away is nothing to report."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format, *args):
        """Requests are kept for the tests instead."""

    def do_GET(self):
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    # ---------------------------------------------------------------- one request

    def _serve(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = {name: value for name, value in urllib.parse.parse_qsl(url.query, keep_blank_values=True)}
        self.parts = [urllib.parse.unquote(part) for part in url.path.split("/") if part]
        self.warnings, self.started = [], False
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else self._chunks()
        try:
            if self.parts[:1] == ["orch-test"]:
                answer = admin.handle(self.server, self.command, "/".join(self.parts[1:]), self._json({}))
                return self._answer(200, answer)
            self._guarded(url.path)
        except errors.ApiError as error:
            self._answer(error.code, error.status())
        except (Closed, ConnectionError):
            self.close_connection = True
        except Exception as error:  # A fault of the mock itself, which must not look like a lost connection.
            if self.started:
                raise
            self._answer(500, errors.ApiError(500, "InternalError", f"the mock failed: {error!r}").status())
            raise

    def _chunks(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return b""
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _guarded(self, path):
        """Does what a test has asked to happen to requests, and then what the request asks."""
        control = self.server.control
        agent = self.headers.get("User-Agent", "")
        self.after = None
        if "Orch-Test-Player" in self.headers:
            return self._route()
        control.requests.append({"method": self.command, "path": self.path, "agent": agent})
        control.wait_while_hanging()
        if control.pause == "close":
            raise Closed
        if control.pause == "unavailable":
            raise errors.unavailable()
        if control.expired:
            raise errors.unauthorized()
        fault = control.fault(self.command, path)
        if fault and fault.get("when") != "after":
            self._fail(fault)
        self.after = fault
        self._route()

    @staticmethod
    def _fail(fault):
        if "code" not in fault:
            raise Closed
        raise errors.ApiError(fault["code"], fault.get("reason", "InternalError"), fault.get("message", "a fault for a test"))

    # ---------------------------------------------------------------- answers

    def _answer(self, code, body, type="application/json"):
        if getattr(self, "after", None):
            fault, self.after = self.after, None
            self._fail(fault)
        content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        self.started = True
        self.send_response(code)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(content)))
        for warning in self.warnings:
            self.send_header("Warning", '299 - "' + warning.replace("\\", "\\\\").replace('"', '\\"') + '"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    def _stream(self, chunks, type="application/json"):
        self.started = True
        self.send_response(200)
        self.send_header("Content-Type", type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for chunk in chunks:
            if chunk:
                self.server.control.wait_while_hanging()
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
        # A stream that was cut short ends without saying so, as that of a server that is gone.
        if self.server.control.pause == "close":
            raise Closed
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _stopped(self):
        control, epoch = self.server.control, self.server.control.epoch
        return lambda: control.epoch != epoch

    def _json(self, otherwise=None):
        if not self.body and otherwise is not None:
            return otherwise
        if "protobuf" in self.headers.get("Content-Type", ""):
            return protobuf.decode(self.body)
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise errors.bad_request(f"the object provided is unrecognized: {error}; this mock takes JSON only") from None

    # ---------------------------------------------------------------- routes

    def _route(self):
        parts, resources = self.parts, self.server.registry.resources
        if parts in (["healthz"], ["livez"], ["readyz"]):
            return self._answer(200, b"ok", "text/plain; charset=utf-8")
        if parts == ["version"]:
            return self._answer(200, discovery.VERSION)
        if parts[:1] == ["openapi"]:
            return self._openapi(parts[1:])
        if parts in (["api"], ["apis"]):
            return self._groups(core=parts == ["api"])
        if parts[:2] == ["api", "v1"]:
            group, version, rest = "", "v1", parts[2:]
        elif parts[:1] == ["apis"] and len(parts) == 2:
            return self._found(discovery.group(resources, parts[1]))
        elif parts[:1] == ["apis"] and len(parts) >= 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise errors.no_such_path()
        if not rest:
            return self._found(discovery.resource_list(resources, group, version))
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = resources.find(group, version, rest[0])
        if resource is None:
            raise errors.no_such_path()
        self.resource, self.namespace, self.version = resource, namespace, version
        self.matches = selectors.of_query(self.query)
        if len(rest) == 1:
            return self._collection()
        return self._object(rest[1], rest[2] if len(rest) > 2 else "")

    def _found(self, answer):
        if answer is None:
            raise errors.no_such_path()
        self._answer(200, answer)

    def _openapi(self, rest):
        resources = self.server.registry.resources
        if rest == ["v2"]:
            return self._answer(200, openapi.v2(), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
        if rest == ["v3"]:
            return self._answer(200, openapi.root(resources))
        if rest[:2] == ["v3", "api"] and len(rest) == 3:
            return self._found(openapi.document(resources, "", rest[2]))
        if rest[:2] == ["v3", "apis"] and len(rest) == 4:
            return self._found(openapi.document(resources, rest[2], rest[3]))
        raise errors.no_such_path()

    def _groups(self, core):
        resources = self.server.registry.resources
        accept = self.headers.get("Accept", "")
        if "as=APIGroupDiscoveryList" in accept and "v=v2;" in accept + ";":
            return self._answer(200, discovery.aggregated(resources, core), discovery.AGGREGATED)
        host = self.headers.get("Host", "")
        self._answer(200, discovery.api_versions(host) if core else discovery.groups(resources))

    # ---------------------------------------------------------------- verbs

    def _options(self):
        options = Options(self.query, self.headers.get("User-Agent", ""), self.version)
        self.warnings = options.warnings
        return options

    def _collection(self):
        registry, resource, namespace = self.server.registry, self.resource, self.namespace
        if self.command == "GET":
            if self.query.get("watch") in ("true", "1"):
                watch = Watch(registry.store, resource, namespace, self.query, self.matches, self._shape)
                return self._stream(watch.lines(self._stopped()))
            with registry.store.lock:
                revision, objects = registry.store.revision, registry.store.list(resource.key, namespace)
            return self._list([object for object in objects if self.matches(object)], revision)
        if self.command == "POST":
            if resource.namespaced and not namespace:
                raise errors.method_not_allowed()
            return self._answer(201, registry.create(resource, namespace, self._json(), self._options()))
        if self.command == "DELETE":
            with registry.store.lock:
                objects = [object for object in registry.store.list(resource.key, namespace) if self.matches(object)]
                for object in objects:
                    metadata = object["metadata"]
                    if registry.store.get(resource.key, metadata.get("namespace"), metadata["name"]):
                        registry.delete(resource, metadata.get("namespace"), metadata["name"], *self._delete_options())
            return self._list(objects, registry.store.revision)
        raise errors.method_not_allowed()

    def _object(self, name, sub):
        registry, resource = self.server.registry, self.resource
        if sub and sub not in resource.subresources():
            raise errors.no_such_path()
        where = (resource, self.namespace, name)
        if sub == "log":
            return self._log(registry.get(*where))
        if sub == "scale":
            return self._answer(200, Scale(registry, *where).handle(self.command, self._json({}), self._options(), self._patch_kind))
        if sub == "eviction":
            registry.delete(*where, {})
            return self._answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
        if sub == "portforward":
            return self._forward(registry.get(*where))
        if sub == "exec":
            raise errors.ApiError(501, "NotImplemented", "this mock runs nothing, so it has no exec")
        if self.command in ("GET", "HEAD"):
            return self._one(registry.get(*where))
        if self.command == "PUT":
            return self._one(registry.update(*where, self._json(), self._options(), sub))
        if self.command == "PATCH":
            object, created = registry.patch(*where, self._json(), self._patch_kind(), self._options(), sub)
            return self._one(object, 201 if created else 200)
        if self.command == "DELETE":
            return self._deleted(name, registry.get(*where), registry.delete(*where, *self._delete_options()))
        raise errors.method_not_allowed()

    def _patch_kind(self):
        type = self.headers.get("Content-Type", "").split(";")[0].strip()
        if type not in PATCHES:
            raise errors.unsupported_media(f"the body of the request was in an unknown format - accepted media types include: {', '.join(PATCHES)}")  # fmt: skip
        return PATCHES[type]

    def _delete_options(self):
        asked = {**self.query, **self._json({})}
        return asked, asked.get("dryRun") in ("All", ["All"])

    def _deleted(self, name, before, left):
        if left is not None:
            return self._one(left)
        details = {"name": name, "kind": self.resource.plural, "uid": before["metadata"]["uid"]}
        if self.resource.group:
            details["group"] = self.resource.group
        self._answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    def _log(self, pod):
        if self.query.get("follow") in ("true", "1"):
            pod_logs.read(self.server.control, pod, self.query)
            return self._stream(pod_logs.follow(self.server.control, pod, self.query, self._stopped()), "text/plain")
        self._answer(200, pod_logs.read(self.server.control, pod, self.query).encode(), "text/plain")

    def _forward(self, pod):
        port_forward.refuse_unless_possible(pod, self.headers)
        self.started, self.close_connection = True, True
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "SPDY/3.1")
        self.send_header("X-Stream-Protocol-Version", port_forward.PROTOCOL)
        self.end_headers()
        self.wfile.flush()
        port_forward.PortForward(pod, self.rfile, self.wfile).run()

    # ---------------------------------------------------------------- how objects are shown

    def _wanted(self):
        """Whether the client wants tables or only metadata, and in which version."""
        for one in self.headers.get("Accept", "").split(","):
            if match := re.search(r";as=(Table|PartialObjectMetadata(?:List)?)\b", one):
                version = re.search(r";v=(v1(?:beta1)?)\b", one)
                return match[1], version[1] if version else "v1"
        return None, None

    def _shape(self, object):
        """An object as the client wants it."""
        kind, version = self._wanted()
        if kind == "Table":
            revision = object["metadata"]["resourceVersion"]
            return table.of(self.resource, [object], revision, version, self.query.get("includeObject", "Metadata"))
        if kind:
            return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": object["metadata"]}
        if self.resource.custom:
            return {**object, "apiVersion": self.resource.api_version(self.version)}
        return object

    def _one(self, object, code=200):
        self._answer(code, self._shape(object))

    def _list(self, objects, revision):
        kind, version = self._wanted()
        if kind == "Table":
            include = self.query.get("includeObject", "Metadata")
            return self._answer(200, table.of(self.resource, objects, revision, version, include))
        listed = {
            "kind": "PartialObjectMetadataList" if kind else self.resource.list_kind,
            "apiVersion": f"meta.k8s.io/{version}" if kind else self.resource.api_version(self.version),
            "metadata": {"resourceVersion": str(revision)},
            "items": [self._shape(object) for object in objects],
        }
        self._answer(200, listed)
