"""The ways to Redis: for threads and for event loops, one command or one script a trip."""

from __future__ import annotations

import time
from abc import abstractmethod
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from agentfuse.connections.redis_urls import Place, address_of, awaited_client, blocking_client
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agentfuse.connections.redis_scripts import Script

# How many keys the server looks at between two other clients' commands.
_SCANNED = 500

Word = bytes | int
# What a command gives is its own: bytes, a number, a list of either, or None.
Answer = Any


class Link:
    """Sends commands to one store; what goes wrong is the client's own error.

    ``trouble`` are all the errors a command may raise; ``passing`` those that another try may get
    over, and ``fatal`` those that no waiting can help.
    """

    def __init__(self, address: str) -> None:
        from redis import exceptions

        self.address = address
        self._no_script = exceptions.NoScriptError
        self.trouble = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self.passing = (
            *(exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ClusterError),
            *(exceptions.TryAgainError, exceptions.ReadOnlyError),
            *(exceptions.RedisClusterException, OSError),
        )
        self.fatal = (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
        )

    async def run(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Answer:
        """Run a script and give its reply; a server that does not know it is given its text."""
        try:
            return await self.send("EVALSHA", script.sha, len(keys), *keys, *args)
        except self._no_script:
            return await self.send("EVAL", script.text, len(keys), *keys, *args)

    @abstractmethod
    async def send(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""

    @abstractmethod
    async def keys(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes, bit by bit."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """Wait between two tries."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections; the next use opens new ones."""


class BlockingLink(Link):
    """Holds the thread; the client's pool gives each thread a connection, also after a fork."""

    def __init__(self, make: Callable[[], Any], address: str, *, borrowed: bool = False) -> None:
        super().__init__(address)
        self._make = make
        self._borrowed = borrowed
        self._lock = Lock()
        self._client: Any = None

    async def send(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""
        return self.send_now(name, *words)

    async def keys(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes, bit by bit."""
        return self.keys_now(pattern)

    def keys_now(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes, bit by bit."""
        return [_undecoded(key) for key in self._made().scan_iter(match=pattern, count=_SCANNED)]

    def run_now(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Answer:
        """Run a script and give its reply; a server that does not know it is given its text."""
        try:
            return self.send_now("EVALSHA", script.sha, len(keys), *keys, *args)
        except self._no_script:
            return self.send_now("EVAL", script.text, len(keys), *keys, *args)

    def send_now(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes, whatever the client decodes by itself."""
        client = self._made()
        pool = None if self._borrowed else getattr(client, "connection_pool", None)
        if pool is None:  # a cluster's client knows the way, and another's has its own ways
            reply: Answer = client.execute_command(name, *words, NEVER_DECODE=True)
            return reply
        connection = pool.get_connection()
        try:
            connection.send_packed_command([_packed(name, words)])
            reply = connection.read_response(disable_decoding=True)
        finally:
            pool.release(connection)
            if client is not self._client:
                _end_idle(pool)  # closed meanwhile: this connection was spared, and is ours to end
        return reply

    def _made(self) -> Any:
        client = self._client
        if client is None:
            with self._lock:
                client = self._client = self._client or self._make()
        return client

    async def pause(self, seconds: float) -> None:
        """Wait between two tries."""
        time.sleep(seconds)  # noqa: ASYNC251 - it is to hold the thread

    def close(self) -> None:
        """Close the connections, if they are ours; the next use opens new ones.

        A command that another thread is in the middle of is answered first, and its connection
        closed then: redis-py would close it under that thread, which is told so by whatever breaks.
        """
        with self._lock:
            client, self._client = self._client, None
        if client is None or self._borrowed:
            return
        pool = getattr(client, "connection_pool", None)
        if pool is None:
            client.close()
        else:
            _end_idle(pool)


class ThreadedLink(Link):
    """A blocking client for event loops: each trip on a thread of the loop's pool."""

    def __init__(self, inner: BlockingLink) -> None:
        super().__init__(inner.address)
        self._inner = inner

    async def send(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""
        import asyncio

        return await asyncio.to_thread(self._inner.send_now, name, *words)

    async def keys(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes, bit by bit."""
        import asyncio

        return await asyncio.to_thread(self._inner.keys_now, pattern)

    async def pause(self, seconds: float) -> None:
        """Wait between two tries."""
        import asyncio

        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Do nothing: the client is the blocking face's."""


class AwaitedLink(Link):
    """A client for each event loop, since its connections belong to one."""

    def __init__(self, make: Callable[[], Any], address: str, *, borrowed: bool = False) -> None:
        super().__init__(address)
        self._make = make
        self._borrowed = borrowed
        self._lock = Lock()
        self._clients: WeakKeyDictionary[AbstractEventLoop, AsyncGenerator[Any, None]]
        self._clients = WeakKeyDictionary()
        self._known: WeakKeyDictionary[AbstractEventLoop, Any] = WeakKeyDictionary()

    async def send(self, name: str, *words: Word) -> Answer:
        """Send one command and give its reply as bytes."""
        client = await self._made()
        pool = None if self._borrowed else getattr(client, "connection_pool", None)
        if pool is None:
            reply: Answer = await client.execute_command(name, *words, NEVER_DECODE=True)
            return reply
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([_packed(name, words)])
            reply = await connection.read_response(disable_decoding=True)
        finally:
            await pool.release(connection)
        return reply

    async def keys(self, pattern: bytes) -> list[bytes]:
        """List the keys that fit a pattern, on all nodes, bit by bit."""
        client = await self._made()
        found = client.scan_iter(match=pattern, count=_SCANNED)
        return [_undecoded(key) async for key in found]

    async def _made(self) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        client = self._known.get(loop)
        return await self._begin(loop) if client is None else client

    async def _begin(self, loop: AbstractEventLoop) -> Any:
        """Make this loop's client.

        It lives in an asynchronous generator, which ``asyncio.run`` and its like close before the
        loop ends, so that its connections end with it.
        """
        life = self._life()
        client = await anext(life)
        with self._lock:
            self._clients[loop] = life
            self._known[loop] = client
        return client

    async def _life(self) -> AsyncGenerator[Any, None]:
        client = self._make()
        try:
            yield client
        finally:
            if not self._borrowed:
                await client.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait between two tries."""
        import asyncio

        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Have every loop that still runs close its client."""
        import asyncio

        with self._lock:
            lives = list(self._clients.items())
            self._clients.clear()
            self._known.clear()
        for loop, life in lives:
            if not loop.is_closed():
                asyncio.run_coroutine_threadsafe(_end(life), loop)


def _end_idle(pool: Any) -> None:
    pool.disconnect(inuse_connections=False)


def _undecoded(key: bytes | str) -> bytes:
    """Give a key as bytes, also where a client that was handed in decodes."""
    return key if isinstance(key, bytes) else key.encode("utf-8", "surrogateescape")


def _packed(name: str, words: Sequence[Word]) -> bytes:
    """Write a command in Redis' protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/).

    Sending it over a connection of the client's pool takes a third of the client's own time away.
    """
    parts = [b"*%d\r\n$%d\r\n%b\r\n" % (len(words) + 1, len(name), name.encode())]
    for word in words:
        data = word if isinstance(word, bytes) else b"%d" % word
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


async def _end(life: AsyncGenerator[Any, None]) -> None:
    await life.aclose()


def blocking_link(store: Any, patience: float) -> BlockingLink:
    """Open a way for blocking callers to a place, or through a client that was handed in."""
    if isinstance(store, Place):
        return BlockingLink(blocking_client(store, patience), store.address)
    make = _no_blocking_client if _is_awaited(store) else lambda: store
    return BlockingLink(make, address_of(store), borrowed=True)


def awaited_link(store: Any, blocking: BlockingLink, patience: float) -> AwaitedLink | ThreadedLink:
    """Open a way for event loops to the same store."""
    if isinstance(store, Place):
        return AwaitedLink(awaited_client(store, patience), store.address)
    if _is_awaited(store):
        return AwaitedLink(_once(store), address_of(store), borrowed=True)
    return ThreadedLink(blocking)


def _is_awaited(client: Any) -> bool:
    return any(kind.__module__.startswith("redis.asyncio") for kind in type(client).__mro__)


def _no_blocking_client() -> NoReturn:
    raise ConfigurationError(
        "an asyncio client of Redis was given, which serves awaited calls alone: give a URL"
    )


def _once(client: Any) -> Callable[[], Any]:
    """Hand out a client to the first loop that asks."""
    left = [client]

    def make() -> Any:
        if not left:
            raise ConfigurationError(
                "an asyncio client of Redis was given, which belongs to one event loop, and is"
                " asked from another: give a URL"
            )
        return left.pop()

    return make
