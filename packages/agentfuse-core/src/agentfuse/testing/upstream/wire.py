"""One HTTP exchange on a socket: whole answers, chunked streams, and a client that leaves."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientLeft(Exception):  # noqa: N818 - an event, not a mistake
    """The client closed the connection before the answer's end."""


class Wire:
    """The way back to one client (RFC 9112)."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.open = True

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole answer."""
        sized = {**headers, "content-length": str(len(body))}
        self._write(_head(status, sized) + body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of a stream."""
        self._write(_head(status, {**headers, "transfer-encoding": "chunked"}))

    def push(self, data: bytes, *, last: bool = False) -> None:
        """Send one chunk of a stream; the last one ends it."""
        end = b"0\r\n\r\n" if last else b""
        self._write(b"%x\r\n%b\r\n%b" % (len(data), data, end))

    def wait(self, seconds: float) -> None:
        """Wait, and raise ClientLeft as soon as the client is gone; zero only looks."""
        until = time.monotonic() + seconds
        try:
            self._connection.settimeout(max(seconds, 0.0))
            gone = not self._connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, TimeoutError):
            gone = False
        except OSError as error:
            raise ClientLeft from error
        finally:
            self._connection.settimeout(None)
        if gone:
            raise ClientLeft
        time.sleep(max(until - time.monotonic(), 0.0))

    def cut(self) -> None:
        """Close the connection as it is."""
        self.open = False
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            raise ClientLeft from error

    def _write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise ClientLeft from error


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    known = status in HTTPStatus._value2member_map_
    phrase = HTTPStatus(status).phrase if known else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
