"""The port's methods over a store: what is asked is checked, and becomes one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.ledgers.lease_texts import check_lease, check_names
from agentfuse.ledgers.rules import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.tickets import (
        Amounts,
        Balance,
        Entry,
        Lease,
        Limit,
        Refusal,
        Settlement,
        Stop,
    )


class Face:
    """One face of a ledger that stands in a store, blocking or awaited: ``_ask`` makes the choice.

    Every method raises ConfigurationError for an amount or a name that no store keeps, and
    StoreUnavailable where the store cannot be reached, read or written.
    """

    async def _ask(self, command: str, *arguments: Any) -> Any:
        """Have the store do a command, named as the method it is for."""
        raise NotImplementedError

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold ``lease.amount`` on each account, or name the first limit that said no."""
        check(lease.amount)
        check(lease.estimate)
        check_lease(lease)
        answer: Lease | Refusal | Stop = await self._ask("reserve", lease)
        return answer

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book ``actual`` as the lease's whole cost; a repeat is told what was booked first.

        An id this ledger does not know (never reserved, or forgotten after a day) has no accounts
        to book on: nothing is ``booked``, and ``repeated`` is True.
        """
        check(actual)
        check_names(lease_id)
        settlement: Settlement = await self._ask("settle", lease_id, actual)
        return settlement

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        check_names(lease_id)
        await self._ask("release", lease_id)

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Let an open lease last ``ttl`` seconds from now."""
        check_names(lease_id)
        renewed: bool = await self._ask("renew", lease_id, ttl)
        return renewed

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts; one that nobody used holds nothing."""
        check_names(*keys)
        balances: tuple[Balance, ...] = await self._ask("balances", tuple(keys))
        return balances

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book ``amount`` on each limit's account, even past the limit.

        Where a store is lost before it has answered, StoreUnavailable leaves open whether it was
        booked: a cost has no id by which a second try would be known.
        """
        check(amount)
        check_names(note, *(limit.key for limit in limits))
        await self._ask("spend", tuple(limits), amount, note)

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, by every process, oldest first."""
        leases: tuple[Lease, ...] = await self._ask("open_leases")
        return leases

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch for every process."""
        check_names(mark, reason)
        await self._ask("stop", mark, reason)

    async def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        check_names(mark)
        await self._ask("resume", mark)

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled, by name."""
        stops: tuple[Stop, ...] = await self._ask("stops")
        return stops

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name, in any process."""
        check_names(name)
        first: bool = await self._ask("claim", name)
        return first

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late, oldest first."""
        entries: tuple[Entry, ...] = await self._ask("trail", last)
        return entries
