"""A cache by its address: which store, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.caches.memory import MemoryCache
from agentfuse.caches.tiered import TieredCache
from agentfuse.connections.redis_urls import SCHEMES
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from agentfuse.ports import Clock

KNOWN = (
    "a path or sqlite:///..., redis://..., rediss://..., unix://..., redis+cluster://...,"
    " postgresql://..."
)


def cache_at(address: str | Path, ttl: float, clock: Clock | None = None) -> TieredCache:
    """Open the cache at an address, behind memory; a client library is imported here, not before.

    A path, or ``sqlite:///relative.db`` and ``sqlite:////absolute.db``;
    ``redis://host:6379/0?namespace=acme`` (also ``rediss``, ``unix``, ``redis+cluster``, and
    ``valkey``); ``postgresql://user@host/name``. Raises ConfigurationError for any other.
    """
    scheme, colon, rest = str(address).partition("://")
    if isinstance(address, Path) or not colon:
        return _sqlite_at(Path(address), ttl, clock)
    match scheme.lower():
        case "sqlite":
            return _sqlite_at(Path(rest.removeprefix("/")), ttl, clock)
        case name if name in SCHEMES:
            return _redis_at(str(address), ttl, clock)
        case "postgresql" | "postgres":
            return _postgres_at(str(address), ttl, clock)
        case _:
            raise ConfigurationError(f"no cache is known at {scheme}://: give {KNOWN}")


def _sqlite_at(path: Path, ttl: float, clock: Clock | None) -> TieredCache:
    from agentfuse.caches.sqlite import SqliteCache

    back = SqliteCache(path.expanduser(), ttl=ttl, clock=clock)
    return TieredCache(MemoryCache(ttl=ttl, clock=clock), back)


def _redis_at(url: str, ttl: float, clock: Clock | None) -> TieredCache:
    from agentfuse.caches.redis import RedisCache

    back = RedisCache(url, ttl=ttl, clock=clock)
    # A copy in memory is fresh no longer than others may have to wait for what is dropped here.
    front = MemoryCache(ttl=max(back.rules.hold, 1e-9), jitter=0, clock=clock)
    return TieredCache(front, back)


def _postgres_at(url: str, ttl: float, clock: Clock | None) -> TieredCache:
    from agentfuse.caches.postgres import PostgresCache

    back = PostgresCache(url, ttl=ttl, clock=clock)
    return TieredCache(MemoryCache(ttl=min(back.hold, ttl), jitter=0, clock=clock), back)
