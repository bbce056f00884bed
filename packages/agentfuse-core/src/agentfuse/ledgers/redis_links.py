"""The way to Redis: one script a trip, patience with a store that is away, and errors by name."""

from __future__ import annotations

import time
from abc import abstractmethod
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.redis_urls import Place, address_of, awaited_client, blocking_client
from agentfuse.ledgers.redis_wire import kind_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agentfuse.ledgers.redis_scripts import Script
    from agentfuse.ledgers.redis_wire import Reply, Word

# Between two tries while the store is away: short at first, since most restarts are.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

_TYPES = (
    b"local types = {} for index, key in ipairs(KEYS) do types[index] = redis.call('TYPE', key).ok"
    b" end return types"
)


class Link:
    """Runs scripts in one store, and says what is wrong in our own words.

    Every script may be repeated: where the connection breaks after a script was sent, it is sent
    again. A store that is away is tried for ``patience`` seconds.
    """

    def __init__(self, address: str, patience: float) -> None:
        from redis import exceptions

        self.address = address
        self._patience = patience
        self._errors = exceptions
        self._trouble = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
        self._passing = (
            *(exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ClusterError),
            *(exceptions.TryAgainError, exceptions.ReadOnlyError),
            *(exceptions.RedisClusterException, OSError),
        )
        self._fatal = (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
        )

    async def call(self, script: Script, keys: Sequence[bytes], args: Sequence[Word]) -> Reply:
        """Run a script and give its reply.

        Raises StoreUnavailable where the store is away or will not do it, and ConfigurationError
        where waiting cannot help: a wrong password, another schema, keys that are not ours.
        """
        try:
            return await self._send("EVALSHA", script.sha, len(keys), *keys, *args)
        except self._trouble as error:
            return await self._insist(error, script, keys, args)

    async def _insist(
        self, error: Exception, script: Script, keys: Sequence[bytes], args: Sequence[Word]
    ) -> Reply:
        """Try again, until it works or patience ends."""
        start = time.monotonic()
        pause = _FIRST_PAUSE
        while True:
            # A server that does not know the script is given its text.
            if not isinstance(error, self._errors.NoScriptError):
                await self._judge(error, keys)
                if time.monotonic() - start >= self._patience:
                    raise self._unavailable(error) from error
                await self._pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                return await self._send("EVAL", script.text, len(keys), *keys, *args)
            except self._trouble as another:
                error = another

    async def _judge(self, error: Exception, keys: Sequence[bytes]) -> None:
        """Return where another try may help."""
        if isinstance(error, self._fatal):
            raise ConfigurationError(f"{self.address} refuses: {error}") from error
        if isinstance(error, self._passing):
            return
        said = str(error)
        if "AGENTFUSE" in said:
            self._refuse_schema(said, keys[0])
        if "WRONGTYPE" in said:
            await self._name_the_foreign_key(keys)
        raise self._unavailable(error) from error

    def _refuse_schema(self, said: str, meta: bytes) -> NoReturn:
        """Say that the ledger was made by another version, or that the key is no ledger's."""
        name = meta.decode("utf-8", "replace")
        _, _, schema = said.partition("schema ")
        if schema:
            raise ConfigurationError(
                f"the ledger at {self.address} ({name}) has schema {schema.split()[0]}, which this"
                " AgentFuse does not know: update AgentFuse, or choose another namespace"
            )
        raise ConfigurationError(
            f"{name} at {self.address} is not a ledger's: choose another namespace"
        )

    async def _name_the_foreign_key(self, keys: Sequence[bytes]) -> None:
        found = await self._send("EVAL", _TYPES, len(keys), *keys)
        for key, there in zip(keys, found, strict=True):
            kind, wanted = there.decode(), kind_of(key)
            if kind not in {"none", wanted}:
                raise ConfigurationError(
                    f"{key.decode('utf-8', 'replace')} at {self.address} is a {kind}, and not the"
                    f" {wanted} of a ledger: nothing was overwritten; choose another namespace"
                )

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the ledger at {self.address} is not available: {error}")

    @abstractmethod
    async def _send(self, name: str, *words: Word) -> Reply:
        """Send one command and give its reply as bytes."""

    @abstractmethod
    async def _pause(self, seconds: float) -> None:
        """Wait between two tries."""


