"""The HTTP side: a threading server on loopback that hands each request to the service."""

from __future__ import annotations

import re
import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from agentfuse.testing.upstream.said import compact
from agentfuse.testing.upstream.service import JSON_HEADERS, Incoming
from agentfuse.testing.upstream.wire import ClientLeft, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.testing.upstream.batches import BatchDesk
    from agentfuse.testing.upstream.dialect import Counting, Dialect
    from agentfuse.testing.upstream.service import Service

# Where the vendors' APIs begin; on Azure a deployment stands in the address
# (learn.microsoft.com/azure/ai-foundry/openai/reference).
_ROOT = re.compile(r"^(/openai/deployments/[^/]+|/openai/v1|/v1)(?=/)")
_LISTED = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-6", "claude-haiku-4-5")


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP/1.1 server for hundreds of connections, on a free port of the loopback."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(
        self, service: Service, dialects: Mapping[str, Dialect | Counting], batches: BatchDesk
    ) -> None:
        self.service = service
        self.batches = batches
        self.dialects = dialects
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind without the name lookup that HTTPServer makes."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then serve it in a thread."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that is done."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that left; report anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End every open connection, so that their threads end."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _loopback(self) -> LoopbackServer:
        return cast("LoopbackServer", self.server)

    def do_POST(self) -> None:
        """Serve an API call."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        wire = Wire(self.connection)
        path = _ROOT.sub("", self.path.partition("?")[0].rstrip("/"))
        # Google writes the model into the path: /v1beta/models/NAME:countTokens.
        verb = path.rpartition("/")[2].partition(":")[2]
        dialect = self._loopback.dialects.get(f":{verb}" if verb else path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if dialect is None:
            if not self._batched("POST", path, headers, raw, wire):
                self._missing(wire)
        else:
            incoming = Incoming(path=self.path, headers=headers, raw=raw)
            self._loopback.service.handle(dialect, incoming, wire)
        self.close_connection = self.close_connection or not wire.open

    def do_GET(self) -> None:
        """List the models, or look at a batch."""
        wire = Wire(self.connection)
        path = _ROOT.sub("", self.path.partition("?")[0].rstrip("/"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self._batched("GET", path, headers, b"", wire):
            return
        if self.path.partition("?")[0].rstrip("/").removeprefix("/v1") != "/models":
            self._missing(wire)
            return
        names = self._loopback.service.models or _LISTED
        models = [{"id": n, "object": "model", "created": 0, "owned_by": "upstream"} for n in names]
        self._send(wire, 200, {"object": "list", "data": models, "has_more": False})

    def _batched(
        self, method: str, path: str, headers: Mapping[str, str], raw: bytes, wire: Wire
    ) -> bool:
        """Serve the batch APIs; False where the address is none of theirs."""
        given = self._loopback.batches.serve(method, path, headers, raw)
        if given is None:
            return False
        try:
            wire.send(given[0], JSON_HEADERS, given[1])
        except ClientLeft:
            self.close_connection = True
        return True

    def _missing(self, wire: Wire) -> None:
        text = f"Invalid URL ({self.command} {self.path})"
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
        self._send(wire, 404, {"error": error})

    def _send(self, wire: Wire, status: int, body: Mapping[str, Any]) -> None:
        try:
            wire.send(status, JSON_HEADERS, compact(body).encode())
        except ClientLeft:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the framework's name
        """Say nothing on stderr."""
