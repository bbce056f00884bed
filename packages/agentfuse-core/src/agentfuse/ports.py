"""What the policy needs from the world, as Protocols: it never sees more than these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from agentfuse.messages import Delta, Reply
    from agentfuse.tickets import Balance, Event, Lease, Limit, Refusal, Settlement


class Clock(Protocol):
    """Time in seconds since the epoch, and waiting."""

    def now(self) -> float:
        """Give the time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; in the blocking wiring the thread waits and nothing is suspended."""
        ...


class Ledger(Protocol):
    """Where limits and leases live. Every amount is in nanodollars; every method is atomic."""

    async def reserve(self, lease: Lease) -> Lease | Refusal:
        """Hold ``lease.amount`` on all its limits at once, or on none and name the one that said no.

        A lease id that was reserved before is answered with its lease and holds nothing again.
        """
        ...

    async def settle(self, lease_id: str, actual: int) -> Settlement:
        """Book the true cost and drop the hold; repeated with the same id it changes nothing.

        After expiry the estimate that was booked is corrected to ``actual``.
        """
        ...

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; after a settle it changes nothing."""
        ...

    async def balance(self, key: str) -> Balance:
        """Read one account."""
        ...

    async def spend(self, limits: Sequence[Limit], amount: int) -> None:
        """Book a cost that has already happened (a tool's), even past a limit."""
        ...

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, oldest first."""
        ...


class Cache(Protocol):
    """Answers by exact key. A cache is a comfort: what it cannot read is a miss."""

    async def find(self, key: str) -> Reply | None:
        """Give the answer kept under ``key`` if it is still fresh."""
        ...

    async def keep(self, key: str, reply: Reply) -> None:
        """Keep an answer, in place of any older one."""
        ...

    async def drop(self, key: str) -> None:
        """Forget the answer kept under ``key``."""
        ...


class Flights(Protocol):
    """Identical calls in the air: the first leads, the others wait for its answer."""

    def join(self, key: str) -> Future[Reply | None] | None:
        """Give None if the caller now leads, or what to wait for."""
        ...

    async def wait(self, flight: Future[Reply | None]) -> Reply | None:
        """Wait for the leader's answer; None says it has none, so ask for yourself."""
        ...

    def land(self, key: str, reply: Reply | None) -> None:
        """End the caller's flight and hand its answer (or None) to all who wait."""
        ...


class Listener(Protocol):
    """Hears one frozen event per step; what it raises is counted and never reaches the call."""

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        ...


Result = TypeVar("Result")
Chunk = TypeVar("Chunk")


class Codec(Protocol[Result, Chunk]):
    """How an adapter speaks: its framework's answers and chunks on one side, ours on the other.

    ``reply_of(result_of(reply))`` equals ``reply``. The objects made for a hit are fresh each time.
    """

    def reply_of(self, result: Result) -> Reply:
        """Read a whole answer."""
        ...

    def result_of(self, reply: Reply) -> Result:
        """Make the framework's own answer of a reply that may come from another framework."""
        ...

    def delta_of(self, chunk: Chunk) -> Delta:
        """Read what a chunk adds to the billed output."""
        ...

    def joined(self, chunks: Sequence[Chunk]) -> Reply:
        """Read the chunks seen so far; no finish_reason says that the stream was cut."""
        ...

    def chunks_of(self, reply: Reply) -> Iterator[Chunk]:
        """Replay a reply as the chunks of a true stream."""
        ...
