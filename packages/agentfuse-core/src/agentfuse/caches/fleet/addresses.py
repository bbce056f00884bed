"""A shared store of semantic entries by its address: which engine, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from agentfuse.ports import Clock, SemanticStore

KNOWN = (
    "redis://..., rediss://..., unix://..., redis+cluster://..., redis+search://...,"
    " postgresql://..."
)


def semantic_store_at(
    address: str,
    dim: int,
    *,
    fingerprint: str,
    max_entries: int = 100_000,
    max_bytes: int = 512 * 2**20,
    clock: Clock | None = None,
) -> SemanticStore:
    """Open the store at an address for vectors of ``dim`` numbers; imports its client library.

    The bounds are those of an index in each process (``redis://`` and its like); the engines are
    bounded by what their server is given. Raises ConfigurationError for an unknown address.
    """
    scheme = address.partition("://")[0].lower()
    match scheme:
        case (
            "redis" | "rediss" | "unix" | "redis+cluster" | "rediss+cluster" | "valkey" | "valkeys"
        ):
            from agentfuse.caches.fleet.streamed import StreamedSemanticStore

            return StreamedSemanticStore(
                address,
                dim,
                fingerprint=fingerprint,
                max_entries=max_entries,
                max_bytes=max_bytes,
                clock=clock,
            )
        case "redis+search" | "rediss+search":
            from agentfuse.caches.fleet.redis_search import RedisSearchStore

            return RedisSearchStore(address, dim, fingerprint=fingerprint, clock=clock)
        case "postgresql" | "postgres":
            from agentfuse.caches.fleet.pg_vectors import PgVectorStore

            return PgVectorStore(address, dim, fingerprint=fingerprint, clock=clock)
        case _:
            raise ConfigurationError(f"no semantic store is known at {scheme}://: give {KNOWN}")
