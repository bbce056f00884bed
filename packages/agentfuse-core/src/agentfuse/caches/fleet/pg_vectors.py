"""Semantic entries in PostgreSQL with pgvector: one table, looked through scope by scope."""

from __future__ import annotations

import time
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from agentfuse.caches.fleet.records import answer_bytes, entry_bytes, entry_of, mark_of
from agentfuse.caches.packing import reply_in
from agentfuse.connections.postgres_tables import PATIENCE, PostgresTables
from agentfuse.errors import ConfigurationError
from agentfuse.semantics import Near

try:
    from pgvector import HalfVector
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f'entries in PostgreSQL need {missing.name}: pip install "agentfuse-core[pgvector]"'
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Reply
    from agentfuse.ports import Clock
    from agentfuse.semantics import Selection, SemanticEntry, Vector

_KEEPS_PER_PRUNING = 64

_NEAREST = """SELECT entry, -(vector <#> %(at)s::halfvec) FROM agentfuse_semantic_entries
    WHERE store = %(store)s AND scope = %(scope)s AND expires > %(now)s
    ORDER BY vector <#> %(at)s::halfvec LIMIT %(count)s"""

_KEEP = """INSERT INTO agentfuse_semantic_entries VALUES
    (%s, %s, %s, %s, %s, %s, %s, %s::halfvec, %s, %s)
    ON CONFLICT (store, id) DO UPDATE SET scope = excluded.scope, names = excluded.names,
    tags = excluded.tags, kept = excluded.kept, expires = excluded.expires,
    vector = excluded.vector, entry = excluded.entry, answer = excluded.answer"""

_FORGET = """DELETE FROM agentfuse_semantic_entries WHERE store = %s
    AND (%s = '' OR %s = ANY(names)) AND tags @> %s::text[]
    AND (%s::double precision IS NULL OR kept < %s)"""


class PgVectorStore:
    """A store in PostgreSQL 13 or newer with pgvector 0.7 or newer.

    ``url`` is ``postgresql://user@host/database``, with ``namespace`` behind its ``?``; all else
    there is libpq's. The extension and the tables are made at first use, in the schema that the
    role's search path begins with. For those who have a PostgreSQL and no Redis: looking is a trip,
    and about a millisecond on 500 entries of a scope. It is exact, without an index over vectors,
    which is faster than one as long as scopes are small. Lives end by this machine's clock; what
    has expired is deleted in passing.
    """

    def __init__(
        self,
        url: str,
        dim: int,
        *,
        fingerprint: str,
        namespace: str | None = None,
        patience: float = PATIENCE,
        clock: Clock | None = None,
    ) -> None:
        file = Path(__file__).with_suffix(".sql")
        self._tables = PostgresTables(
            url, "the semantic cache", file, namespace=namespace, patience=patience
        )
        self.address, self._done = self._tables.address, self._tables.done
        self._now = time.time if clock is None else clock.now
        self._store = (
            f"{self._tables.namespace} {sha256(f'{fingerprint} {dim}'.encode()).hexdigest()[:16]}"
        )
        self._keeps = count(1)

    def nearest(self, scope: str, vector: Vector, count: int) -> Sequence[Near]:
        """Give the entries of one scope nearest to ``vector``, best first: one trip."""
        words = {
            "at": HalfVector(vector).to_text(),
            "store": self._store,
            "scope": mark_of(scope),
            "now": self._now(),
            "count": count,
        }
        rows = self._done(lambda db: db.execute(_NEAREST, words).fetchall())
        return [near for row in rows if (near := _near_of(*row)) is not None]

    def answer(self, entry_id: str) -> Reply | None:
        """Give an entry's answer; None where it is gone."""
        return reply_in(self._read("answer", entry_id))

    def entry(self, entry_id: str) -> SemanticEntry | None:
        """Give an entry by its id; None where it is gone."""
        text = self._read("entry", entry_id)
        try:
            return None if text is None else entry_of(text)
        except ValueError:
            return None

    def keep(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, in place of the older one of the same id: one trip."""
        row = (
            self._store,
            entry.id,
            mark_of(entry.scope),
            [mark_of(entry.id), mark_of(entry.key)],
            [mark_of(tag) for tag in entry.tags],
            entry.kept,
            entry.expires,
            HalfVector(vector).to_text(),
            entry_bytes(entry).decode("ascii"),
            answer_bytes(entry, reply, self.address),
        )
        self._done(lambda db: db.execute(_KEEP, row))
        if next(self._keeps) % _KEEPS_PER_PRUNING == 0:
            old = "DELETE FROM agentfuse_semantic_entries WHERE expires <= %s"
            self._done(lambda db: db.execute(old, (self._now(),)))

    def drop(self, entry_id: str) -> bool:
        """Forget an entry; False where there was none."""
        gone = "DELETE FROM agentfuse_semantic_entries WHERE store = %s AND id = %s"
        return self._done(lambda db: db.execute(gone, (self._store, entry_id)).rowcount) > 0

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        key = mark_of(selection.key) if selection.key else ""
        tags = [mark_of(tag) for tag in selection.tags]
        words = (self._store, key, key, tags, selection.before, selection.before)
        return self._done(lambda db: db.execute(_FORGET, words).rowcount)

    def forbid(self, pair: str) -> None:
        """Remember a pair that was called wrong."""
        said = "INSERT INTO agentfuse_semantic_pairs VALUES (%s, %s) ON CONFLICT DO NOTHING"
        self._done(lambda db: db.execute(said, (self._store, pair)))

    def is_forbidden(self, pair: str) -> bool:
        """Say whether a pair was called wrong."""
        there = "SELECT FROM agentfuse_semantic_pairs WHERE store = %s AND pair = %s"
        words = (self._store, pair)
        return self._done(lambda db: db.execute(there, words).fetchone()) is not None

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._tables.close()

    def __len__(self) -> int:
        """Count the entries of all processes, those that have expired included."""
        counted = "SELECT count(*) FROM agentfuse_semantic_entries WHERE store = %s"
        row = self._done(lambda db: db.execute(counted, (self._store,)).fetchone())
        return 0 if row is None else int(row[0])

    def _read(self, column: LiteralString, entry_id: str) -> Any:
        asked = f"SELECT {column} FROM agentfuse_semantic_entries"  # noqa: S608 - one of two names
        where = " WHERE store = %s AND id = %s AND expires > %s"
        words = (self._store, entry_id, self._now())
        row = self._done(lambda db: db.execute(asked + where, words).fetchone())
        return None if row is None else row[0]


def _near_of(text: str, score: float) -> Near | None:
    try:
        return Near(entry_of(text), float(score))
    except ValueError:
        return None
