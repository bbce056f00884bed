"""One Redis as the caches use it: what its URL says, and the ways to it for threads and loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.connections.brisk_links import BriskBlockingLink, BriskLink, Rest
from agentfuse.connections.redis_links import awaited_link, blocking_link
from agentfuse.connections.redis_urls import Place, blocking_client, place_of
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.connections.redis_links import BlockingLink

# A cache that answers later than this, in seconds, is of no use: the call is made without it.
PATIENCE = 0.5

# How long a command that waits for news may wait, in seconds.
LONGEST_WAIT = 2.0

OPTIONS = ("namespace", "patience")


class RedisStore:
    """A store by its URL, or by a client of redis-py that was handed in.

    ``what`` names its use in messages ("the cache"), and ``ours`` the words behind the URL's ``?``
    that are the user's to set there, beside ``namespace`` and ``patience``. All ways to it share
    one rest: where one of them finds it away, the others leave it alone too. Raises
    ConfigurationError for a URL that says something else.
    """

    def __init__(
        self,
        store: Any,
        what: str,
        *,
        ours: tuple[str, ...] = (),
        namespace: str | None = None,
        patience: float | None = None,
    ) -> None:
        place = place_of(store, (*OPTIONS, *ours)) if isinstance(store, str) else None
        self.options = {} if place is None else place.options
        self._store = store if place is None else place
        self._patience = self.number("patience", PATIENCE, patience)
        self.namespace = namespace or self.options.get("namespace") or "agentfuse"
        if "{" in self.namespace or "}" in self.namespace:
            raise ConfigurationError(f"a namespace has no braces: {self.namespace!r}")
        self._blocking = blocking_link(self._store, self._patience)
        self.trouble = self._blocking.trouble
        self.rest = Rest(f"{what} at {self._blocking.address}")
        self.blocking = BriskBlockingLink(self._blocking, self.rest)
        self.judged = self.blocking.judged
        self._awaited: BriskLink | None = None

    @property
    def awaited(self) -> BriskLink:
        """The way for event loops; each loop has a client of its own."""
        if self._awaited is None:
            link = awaited_link(self._store, self._blocking, self._patience)
            self._awaited = BriskLink(link, self.rest)
        return self._awaited

    def waiting(self) -> tuple[BlockingLink, float]:
        """Open a way of its own for commands that wait, and say for how many seconds they may."""
        wait = LONGEST_WAIT
        if not isinstance(self._store, Place):
            # A client that was handed in gives up at its own time.
            pool = getattr(self._store, "connection_pool", None)
            known = pool.connection_kwargs.get("socket_timeout") if pool is not None else None
            wait = min(wait, (known or 2 * wait) / 2)
        return blocking_link(self._store, self._patience + wait), wait

    def client(self) -> Any:
        """Make a blocking client of its own for a library that wants one."""
        if isinstance(self._store, Place):
            return blocking_client(self._store, self._patience)()
        return self._store

    def number(
        self,
        name: str,
        default: float,
        given: float | None = None,
        fits: Callable[[float], bool] = lambda value: value > 0,
    ) -> float:
        """Read a number of seconds: as given, else behind the URL's ``?``, else the default."""
        try:
            value = float(self.options.get(name, default)) if given is None else given
        except ValueError:
            value = float("nan")
        if not fits(value):
            said = self.options.get(name) if given is None else given
            raise ConfigurationError(f"{name} is a number of seconds, not {said!r}")
        return value

    def yes(self, name: str, *, given: bool | None = None) -> bool:
        """Read a yes (1) or no (0): as given, else behind the URL's ``?``, else yes."""
        said = self.options.get(name, "1") if given is None else str(int(given))
        if said not in {"0", "1"}:
            raise ConfigurationError(f"{name} is 1 or 0, not {said!r}")
        return said == "1"

    def close(self) -> None:
        """Close the connections of both ways; the next use opens new ones."""
        self.blocking.close()
        if self._awaited is not None:
            self._awaited.close()
