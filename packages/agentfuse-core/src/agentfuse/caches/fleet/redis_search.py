"""Semantic entries in the Redis Query Engine: the server holds the index and does the looking."""

from __future__ import annotations

import time
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.caches.fleet.lines import script_of
from agentfuse.caches.fleet.records import answer_bytes, entry_bytes, entry_of, mark_of
from agentfuse.caches.packing import reply_in
from agentfuse.connections.redis_stores import RedisStore
from agentfuse.connections.redis_words import bytes_of
from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.semantics import EVERYTHING, Near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.connections.redis_links import Word
    from agentfuse.messages import Reply
    from agentfuse.ports import Clock
    from agentfuse.semantics import Selection, SemanticEntry, Vector

MOST_FORBIDDEN = 10_000

_DROPPED_AT_ONCE = 500


class RedisSearchStore:
    """A store in a Redis with the Query Engine (Redis 8, Redis Stack), through redisvl.

    ``url`` is ``redis+search://host:6379/0`` (or ``rediss+search``), with ``namespace`` and
    ``patience`` behind its ``?``. For more entries in a scope than a process likes to hold in its
    memory: looking is a trip here, and half a millisecond on 10,000 entries. An answer goes with
    its entry, at its end or when Redis evicts it. The index is exact (FLAT) and made at first use.
    """

    def __init__(
        self,
        url: str,
        dim: int,
        *,
        fingerprint: str,
        namespace: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._kind = _redisvl("index").SearchIndex
        self._errors = _redisvl("exceptions")
        self._place = RedisStore(
            url.replace("+search", "", 1), "the semantic cache", namespace=namespace
        )
        self._link = self._place.blocking
        self._now = time.time if clock is None else clock.now
        self._dim = dim
        model = sha256(f"{fingerprint} {dim}".encode()).hexdigest()[:16]
        self._name = f"{self._place.namespace}:search:{model}"
        self._pairs = bytes_of(f"{self._name}:forbidden")
        self._made: Any = None

    @property
    def address(self) -> str:
        """Where the store is, without the password."""
        return self._link.address

    def nearest(self, scope: str, vector: Vector, count: int) -> Sequence[Near]:
        """Give the entries of one scope nearest to ``vector``, best first: one trip."""
        query = _redisvl("query").VectorQuery(
            vector=np.ascontiguousarray(vector, dtype=np.float32).tobytes(),
            vector_field_name="vector",
            return_fields=["entry", "vector_distance"],
            filter_expression=_redisvl("query.filter").Tag("scope") == mark_of(scope),
            num_results=count,
        )
        now = self._now()
        found = (_near_of(row) for row in self._asked(lambda index: index.query(query)))
        return [near for near in found if near and near.entry.expires > now]

    def answer(self, entry_id: str) -> Reply | None:
        """Give an entry's answer; None where it is gone."""
        return reply_in(self._link.send_now("HGET", self._key(entry_id), b"answer"))

    def entry(self, entry_id: str) -> SemanticEntry | None:
        """Give an entry by its id; None where it is gone."""
        data = self._link.send_now("HGET", self._key(entry_id), b"entry")
        try:
            return None if data is None else entry_of(data)
        except ValueError:
            return None

    def keep(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, in place of the older one of the same id: one trip."""
        life = round(1000 * (entry.expires - self._now()))
        if life <= 0:
            return
        self._asked(lambda _: None)
        fields = {
            b"scope": mark_of(entry.scope).encode(),
            b"names": f"{mark_of(entry.id)},{mark_of(entry.key)}".encode(),
            b"tags": ",".join(map(mark_of, entry.tags)).encode(),
            b"kept": repr(entry.kept).encode(),
            b"vector": np.ascontiguousarray(vector, dtype=np.float32).tobytes(),
            b"entry": entry_bytes(entry),
            b"answer": answer_bytes(entry, reply, self.address),
        }
        words: tuple[Word, ...] = (life, *(word for pair in fields.items() for word in pair))
        self._link.run_now(script_of("put"), (self._key(entry.id),), words)

    def drop(self, entry_id: str) -> bool:
        """Forget an entry; False where there was none."""
        return bool(self._link.send_now("DEL", self._key(entry_id)))

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        fitting = _filter_of(selection)
        query = _redisvl("query").FilterQuery(fitting, num_results=_DROPPED_AT_ONCE)
        query.return_fields("kept")
        gone = 0
        while rows := self._asked(lambda index: index.query(query)):
            dropped = sum(self._link.send_now("DEL", bytes_of(row["id"])) for row in rows)
            gone += dropped
            if not dropped:
                break  # what the index still lists has gone by itself
        return gone

    def forbid(self, pair: str) -> None:
        """Remember a pair that was called wrong; the oldest leave in time."""
        self._link.send_now("ZADD", self._pairs, b"%d" % (1000 * time.time()), pair.encode())
        self._link.send_now("ZREMRANGEBYRANK", self._pairs, 0, -MOST_FORBIDDEN - 1)

    def is_forbidden(self, pair: str) -> bool:
        """Say whether a pair was called wrong."""
        return self._link.send_now("ZSCORE", self._pairs, pair.encode()) is not None

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        made, self._made = self._made, None
        if made is not None:
            made.client.close()
        self._place.close()

    def __len__(self) -> int:
        """Count the entries of all processes."""
        query = _redisvl("query").CountQuery(_filter_of(EVERYTHING))
        return int(self._asked(lambda index: index.query(query)))

    def _asked(self, ask: Callable[[Any], Any]) -> Any:
        """Ask the index, and make it first where the store has none (any more)."""
        with self._place.judged():
            try:
                index = self._made = self._made or self._index()
                try:
                    return ask(index)
                except self._errors.RedisSearchError as error:
                    if "no such index" not in str(error).lower():
                        raise
                    self._create(index)
                    return ask(index)
            except self._errors.RedisVLError as error:
                cause = error.__cause__
                if isinstance(cause, self._place.trouble):
                    raise cause from error
                raise StoreUnavailable(f"{self._place.rest.what} refuses: {error}") from error

    def _index(self) -> Any:
        client = self._place.client()
        fields = [{"name": name, "type": "tag"} for name in ("scope", "names", "tags")]
        vector = {"algorithm": "flat", "dims": self._dim, "distance_metric": "cosine"}
        schema = {
            "index": {"name": self._name, "prefix": f"{self._name}:entry", "storage_type": "hash"},
            "fields": [
                *fields,
                {"name": "kept", "type": "numeric"},
                {"name": "vector", "type": "vector", "attrs": {**vector, "datatype": "float32"}},
            ],
        }
        index = self._kind.from_dict(schema, redis_client=client)
        if not index.exists():
            self._create(index)
        return index

    def _create(self, index: Any) -> None:
        try:
            index.create(overwrite=False)
        except self._errors.RedisSearchError as error:
            if "already exists" not in str(error).lower():  # another process was faster
                raise

    def _key(self, entry_id: str) -> bytes:
        return bytes_of(f"{self._name}:entry:{entry_id}")


def _redisvl(name: str) -> Any:
    """Import a module of redisvl, which has no types of its own."""
    try:
        return import_module(f"redisvl.{name}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'redis+search:// needs {error.name}: pip install "agentfuse-core[redisvl]"'
        ) from error


def _near_of(row: dict[str, Any]) -> Near | None:
    try:
        return Near(entry_of(bytes_of(row["entry"])), 1.0 - float(row["vector_distance"]))
    except (KeyError, ValueError):
        return None


def _filter_of(selection: Selection) -> Any:
    words = _redisvl("query.filter")
    fitting = words.FilterExpression("*")
    if selection.key:
        fitting = fitting & (words.Tag("names") == mark_of(selection.key))
    for tag in selection.tags:
        fitting = fitting & (words.Tag("tags") == mark_of(tag))
    if selection.before is not None:
        fitting = fitting & (words.Num("kept") < selection.before)
    return fitting
