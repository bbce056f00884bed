"""Slices of a Redis ledger's limits, which a process spends without asking."""

from __future__ import annotations

import atexit
import logging
import os
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, TypeVar

from agentfuse.connections.redis_urls import place_of
from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.redis import OPTIONS, RedisLedger
from agentfuse.ledgers.rules import check
from agentfuse.ledgers.slice_book import LedgerTime, SliceBook
from agentfuse.ledgers.slice_rounds import SliceRounds
from agentfuse.money import budget_of
from agentfuse.tickets import Refusal

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from typing import Any, Self

    from agentfuse.ledgers.redis import RedisFace
    from agentfuse.money import Dollars
    from agentfuse.ports import Clock
    from agentfuse.tickets import Amounts, Balance, Entry, Lease, Limit, Settlement, Stop

T = TypeVar("T")

_log = logging.getLogger("agentfuse")

# Where two amounts of one limit are asked for in turn, neither may ever get its slice: after so
# many tries a call asks the ledger itself.
_TRIES = 16

# Between two looks at whether other processes have given something back.
_PAUSE = 0.05


class _Monotonic:
    """Time that passes here, whatever becomes of the machine's clock."""

    def now(self) -> float:
        """Give the time in seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - it is to hold the thread


class Share:
    """What this process has of a ledger: its calls, and the thread that speaks for them.

    A forked child begins anew, and leaves the slices to its parent.
    """

    def __init__(self, ledger: RedisLedger, processes: int, largest: int, clock: Clock) -> None:
        self._ledger = ledger
        self._processes = processes
        self._largest = largest
        self._clock = clock
        self._begin()

    def book(self) -> SliceBook:
        """Give the calls of this very process."""
        if self._process != os.getpid():
            self._begin()
        return self._book

    def ask(self, needs: Mapping[Limit, int]) -> Future[None]:
        """Ask the ledger for slices, or without needs for its word."""
        return self._rounds.ask(needs)

    def ask_ahead(self, limits: Iterable[Limit]) -> None:
        """Ask for the next slices, and wait for nothing."""
        self._rounds.ask_ahead(limits)

    def close(self) -> None:
        """Give back what calls do not hold."""
        if self._process == os.getpid():
            self._rounds.close()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._book = SliceBook(LedgerTime(self._clock))
        self._rounds = SliceRounds(
            self._ledger, self._book, processes=self._processes, largest=self._largest
        )


class SlicedFace:
    """A Redis ledger's methods over slices, for one kind of caller."""

    def __init__(self, share: Share) -> None:
        self._share = share

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold ``lease.amount`` on this process's slices; ask for others where they are too small.

        Rates, and two limits on one account, are the ledger's to decide, call by call. Raises
        ConfigurationError for a negative amount or estimate, or one above 2**53.
        """
        book = self._share.book()
        if not _is_sliceable(lease.limits):
            return await self._past(book, self._store.reserve(lease))
        if not book.time.is_fresh():
            check(lease.amount)
            await self._round(book.lacking(lease))
        answer = await book.reserve(lease)
        if isinstance(answer, Refusal):
            return await self._negotiated(book, lease)
        if book.is_low:
            self._share.ask_ahead(book.take_low())
        return answer

    async def _negotiated(self, book: SliceBook, lease: Lease) -> Lease | Refusal | Stop:
        """Ask for slices until the lease fits, or the ledger's word is that it does not."""
        tries = 0
        while tries < _TRIES:
            await self._round(book.lacking(lease))
            answer = await book.reserve(lease)
            if not isinstance(answer, Refusal):
                return answer
            refusal, waits = book.verdict(answer, lease)
            if refusal is not None:
                return refusal
            if waits:
                await self._pause(_PAUSE)
            else:
                tries += 1
        return await self._past(book, self._store.reserve(lease))

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book ``actual`` on the slices the lease was held on; above them, in the ledger at once.

        ``spent`` is the ledger's last word, at most a second old, and what happened here since.
        Raises ConfigurationError for a negative amount.
        """
        book = self._share.book()
        if not book.knows(lease_id):
            return await self._past(book, self._store.settle(lease_id, actual))
        settlement = await book.settle(lease_id, actual)
        await self._report(book)
        return settlement

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        book = self._share.book()
        if book.knows(lease_id):
            await book.release(lease_id)
            await self._report(book)
        else:
            await self._past(book, self._store.release(lease_id))

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Let an open lease last ``ttl`` seconds from now."""
        book = self._share.book()
        return await (book if book.knows(lease_id) else self._store).renew(lease_id, ttl)

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts; what other processes' slices hold, used or not, counts as held."""
        book = self._share.book()
        seen = book.seen_balances(keys)
        if seen is None and book.pieces:
            await self._round({})
            seen = book.seen_balances(keys)
        if seen is None:
            told = await self._store.balances(keys)
            seen = tuple(map(book.corrected, keys, told))
        return seen

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book ``amount`` on each limit's account, even past the limit: in the ledger, at once.

        Raises ConfigurationError for a negative amount.
        """
        await self._store.spend(limits, amount, note)
        await self._round({})

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now: the ledger's leases, other processes' slices, and calls here."""
        book = self._share.book()
        await self._round({})
        own = {each for _, piece in book.held_pieces() for each in piece.ids}
        told = await self._store.open_leases()
        return (*(lease for lease in told if lease.id not in own), *await book.open_leases())

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch: at once here, within a second in other processes."""
        await self._store.stop(mark, reason)
        await self._round({})

    async def resume(self, mark: str) -> None:
        """Put a kill switch back: at once here, within a second in other processes."""
        await self._store.resume(mark)
        await self._round({})

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        return await self._store.stops()

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name."""
        return await self._store.claim(name)

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late, oldest first: to slices, and to calls that had none."""
        return await self._store.trail(last)

    async def _past(self, book: SliceBook, step: Coroutine[Any, Any, T]) -> T:
        """Take a step in the ledger that no slice knows of."""
        try:
            return await step
        finally:
            book.is_dated = True

    async def _round(self, needs: Mapping[Limit, int]) -> None:
        self._share.book()  # a forked child must not ask through its parent's thread
        await self._end_of(self._share.ask(needs))

    async def _report(self, book: SliceBook) -> None:
        """Tell the ledger of what no slice covers; one that is away hears of it when it is back."""
        if not book.is_urgent:
            return
        try:
            await self._round(book.take_urgent())
        except StoreUnavailable as error:
            _log.warning("what was spent beyond a slice is reported later: %s", error)

    @property
    @abstractmethod
    def _store(self) -> RedisFace:
        """The ledger that the slices are of, for the same kind of caller."""

    @abstractmethod
    async def _end_of(self, answer: Future[None]) -> None:
        """Wait for an answer, and raise what it raises."""

    @abstractmethod
    async def _pause(self, seconds: float) -> None:
        """Wait."""


class SlicedLedger(SlicedFace):
    """A RedisLedger of whose limits this process takes slices, so that most calls ask nobody.

    A slice is ``min(slice, remaining / 2 / processes)`` of a limit (of one in tokens or requests, a
    hundredth of it at most) and never less than the calls at hand need; ``processes`` is how many
    share the limits, or ``"auto"``: those heard of within five seconds. What is exact, and what is
    not:

    - Together, processes never spend more than a limit: a slice is a lease in the ledger.
    - A call is refused where the ledger would refuse it. Where only other processes' unused slices
      stand in the way, those are given back within half a second, and the refusal waits for that
      (1.2 seconds at most, once in a while). Near a limit calls are exact, one trip each.
    - A process that dies, or is silent for ten seconds, has its slices booked as spent. One that
      comes back corrects that; what a dead one had not used is lost to the limit: a slice of each.
    - A call's hold that expires is booked at its estimate, and a late settlement corrects it, as in
      every ledger; but only the process that reserved a lease knows it.
    - Kill switches, and what other processes spend, are seen within a second.
    - The trail tells of slices, not of calls.

    What is not used is given back after two seconds of quiet, and by ``close``, which the end of
    the process calls. ``awaited()`` gives the face for event loops.
    """

    def __init__(
        self,
        ledger: RedisLedger,
        *,
        processes: int | Literal["auto"] = "auto",
        slice: Dollars = "$1",  # noqa: A002 - the word of the trade, and by keyword only
        clock: Clock | None = None,
    ) -> None:
        if processes != "auto" and processes < 1:
            raise ConfigurationError(f"limits are shared by one process or more, not {processes}")
        self._ledger = ledger
        self._awaited: AwaitedSlicedLedger | None = None
        known = 0 if processes == "auto" else processes
        super().__init__(Share(ledger, known, budget_of(slice), clock or _Monotonic()))
        atexit.register(self.close)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the ledger that a URL names; behind ``?`` may stand ``processes`` and ``slice``."""
        options = place_of(url, OPTIONS).options
        processes = options.get("processes", "auto")
        if processes != "auto" and not processes.isdecimal():
            raise ConfigurationError(f"processes is a number or auto, not {processes!r}")
        return cls(
            RedisLedger.from_url(url),
            processes="auto" if processes == "auto" else int(processes),
            slice=options.get("slice", "$1"),
        )

    def awaited(self) -> AwaitedSlicedLedger:
        """Give the same slices for event loops."""
        if self._awaited is None:
            self._awaited = AwaitedSlicedLedger(self._share, self._ledger)
        return self._awaited

    def close(self) -> None:
        """Give back what is not held, and close the ledger; the next use opens it again."""
        self._share.close()
        self._ledger.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _store(self) -> RedisFace:
        return self._ledger

    async def _end_of(self, answer: Future[None]) -> None:
        answer.result()

    async def _pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - it is to hold the thread


class AwaitedSlicedLedger(SlicedFace):
    """The face of a SlicedLedger for event loops."""

    def __init__(self, share: Share, ledger: RedisLedger) -> None:
        super().__init__(share)
        self._ledger = ledger

    @property
    def _store(self) -> RedisFace:
        return self._ledger.awaited()

    async def _end_of(self, answer: Future[None]) -> None:
        import asyncio

        await asyncio.wrap_future(answer)

    async def _pause(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


def _is_sliceable(limits: Sequence[Limit]) -> bool:
    """Say whether slices can decide: a rate cannot be cut, nor one account for two limits."""
    for limit in limits:
        if limit.pace:
            return False
    if len(limits) == 1:
        return True
    return len({(each.scope, each.id, each.unit, each.window) for each in limits}) == len(limits)
