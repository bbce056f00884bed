"""Semantic entries in Redis, each process with an index of its own that a stream keeps current."""

from __future__ import annotations

import os
import time
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agentfuse.caches.fleet.feed import Feed
from agentfuse.caches.fleet.lines import (
    Drop,
    Forbid,
    Forget,
    Put,
    place_of,
    script_of,
    selection_bytes,
)
from agentfuse.caches.fleet.recent import RecentAnswers
from agentfuse.caches.fleet.records import answer_bytes, entry_bytes, half_bytes
from agentfuse.caches.packing import reply_in
from agentfuse.caches.semantic.memory_store import MemorySemanticStore
from agentfuse.connections.redis_stores import RedisStore
from agentfuse.connections.redis_words import bytes_of
from agentfuse.errors import StoreUnavailable
from agentfuse.messages import Reply
from agentfuse.semantics import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.caches.fleet.lines import Line, Place
    from agentfuse.ports import Clock
    from agentfuse.semantics import Near, Selection, SemanticEntry, Vector

# For so long, in seconds, an answer that was seen in the store is served while that is away: what
# others forget there meanwhile cannot be known.
GRACE = 60.0

# How long the first call waits for what others have kept, in seconds: 50,000 entries take 1.5.
WARM = 3.0

MOST_FORBIDDEN = 10_000

# The answers are in Redis; the index needs none. One with JSON of its own is weighed in no time.
_ELSEWHERE = Reply(choices=(), raw="{}")

_DROPPED_AT_ONCE = 500


