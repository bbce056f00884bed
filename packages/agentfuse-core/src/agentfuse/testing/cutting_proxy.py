"""A way to a server that breaks when told to: after a command was sent, before it is answered."""

from __future__ import annotations

import socket
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_CHUNK = 65_536


class CuttingProxy:
    """Passes bytes between clients and the server at ``port`` of the loopback.

    ``cuts`` is asked for each piece that a client sends: where it says True the piece is passed on,
    and then both connections are closed, so that the client never learns what became of it.
    """

    def __init__(self, port: int, cuts: Callable[[bytes], bool]) -> None:
        self._server = ("127.0.0.1", port)
        self._cuts = cuts
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._closing = False
        self.cut = 0

    @property
    def port(self) -> int:
        """Where clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        Thread(target=self._accept, name="cutting-proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        # Closing alone would not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends = list(self._open)
        for end in ends:
            _close(end)

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        for source, sink, cuts in ((client, server, self._cuts), (server, client, _never)):
            Thread(target=self._pass_on, args=(source, sink, cuts), daemon=True).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, cuts: Callable[[bytes], bool]
    ) -> None:
        try:
            while data := source.recv(_CHUNK):
                cutting = cuts(data)
                sink.sendall(data)
                if cutting:
                    self.cut += 1
                    break
        except OSError:
            cutting = True  # the other side has gone
        for end in (source, sink):
            _close(end)
        with self._lock:
            self._open -= {source, sink}


def _never(data: bytes) -> bool:
    del data
    return False


def _close(end: socket.socket) -> None:
    """Close a connection, also under a thread that reads from it."""
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        end.close()
        return
    end.close()
