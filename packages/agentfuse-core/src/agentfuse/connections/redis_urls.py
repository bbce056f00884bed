"""Where a Redis lives: its URL read, and the clients made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+cluster", "rediss+cluster")
# What redis-py calls them.
_THEIRS = {"valkey": "redis", "valkeys": "rediss"}

# Tasks of one loop share this many connections; threads have one each.
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store: ``url`` as redis-py reads it, the ``address`` to show, and our own ``options``."""

    url: str
    address: str
    cluster: bool
    options: dict[str, str]


def place_of(url: str, ours: Collection[str]) -> Place:
    """Read ``redis://host:6379/0?namespace=acme``, or another of ``SCHEMES``.

    What stands behind ``?`` and is not one of ``ours`` is redis-py's. Raises
    ConfigurationError for another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(
            f"a Redis' URL begins with one of {', '.join(SCHEMES)}, not {parts.scheme!r}"
        )
    query = parse_qsl(parts.query, keep_blank_values=True)
    options = {name: value for name, value in query if name in ours}
    rest = urlencode([pair for pair in query if pair[0] not in ours])
    scheme, _, cluster = parts.scheme.partition("+")
    host = parts.netloc.rpartition("@")[2]
    return Place(
        url=urlunsplit((_THEIRS.get(scheme, scheme), parts.netloc, parts.path, rest, "")),
        address=f"{parts.scheme}://{host}{parts.path}",
        cluster=bool(cluster),
        options=options,
    )


def blocking_client(place: Place, patience: float) -> Callable[[], Any]:
    """Give a maker of blocking clients."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    def make() -> Any:
        # Tries are the link's to count; a cluster's client needs one of its own after a failover.
        kind: Any = redis.RedisCluster if place.cluster else redis.Redis
        retry = Retry(NoBackoff(), 1 if place.cluster else 0)
        return kind.from_url(place.url, retry=retry, **_timeouts(patience))

    return _checked(make, place)


def awaited_client(place: Place, patience: float) -> Callable[[], Any]:
    """Give a maker of clients for an event loop."""
    from redis import asyncio as redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    def make() -> Any:
        if place.cluster:
            cluster: Any = redis.RedisCluster
            return cluster.from_url(place.url, retry=Retry(NoBackoff(), 1), **_timeouts(patience))
        pool: Any = redis.BlockingConnectionPool
        options = {"retry": Retry(NoBackoff(), 0), "timeout": patience, **_timeouts(patience)}
        options["max_connections"] = _CONNECTIONS
        return redis.Redis.from_pool(pool.from_url(place.url, **options))

    return _checked(make, place)


def address_of(client: Any) -> str:
    """Name the store of a client that was handed in."""
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        return "the cluster of the client given"
    known = pool.connection_kwargs
    if "path" in known:
        return f"unix://{known['path']}"
    return f"redis://{known.get('host', 'localhost')}:{known.get('port', 6379)}"


def _timeouts(patience: float) -> dict[str, float]:
    return {"socket_timeout": patience, "socket_connect_timeout": patience}


def _checked(make: Callable[[], Any], place: Place) -> Callable[[], Any]:
    def checked() -> Any:
        try:
            return make()
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{place.address} cannot be read: {error}") from error

    return checked
