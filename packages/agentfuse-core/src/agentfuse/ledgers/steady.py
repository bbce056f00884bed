"""A ledger that owes nothing: what a store could not take down is kept, and written when it can."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import StoreUnavailable
from agentfuse.tickets import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from agentfuse.ports import Ledger
    from agentfuse.tickets import Amounts, Balance, Entry, Lease, Limit, Refusal, Stop

    Debt = Callable[[Ledger], Coroutine[Any, Any, object]]


class Debts:
    """What is still to be written, in its order; for all faces of one ledger, and all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: deque[Debt] = deque()

    def __bool__(self) -> bool:
        return bool(self._open)

    def __len__(self) -> int:
        return len(self._open)

    def owe(self, debt: Debt) -> None:
        """Keep a debt."""
        with self._lock:
            self._open.append(debt)

    def owe_first(self, debt: Debt) -> None:
        """Put a debt back that could not be paid."""
        with self._lock:
            self._open.appendleft(debt)

    def take(self) -> Debt | None:
        """Take the oldest debt."""
        with self._lock:
            return self._open.popleft() if self._open else None


class SteadyLedger:
    """``inner``, whose settlements, releases and spends survive an outage of the store.

    They are kept in this process and written before its next reservation; ``owed`` tells how many
    wait. Settlements and releases are idempotent; a ``spend`` that the store took down without
    being able to say so may be written twice, on the safe side. A process that ends meanwhile
    leaves its leases to expire: they are booked at their estimates.
    """

    def __init__(self, inner: Ledger, debts: Debts | None = None) -> None:
        self.inner = inner
        self._debts = Debts() if debts is None else debts

    @property
    def owed(self) -> int:
        """How many writes wait for the store."""
        return len(self._debts)

    def awaited(self) -> SteadyLedger:
        """Give the face for event loops, with the same debts."""
        face: Any = self.inner
        make = getattr(face, "awaited", None)
        return SteadyLedger(make() if make is not None else self.inner, self._debts)

    def close(self) -> None:
        """Close the store's connections; the next use opens them again."""
        close = getattr(self.inner, "close", None)
        if close is not None:
            close()

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Write what is owed, then reserve."""
        await self._catch_up()
        return await self.inner.reserve(lease)

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Settle, now or later: the answer that was paid for is never lost to a store."""
        try:
            await self._catch_up()
            return await self.inner.settle(lease_id, actual)
        except StoreUnavailable:
            self._debts.owe(lambda ledger: ledger.settle(lease_id, actual))
            return Settlement(booked=actual)

    async def release(self, lease_id: str) -> None:
        """Release, now or later."""
        try:
            await self._catch_up()
            await self.inner.release(lease_id)
        except StoreUnavailable:
            self._debts.owe(lambda ledger: ledger.release(lease_id))

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book a cost, now or later."""
        try:
            await self._catch_up()
            await self.inner.spend(limits, amount, note)
        except StoreUnavailable:
            self._debts.owe(lambda ledger: ledger.spend(limits, amount, note))

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Renew an open lease."""
        return await self.inner.renew(lease_id, ttl)

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts."""
        await self._catch_up()
        return await self.inner.balances(keys)

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now."""
        await self._catch_up()
        return await self.inner.open_leases()

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch."""
        await self.inner.stop(mark, reason)

    async def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        await self.inner.resume(mark)

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        return await self.inner.stops()

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name."""
        return await self.inner.claim(name)

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late."""
        await self._catch_up()
        return await self.inner.trail(last)

    async def _catch_up(self) -> None:
        """Write what is owed, oldest first; raises StoreUnavailable while the store is out."""
        while self._debts:
            debt = self._debts.take()
            if debt is None:
                return
            try:
                await debt(self.inner)
            except StoreUnavailable:
                self._debts.owe_first(debt)
                raise
