"""The steps of a ledger, as the contract's tests write them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

from agentfuse.testing.clock import FrozenClock
from agentfuse.testing.ways import Blocking
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Settlement, Stop

if TYPE_CHECKING:
    from agentfuse.ports import Clock, Ledger

RUN = Limit("run", "r1", 100)
USER = Limit("user", "u1", 250)


class MovingClock(Protocol):
    """A clock that a test can move."""

    def now(self) -> float:
        """Give the time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...


class LedgerSteps(Blocking):
    """A ledger, its clock, and short words for its steps; see ``LedgerContract``."""

    moment: float = 60.0
    goes_back: bool = True
    examples: int = 60

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger that reads ``clock``."""
        raise NotImplementedError

    def clock(self) -> MovingClock:
        """Give the clock the ledger is to read."""
        return FrozenClock()

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self) -> None:
        self.time = self.clock()
        self.books = self.ledger(self.time)

    def lease(self, name: str, amount: int, *limits: Limit, estimate: int | None = None) -> Lease:
        """Write a lease of nanodollars that lasts one ``moment``; on RUN alone unless named."""
        return Lease(
            id=name,
            amount=Amounts(amount),
            estimate=Amounts(amount if estimate is None else estimate),
            limits=limits or (RUN,),
            ttl=self.moment,
        )

    def account(self, limit: Limit = RUN) -> Balance:
        """Read the account of a limit."""
        return self.run(self.books.balances([limit.key]))[0]

    def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Reserve, and see that a lease comes back as it was but for its deadline."""
        answer = self.run(self.books.reserve(lease))
        if isinstance(answer, Lease):
            assert replace(answer, deadline=0.0) == lease
            assert answer.deadline > 0
        return answer

    def refused(self, lease: Lease) -> Refusal:
        """Reserve what must not fit."""
        answer = self.reserve(lease)
        assert isinstance(answer, Refusal), answer
        return answer

    def settle(self, name: str, nanodollars: int) -> Settlement:
        """Settle a cost in money; what the accounts say is asked apart."""
        return replace(self.run(self.books.settle(name, Amounts(nanodollars))), spent=())
