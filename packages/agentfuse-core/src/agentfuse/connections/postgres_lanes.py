"""Connections to a PostgreSQL server: kept, looked at before use, never waited on for long.

A pool with threads of its own would neither survive a fork nor try again at once when the server is
back, so connections are kept in a list and opened by whoever needs one.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from psycopg.abc import PQGen

T = TypeVar("T")


class TooSlow(psycopg.OperationalError):
    """The server did not answer in time."""


Row = tuple[Any, ...]

# A statement that waits for another program's lock ends by itself; READ COMMITTED is what the
# functions are written for, whatever the database's default is.
_SETTINGS = """SELECT set_config('statement_timeout', %s, false),
    set_config('default_transaction_isolation', 'read committed', false)"""


class Lane:
    """Blocking connections, at most ``most`` of them, for the threads of one process.

    An answer that takes longer than ``patience`` seconds raises psycopg's OperationalError, and so
    does a server that cannot be reached.
    """

    def __init__(self, url: str, *, patience: float, most: int) -> None:
        self._url = url
        self._patience = patience
        self._most = most
        self._inherited: list[deque[_Connection]] = []
        self._begin()

    @contextmanager
    def connection(self) -> Generator[psycopg.Connection[Row], None, None]:
        """Lend a connection; one that an error went through is closed."""
        if self._process != os.getpid():
            # A connection must be neither used nor closed across a fork: it is its parent's.
            self._inherited.append(self._idle)
            self._begin()
        if not self._free.acquire(timeout=self._patience):
            raise StoreUnavailable(_busy(self._most, self._patience))
        try:
            connection = self._taken() or self._opened()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close what is idle; the next use opens another."""
        while self._process == os.getpid() and self._idle:
            self._idle.pop().close()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._idle: deque[_Connection] = deque()
        self._free = BoundedSemaphore(self._most)

    def _taken(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if _is_quiet(connection.pgconn.socket):
                return connection
            connection.close()
        return None

    def _opened(self) -> _Connection:
        connection = _Connection.connect(self._url, **_options(self._patience))
        connection.patience = self._patience
        try:
            connection.execute(_SETTINGS, (_milliseconds(self._patience),))
        except BaseException:
            connection.close()
            raise
        return connection


class AwaitedLane:
    """Connections of event loops: each loop has its own, at most ``most`` of them."""

    def __init__(self, url: str, *, patience: float, most: int) -> None:
        self._url = url
        self._patience = patience
        self._most = most
        self._lock = Lock()
        self._inherited: list[dict[asyncio.AbstractEventLoop, _Room]] = []
        self._begin()

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[psycopg.AsyncConnection[Row], None]:
        """Lend a connection; one that an error went through is closed."""
        room = self._room()
        try:
            async with asyncio.timeout(self._patience):
                await room.free.acquire()
        except TimeoutError:
            raise StoreUnavailable(_busy(self._most, self._patience)) from None
        try:
            connection = room.taken() or await self._opened()
            try:
                yield connection
            except BaseException:
                connection.pgconn.finish()
                raise
            room.idle.append(connection)
        finally:
            room.free.release()

    def close(self) -> None:
        """Close what is idle, in every loop; the next use opens another."""
        if self._process == os.getpid():
            self._sweep(every=True)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._rooms: dict[asyncio.AbstractEventLoop, _Room] = {}

    def _room(self) -> _Room:
        """Give the connections of the running loop; those of loops that have ended are closed."""
        if self._process != os.getpid():
            self._inherited.append(self._rooms)
            self._begin()
        loop = asyncio.get_running_loop()
        room = self._rooms.get(loop)
        if room is None:
            self._sweep(every=False)
            room = self._rooms[loop] = _Room(self._most)
        return room

    def _sweep(self, *, every: bool) -> None:
        with self._lock:
            for loop in list(self._rooms):
                if loop.is_closed():
                    self._rooms.pop(loop).finish()
                elif every:
                    self._rooms[loop].finish()

    async def _opened(self) -> _AwaitedConnection:
        connection = await _AwaitedConnection.connect(self._url, **_options(self._patience))
        connection.patience = self._patience
        try:
            await connection.execute(_SETTINGS, (_milliseconds(self._patience),))
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection


class _Room:
    """One loop's connections."""

    def __init__(self, most: int) -> None:
        self.idle: deque[_AwaitedConnection] = deque()
        self.free = asyncio.Semaphore(most)

    def taken(self) -> _AwaitedConnection | None:
        while self.idle:
            connection = self.idle.pop()
            if _is_quiet(connection.pgconn.socket):
                return connection
            connection.pgconn.finish()
        return None

    def finish(self) -> None:
        """Close what is idle without the loop, which may have ended."""
        while self.idle:
            self.idle.pop().pgconn.finish()


class _Connection(psycopg.Connection[Row]):
    """A blocking connection with patience, which may end with the program."""

    patience = 5.0

    def __del__(self, *_warn: Any) -> None:
        """Say nothing: psycopg would warn of what is kept for the next call."""

    def wait(self, gen: PQGen[T], *rest: Any, **more: Any) -> T:
        return super().wait(_until(monotonic() + self.patience, gen), *rest, **more)


class _AwaitedConnection(psycopg.AsyncConnection[Row]):
    """An event loop's connection with patience, which may end with the loop or the program."""

    patience = 5.0

    def __del__(self, *_warn: Any) -> None:
        """Say nothing: psycopg would warn of what is kept for the next call."""

    async def wait(self, gen: PQGen[T], *rest: Any, **more: Any) -> T:
        return await super().wait(_until(monotonic() + self.patience, gen), *rest, **more)


def _until(end: float, work: PQGen[T]) -> Generator[Any, Any, T]:
    """Give up when the server says nothing for too long: it is stopped, or the net is dead.

    psycopg wakes a waiting generator with nothing every 0.1 s.
    """
    ready: Any = None
    while True:
        try:
            wanted = work.send(ready)
        except StopIteration as done:
            answer: T = done.value
            return answer
        ready = yield wanted
        if not ready and monotonic() > end:
            raise TooSlow("the server did not answer in time")


def _is_quiet(socket: int) -> bool:
    """Say whether a connection is as it was left: a server that ended it has said so by now."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return not poll.poll(0)


def _options(patience: float) -> dict[str, Any]:
    return {
        "autocommit": True,
        "connect_timeout": max(2, ceil(patience)),  # libpq takes whole seconds, from 2 on
        "fallback_application_name": "agentfuse",
    }


def _milliseconds(patience: float) -> str:
    """Let the server give up a little before we do, so that it tells us and nothing runs on."""
    return str(max(1, round(patience * 800)))


def _busy(most: int, patience: float) -> str:
    return f"none of {most} connections to PostgreSQL was free for {patience:g} s"
