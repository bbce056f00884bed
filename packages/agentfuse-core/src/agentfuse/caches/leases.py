"""One process asks for all: a lease in Redis on a question that is in the air."""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from agentfuse.caches.flights import PATIENCE
from agentfuse.caches.packing import reply_in
from agentfuse.connections.redis_scripts import compiled
from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from agentfuse.connections.brisk_links import BriskBlockingLink, BriskLink
    from agentfuse.connections.redis_scripts import Script
    from agentfuse.messages import Reply
    from agentfuse.ports import Flights

# A lease lives this long, in seconds, and is renewed while its call is alive: so long do others
# wait for a process that was killed.
LIFE = 5.0
_SHARE = 3

# Between two looks at whether the answer is there: short at first, since a model may be quick.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.1

# As in one process: who has waited for two leaders in vain asks alone.
_LEADERS = 2

# Leases to end, each with its holder; None behind the last.
Ended = SimpleQueue[tuple[bytes, bytes] | None]


@cache
def script_of(name: str) -> Script:
    """Read ``lua/<name>.lua``."""
    return compiled((Path(__file__).parent / "lua" / f"{name}.lua").read_text("utf-8"))


class LeaseKeeper:
    """Renews and ends the leases of this process, from a thread that lives while any is held.

    So landing costs the caller no trip. A lease is renewed for as long as others would wait
    (``PATIENCE``), and no longer: a call that nobody lands does not hold them up for ever. A
    forked child holds nothing.
    """

    _thread: threading.Thread | None
    _held: dict[bytes, tuple[bytes, float]]
    _ended: Ended

    def __init__(self, link: BriskBlockingLink, life: float = LIFE) -> None:
        self._link = link
        self._life = life
        self._lock = threading.Lock()
        self._begin()

    @property
    def words(self) -> tuple[bytes, int]:
        """Name a new holder, and say how long it is to hold."""
        if self._process != os.getpid():
            self._begin()
        return b"%b-%x" % (self._secret, next(self._numbers)), round(1000 * self._life)

    def is_ours(self, holder: bytes) -> bool:
        """Say whether this process holds a lease, which must not wait for itself."""
        return holder.startswith(self._secret)

    def hold(self, lease: bytes, holder: bytes) -> None:
        """Keep a lease alive that was just taken."""
        with self._lock:
            self._held[lease] = (holder, time.monotonic() + PATIENCE)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._ended,), name="agentfuse-leases", daemon=True
                )
                self._thread.start()

    def end(self, lease: bytes) -> None:
        """End a lease, if it is held here, a moment from now."""
        if self._process != os.getpid():
            return
        with self._lock:
            held = self._held.pop(lease, None)
            if held is not None:
                self._ended.put((lease, held[0]))

    def close(self) -> None:
        """End all leases, and wait until the store was told and the thread is gone.

        So it does not use the connections after they were closed. Calls still in the air go on
        without a lease; the next ``hold`` starts another thread.
        """
        if self._process != os.getpid():
            return
        with self._lock:
            thread, self._thread = self._thread, None
            held, self._held = self._held, {}
            ended, self._ended = self._ended, SimpleQueue()  # the next thread's own
            for lease, (holder, _) in held.items():
                ended.put((lease, holder))
            ended.put(None)
        if thread is not None:
            thread.join()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._secret = os.urandom(6).hex().encode()
        self._numbers = count()
        self._held = {}
        self._ended = SimpleQueue()
        self._thread = None
        self._lock = threading.Lock()

    def _work(self, queue: Ended) -> None:
        due = time.monotonic() + self._life / _SHARE
        while True:
            try:
                ended = queue.get(timeout=max(0.0, due - time.monotonic()))
                if ended is None:
                    return
                self._extend(*ended, 0)
            except Empty:
                if not self._renew(queue):
                    return
                due = time.monotonic() + self._life / _SHARE

    def _renew(self, queue: Ended) -> bool:
        """Renew all that is held; False when nothing is, so that the thread may end."""
        now = time.monotonic()
        for lease, (holder, until) in list(self._held.items()):
            if now < until:
                self._extend(lease, holder, round(1000 * self._life))
            else:
                self._held.pop(lease, None)
        with self._lock:
            if not self._held and queue is self._ended and queue.empty():
                self._thread = None  # seen by whoever takes the next one: it starts another
                return False
            return True

    def _extend(self, lease: bytes, holder: bytes, life: int) -> None:
        try:
            self._link.run_now(script_of("extend"), (lease,), (holder, life))
        except StoreUnavailable:
            return  # it ends by itself; whoever waits asks for itself then


class LeasedFlights:
    """``inner``, which joins calls within the process, with a lease that joins processes.

    Whoever leads within its process asks for the lease too, and where another process has it waits
    for that one's answer in the shared cache. A leader that fails says so by ending its lease: its
    error is its own, and the next to ask leads. While the store is away every process asks for
    itself.
    """

    def __init__(self, inner: Flights, link: BriskLink, keeper: LeaseKeeper, prefix: bytes) -> None:
        self._inner = inner
        self._link = link
        self._keeper = keeper
        self._prefix = prefix
        self.join = inner.join
        self.wait = inner.wait

    async def lead(self, key: str) -> Reply | None:
        """Take the lead among processes, or give the answer of the one that has it.

        None says that there is none to be had: ask for yourself.
        """
        end = time.monotonic() + PATIENCE
        pause, leaders = _FIRST_PAUSE, set[bytes]()
        while True:
            try:
                said, *more = await self._take(key)
            except StoreUnavailable:
                return None
            if said == b"answer":
                return reply_in(more[0])
            if said == b"mine" or self._keeper.is_ours(more[0]):
                return None
            leaders.add(more[0])
            if len(leaders) > _LEADERS or time.monotonic() > end:
                return None
            await self._link.pause(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def land(self, key: str, reply: Reply | None) -> None:
        """End the caller's flight here, and its lease."""
        self._inner.land(key, reply)
        self._keeper.end(self._lease_of(key))

    async def _take(self, key: str) -> list[bytes]:
        holder, life = self._keeper.words
        lease = self._lease_of(key)
        answer = self._prefix + key.encode()
        said: list[bytes] = await self._link.run(script_of("take"), (answer, lease), (holder, life))
        if said[0] == b"mine":
            self._keeper.hold(lease, holder)
        return said

    def _lease_of(self, key: str) -> bytes:
        """Name a lease so that a cluster keeps it beside its answer."""
        return b"{%b%b}:lease" % (self._prefix, key.encode())
