"""What the policy needs from the world, as Protocols: it never sees more than these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agentfuse.semantic_ports import Embedder, Index, Semantics, SemanticStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from agentfuse.errors import BudgetExceeded
    from agentfuse.messages import Delta, Reply
    from agentfuse.semantics import Selection
    from agentfuse.tickets import (
        Amounts,
        Balance,
        Entry,
        Event,
        Lease,
        Limit,
        Refusal,
        Settlement,
        Stop,
    )

__all__ = [
    "Cache",
    "Clock",
    "Codec",
    "Embedder",
    "Flights",
    "Health",
    "Index",
    "Ledger",
    "Listener",
    "Memo",
    "Run",
    "SemanticStore",
    "Semantics",
    "Teller",
]


class Clock(Protocol):
    """Time in seconds since the epoch, and waiting."""

    def now(self) -> float:
        """Give the time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; in the blocking wiring the thread waits and nothing is suspended."""
        ...


class Ledger(Protocol):
    """Where limits and leases live. Every method is atomic, and every amount a whole number.

    Time is the ledger's own, so that machines with wrong clocks agree.
    """

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold ``lease.amount`` on all its limits at once, or on none: then say who said no.

        Each limit counts in its own unit. A lease id that was reserved before is answered with its
        lease and holds nothing again. A kill switch under one of its marks comes before all limits.
        """
        ...

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book the true cost and drop the hold; repeated with the same id it changes nothing.

        After expiry the estimate that was booked is corrected to ``actual``.
        """
        ...

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; after a settle it changes nothing."""
        ...

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Let an open lease last ``ttl`` seconds from now; False where it is open no more."""
        ...

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts by their limits' keys; one that nobody used is empty."""
        ...

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book a cost that has already happened (a tool's), even past a limit."""
        ...

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, oldest first."""
        ...

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch: refuse every lease that carries ``mark`` until it is resumed."""
        ...

    async def resume(self, mark: str) -> None:
        """Put a kill switch back; one that was not pulled stays as it is."""
        ...

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled, by name."""
        ...

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name, for ever: an alert is told once."""
        ...

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late, oldest first."""
        ...


class Cache(Protocol):
    """Answers by exact key. A cache is a comfort: what it cannot read is a miss."""

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is still fresh."""
        ...

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Keep an answer, in place of any older one, with names under which it can be forgotten."""
        ...

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        ...

    async def invalidate(self, selection: Selection) -> int:
        """Forget the answers that fit, and count them."""
        ...


class Flights(Protocol):
    """Identical calls in the air: the first leads, the others wait for its answer."""

    def join(self, key: str) -> Future[Reply | None] | None:
        """Give None if the caller now leads, or what to wait for."""
        ...

    async def wait(self, flight: Future[Reply | None]) -> Reply | None:
        """Wait for the leader's answer; None says it has none, so ask for yourself."""
        ...

    async def lead(self, key: str) -> Reply | None:
        """Lead among processes too, or give another's answer; None says that there is none.

        For who leads here already, and has not found the answer.
        """
        ...

    def land(self, key: str, reply: Reply | None) -> None:
        """End the caller's flight and hand its answer (or None) to all who wait."""
        ...


Place = tuple[str, str, str]
"""What can be ill by itself: a provider, its address (empty for its own), and a model there."""


class Health(Protocol):
    """How the models are doing, over all calls that share it."""

    def wait_for(self, place: Place) -> float:
        """Say in how many seconds a model may be asked; 0 is now, and may be the one trial."""
        ...

    def succeeded(self, place: Place) -> None:
        """Note an answer."""
        ...

    def failed(self, place: Place) -> float:
        """Note a failure; for how many seconds the model is left alone from now on, or 0."""
        ...

    def called(self) -> None:
        """Note a call, of which a share may be tried again."""
        ...

    def may_retry(self) -> bool:
        """Take one retry of those that all calls may make together."""
        ...


class Teller(Protocol):
    """Hands an event to every listener; never raises."""

    def __call__(self, event: Event) -> None:
        """Tell an event."""
        ...


class Run(Protocol):
    """The run a call belongs to: its limits now, and what a stop has to carry."""

    def limits(self, model: str, now: float) -> tuple[Limit, ...]:
        """Give all limits of a call made here and now: its parents', its scope's, its own."""
        ...

    def marks(self, model: str) -> tuple[str, ...]:
        """Give the names under which such a call can be stopped."""
        ...

    def whose(self) -> tuple[str, ...]:
        """Name whose calls belong together: the runs' and the scope's ids."""
        ...

    def completed(self, stop: BudgetExceeded) -> BudgetExceeded:
        """Give a stop what the run has done so far: its receipt and its results."""
        ...


class Memo(Protocol):
    """What this process remembers of conversations and agents: so many entries, then the oldest go.

    Safe for threads. A key and its value are the caller's own business.
    """

    def find(self, key: object) -> Any:
        """Give a value, or None."""
        ...

    def keep(self, key: object, value: object) -> None:
        """Keep a value, in place of any older one."""
        ...

    def change(self, key: object, make: Callable[[Any], Any]) -> Any:
        """Put what ``make`` makes of the value (or None) in its place, at once, and give it."""
        ...


class Listener(Protocol):
    """Hears one frozen event per step; what it raises is counted and never reaches the call."""

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        ...


Result_contra = TypeVar("Result_contra", contravariant=True)
Chunk_contra = TypeVar("Chunk_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)
Shown_co = TypeVar("Shown_co", covariant=True)


class Codec(Protocol[Result_contra, Chunk_contra, Answer_co, Shown_co]):
    """How an adapter speaks: what the provider sends on one side, our words in the middle.

    Results and chunks come off the wire; answers, and chunks as they are shown, are what the caller
    gets, often of the same types. ``reply_of`` undoes ``result_of``. What is made for a hit is
    fresh each time. An instance serves one call. One that tells its caller where an answer came
    from has a method ``answered``, which is given the ``Answered`` before the reply is read.
    """

    def reply_of(self, result: Result_contra) -> Reply:
        """Read a whole answer."""
        ...

    def answer_of(self, result: Result_contra) -> Answer_co:
        """Give the caller what just came off the wire."""
        ...

    def result_of(self, reply: Reply) -> Answer_co:
        """Make the caller's own type of a reply that may come from another framework."""
        ...

    def delta_of(self, chunk: Chunk_contra) -> Delta:
        """Read what a chunk adds to the billed output."""
        ...

    def shown(self, chunk: Chunk_contra) -> Sequence[Shown_co]:
        """Give the caller what a live chunk says; nothing where it is for our own books."""
        ...

    def joined(self, chunks: Sequence[Chunk_contra]) -> Reply:
        """Read the chunks seen so far; no finish_reason says that the stream was cut."""
        ...

    def chunks_of(self, reply: Reply) -> Iterator[Shown_co]:
        """Replay a reply as the chunks of a true stream."""
        ...