class BlockingLink(Link):
    """Holds the thread; the client's pool gives each thread a connection, also after a fork."""

    def __init__(
        self, make: Callable[[], Any], address: str, patience: float, *, borrowed: bool = False
    ) -> None:
        super().__init__(address, patience)
        self._make = make
        self._borrowed = borrowed
        self._lock = Lock()
        self._client: Any = None

    async def _send(self, name: str, *words: Word) -> Reply:
        return self.send_now(name, *words)

    def send_now(self, name: str, *words: Word) -> Reply:
        """Send one command and give its reply as bytes, whatever the client decodes by itself."""
        client = self._client
        if client is None:
            with self._lock:
                client = self._client = self._client or self._make()
        pool = None if self._borrowed else getattr(client, "connection_pool", None)
        if pool is None:  # a cluster's client knows the way, and another's has its own ways
            reply: Reply = client.execute_command(name, *words, NEVER_DECODE=True)
            return reply
        connection = pool.get_connection()
        try:
            connection.send_packed_command([_packed(name, words)])
            reply = connection.read_response(disable_decoding=True)
        finally:
            pool.release(connection)
        return reply

    async def _pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - it is to hold the thread

    def close(self) -> None:
        """Close the connections, if they are ours; the next use opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None and not self._borrowed:
            client.close()


class ThreadedLink(Link):
    """A blocking client for event loops: each trip on a thread of the loop's pool."""

    def __init__(self, inner: BlockingLink, patience: float) -> None:
        super().__init__(inner.address, patience)
        self._inner = inner

    async def _send(self, name: str, *words: Word) -> Reply:
        import asyncio

        return await asyncio.to_thread(self._inner.send_now, name, *words)

    async def _pause(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    def close(self) -> None:
        """Do nothing: the client is the blocking face's."""


class AwaitedLink(Link):
    """A client for each event loop, since its connections belong to one."""

    def __init__(
        self, make: Callable[[], Any], address: str, patience: float, *, borrowed: bool = False
    ) -> None:
        super().__init__(address, patience)
        self._make = make
        self._borrowed = borrowed
        self._lock = Lock()
        self._clients: WeakKeyDictionary[AbstractEventLoop, AsyncGenerator[Any, None]]
        self._clients = WeakKeyDictionary()
        self._known: WeakKeyDictionary[AbstractEventLoop, Any] = WeakKeyDictionary()

    async def _send(self, name: str, *words: Word) -> Reply:
        import asyncio

        client = self._known.get(asyncio.get_running_loop())
        if client is None:
            client = await self._begin(asyncio.get_running_loop())
        pool = None if self._borrowed else getattr(client, "connection_pool", None)
        if pool is None:
            reply: Reply = await client.execute_command(name, *words, NEVER_DECODE=True)
            return reply
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([_packed(name, words)])
            reply = await connection.read_response(disable_decoding=True)
        finally:
            await pool.release(connection)
        return reply

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

    async def _pause(self, seconds: float) -> None:
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
        return BlockingLink(blocking_client(store, patience), store.address, patience)
    make = _no_blocking_client if _is_awaited(store) else lambda: store
    return BlockingLink(make, address_of(store), patience, borrowed=True)


def awaited_link(store: Any, blocking: BlockingLink, patience: float) -> AwaitedLink | ThreadedLink:
    """Open a way for event loops to the same store."""
    if isinstance(store, Place):
        return AwaitedLink(awaited_client(store, patience), store.address, patience)
    if _is_awaited(store):
        return AwaitedLink(_once(store), address_of(store), patience, borrowed=True)
    return ThreadedLink(blocking, patience)


def _is_awaited(client: Any) -> bool:
    return any(kind.__module__.startswith("redis.asyncio") for kind in type(client).__mro__)


def _no_blocking_client() -> NoReturn:
    raise ConfigurationError(
        "this ledger was given an asyncio client, which serves awaited calls alone: give it a URL"
    )


def _once(client: Any) -> Callable[[], Any]:
    """Hand out a client to the first loop that asks."""
    left = [client]

    def make() -> Any:
        if not left:
            raise ConfigurationError(
                "this ledger was given an asyncio client, which belongs to one event loop, and is"
                " asked from another: give it a URL"
            )
        return left.pop()

    return make