class StreamedSemanticStore:
    """A store that the processes of a fleet share through Redis 6.2 or newer, or Valkey.

    ``url`` is as for ``RedisCache``, a cluster's too; behind its ``?``: ``namespace`` keeps stores
    apart, ``patience`` is how many seconds an answer may take (0.5), and ``grace`` for how long an
    answer that this process has seen is served while the store is away (60; 0 never). Vectors of
    another ``fingerprint`` are in another stream and never met.

    Every process has all entries' questions and vectors in an index of its own, the latest
    ``max_entries``, so looking needs no trip. An answer lives in Redis alone, under its own key
    with its own end; a hit asks for it, so that what Redis has let go (expired, evicted, forgotten
    by anybody) is a miss everywhere at once. A thread follows the stream; ``close`` ends it.
    """

    def __init__(  # noqa: PLR0913 - where it is, and its bounds
        self,
        url: Any,
        dim: int,
        *,
        fingerprint: str,
        namespace: str | None = None,
        max_entries: int = 100_000,
        max_bytes: int = 512 * 2**20,
        max_scopes: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        place = RedisStore(url, "the semantic cache", ours=("grace",), namespace=namespace)
        self._place, self._link = place, place.blocking
        self._now, self._most = time.time if clock is None else clock.now, max_entries
        grace = place.number("grace", GRACE, fits=lambda value: value >= 0)
        self._made_recent = partial(RecentAnswers, grace)
        self._made_local = partial(
            MemorySemanticStore,
            dim,
            max_entries=max_entries,
            max_bytes=max_bytes,
            max_scopes=max_scopes,
            clock=clock,
        )
        model = sha256(fingerprint.encode()).hexdigest()[:16]
        # One tag for all: a cluster keeps a group on one node, and a script may touch all of it.
        self._prefix = bytes_of(f"{{{place.namespace}:meaning:{model}}}:")
        names = (b"stream", b"born", b"forbidden")
        self._stream, self._born, self._pairs = (self._prefix + name for name in names)
        link, wait = place.waiting()
        self._feed = Feed(
            link,
            place.rest,
            (self._stream, self._born),
            wait=wait,
            take=self._take,
            begin=self._begin_anew,
        )
        self._begin_process()

    @property
    def address(self) -> str:
        """Where the store is, without the password."""
        return self._link.address

    def nearest(self, scope: str, vector: Vector, count: int) -> Sequence[Near]:
        """Give the entries of one scope nearest to ``vector``, best first; asks nobody."""
        return self._current().nearest(scope, vector, count)

    def answer(self, entry_id: str) -> Reply | None:
        """Give an entry's answer if Redis still has it; see ``grace`` for while that is away."""
        local = self._current()
        if local.answer(entry_id) is None:
            return None
        try:
            reply = reply_in(self._link.send_now("GET", self._answer(entry_id)))
        except StoreUnavailable:
            reply = self._recent.of(entry_id)
            if reply is None:
                raise
            return reply
        if reply is None:
            self._forget(entry_id)
        else:
            self._recent.note(entry_id, reply)
        return reply

    def entry(self, entry_id: str) -> SemanticEntry | None:
        """Give an entry by its id; None where it is gone."""
        return self._current().entry(entry_id)

    def keep(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, in place of the older one of the same id: one trip."""
        local = self._current()
        life = round(1000 * (entry.expires - self._now()))
        if life <= 0:
            return
        data = answer_bytes(entry, reply, self.address)
        keys = (self._stream, self._born, self._answer(entry.id))
        name = os.urandom(8).hex().encode()
        words = (data, life, self._most, name, entry_bytes(entry), half_bytes(vector))
        line_id, born = self._link.run_now(script_of("keep"), keys, words)
        place = place_of(line_id)
        self._feed.know(born)
        if self._feed.at < place:  # else the feed has brought it, and perhaps a newer one
            self._own[entry.id] = place
            local.keep(entry, vector, _ELSEWHERE)
        self._recent.note(entry.id, reply)

    def drop(self, entry_id: str) -> bool:
        """Forget an entry; False where there was none."""
        return self._drop([entry_id]) > 0

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, here and in every other process, and count them."""
        local = self._current()
        _, _, last, _ = self._link.run_now(script_of("look"), (self._stream, self._born), ())
        # What others kept a moment ago is to go too.
        self._feed.wait_until_read(WARM, place_of(last))
        gone = local.fitting(selection)
        line = (b"forget1", selection_bytes(selection))
        bound = (b"NOMKSTREAM", b"MAXLEN", b"~", self._most, b"*")
        self._link.send_now("XADD", self._stream, *bound, *line)
        return self._drop(gone)

    def forbid(self, pair: str) -> None:
        """Remember a pair that was called wrong, here and in every other process."""
        self._current().forbid(pair)
        words = (self._most, pair.encode(), MOST_FORBIDDEN)
        self._link.run_now(script_of("forbid"), (self._stream, self._pairs), words)

    def is_forbidden(self, pair: str) -> bool:
        """Say whether a pair was called wrong; asks nobody."""
        return self._current().is_forbidden(pair)

    def close(self) -> None:
        """End the thread and close the connections; the next use begins where they were."""
        self._feed.close()
        self._place.close()

    def __len__(self) -> int:
        """Count the entries that this process knows."""
        return len(self._current())

    def _current(self) -> MemorySemanticStore:
        """Give the index of this process, once it knows what was kept before."""
        if self._process != os.getpid():
            # A lock may have been held when the process was forked, and the index half changed.
            self._begin_process()
        self._feed.start()
        if not self._feed.is_read:
            self._warm = self._warm or time.monotonic() + WARM
            self._feed.wait_until_read(self._warm - time.monotonic())
        return self._local

    def _begin_process(self) -> None:
        self._local: MemorySemanticStore = self._made_local()
        self._recent: RecentAnswers = self._made_recent()
        self._own: dict[str, Place] = {}
        self._warm = 0.0  # until when callers wait for the start, once one has come
        self._process = os.getpid()

    def _begin_anew(self) -> None:
        """Forget all that was read, and read which pairs are forbidden."""
        self._own.clear()
        self._local.invalidate(EVERYTHING)
        self._recent.clear()
        for pair in self._feed.link.send_now("ZRANGE", self._pairs, 0, -1):
            self._local.forbid(pair.decode("ascii", "replace"))

    def _take(self, place: Place, line: Line) -> None:
        """Do what a line says, unless this process has kept something newer itself."""
        match line:
            case Put(entry, vector) if not self._is_older(entry.id, place):
                self._put(entry, vector)
            case Drop(entry_id) if not self._is_older(entry_id, place):
                self._forget(entry_id)
            case Forget(selection):
                fitting = self._local.fitting(selection)
                for entry_id in [each for each in fitting if not self._is_older(each, place)]:
                    self._forget(entry_id)
            case Forbid(pair):
                self._local.forbid(pair)
            case _:
                return

    def _is_older(self, entry_id: str, place: Place) -> bool:
        own = self._own.get(entry_id)
        if own is not None and own <= place:
            self._own.pop(entry_id, None)
        return own is not None and place <= own

    def _put(self, entry: SemanticEntry, vector: Vector) -> None:
        if len(vector) == self._local.dim and entry.expires > self._now():
            self._local.keep(entry, vector, _ELSEWHERE)

    def _forget(self, entry_id: str) -> None:
        self._local.drop(entry_id)
        self._recent.drop(entry_id)

    def _drop(self, entry_ids: Sequence[str]) -> int:
        gone = 0
        for start in range(0, len(entry_ids), _DROPPED_AT_ONCE):
            some = entry_ids[start : start + _DROPPED_AT_ONCE]
            keys = (self._stream, *map(self._answer, some))
            gone += self._link.run_now(script_of("drop"), keys, (self._most, *map(bytes_of, some)))
            for entry_id in some:
                self._forget(entry_id)
        return gone

    def _answer(self, entry_id: str) -> bytes:
        return self._prefix + b"answer:" + bytes_of(entry_id)
