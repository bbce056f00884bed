"""Random histories of a ledger, played against a model of plain dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]  # untyped there
)

from agentfuse.tickets import NOTHING_USED, Amounts, Balance, Lease, Limit, Refusal, Settlement

if TYPE_CHECKING:
    from agentfuse.testing.ledger_contract import LedgerContract

LIMITS = (
    Limit("run", "r1", 100),
    Limit("team", "t1", 60),
    Limit("user", "u1", 150),
    Limit("user", "u1", 9, unit="requests"),
)

names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
amounts = st.integers(0, 60)
on = st.lists(st.sampled_from(LIMITS), min_size=1, max_size=3, unique=True).map(tuple)
# Deadlines lie half a moment off the steps of the clock, so that none falls on the very instant.
lives = st.integers(0, 3)


@dataclass(slots=True)
class _Known:
    """What the model knows of one lease; ``state`` is open, expired, released or settled."""

    lease: Lease
    state: str = "open"
    booked: Amounts = NOTHING_USED


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, settle, release, spend and move the clock, in any order and as often as you like."""

    contract: ClassVar[LedgerContract]

    def __init__(self) -> None:
        super().__init__()
        self.run = self.contract.run
        self.time = self.contract.clock()
        self.books = self.contract.ledger(self.time)
        self.leases: dict[str, _Known] = {}
        self.tools = dict.fromkeys(LIMITS, 0)
        self.explained = dict.fromkeys(LIMITS, 0)

    @rule(name=names, amount=amounts, share=st.integers(0, 60), limits=on, life=lives)
    def reserve(
        self, name: str, amount: int, share: int, limits: tuple[Limit, ...], life: int
    ) -> None:
        """Reserve a new lease, or one that the ledger has met before."""
        ttl = (life + 0.5) * self.contract.moment
        lease = Lease(
            id=name,
            amount=Amounts(amount, requests=1),
            estimate=Amounts(min(share, amount), requests=1),
            limits=limits,
            ttl=ttl,
        )
        answer = self.run(self.books.reserve(lease))
        self._expire()
        if name in self.leases:
            assert answer == self.leases[name].lease
        elif (refusal := self._refusal_of(lease)) is not None:
            assert answer == refusal
        else:
            assert isinstance(answer, Lease)
            assert replace(answer, deadline=0.0) == lease
            self.leases[name] = _Known(answer)

    @rule(name=names, actual=st.integers(0, 90))
    def settle(self, name: str, actual: int) -> None:
        """Settle: for the first time, again, late, after a release, or what nobody reserved."""
        answer = self.run(self.books.settle(name, Amounts(actual, requests=1)))
        known = self.leases.get(name)
        if known is None:
            assert answer == Settlement(booked=NOTHING_USED, repeated=True)
            return
        repeated = known.state == "settled"
        if not repeated:
            self._explain(known, Amounts(actual, requests=1))
            known.state, known.booked = "settled", Amounts(actual, requests=1)
        overrun = max(0, known.booked.nanodollars - known.lease.amount.nanodollars)
        told = Settlement(booked=known.booked, overrun=overrun, repeated=repeated)
        assert replace(answer, spent=()) == told

    @rule(name=names, life=lives)
    def renew(self, name: str, life: int) -> None:
        """Renew: what is open, and what is not."""
        ttl = (life + 0.5) * self.contract.moment
        now = self.time.now()
        renewed = self.run(self.books.renew(name, ttl))
        self._expire()
        known = self.leases.get(name)
        assert renewed == (known is not None and known.state == "open")
        if known is not None and renewed:
            known.lease = replace(known.lease, ttl=ttl, deadline=now + ttl)

    @rule(name=names)
    def release(self, name: str) -> None:
        """Release: for the first time, again, late, or after a settlement."""
        self.run(self.books.release(name))
        known = self.leases.get(name)
        if known is not None and known.state != "settled":
            known.state, known.booked = "released", NOTHING_USED

    @rule(limits=on, amount=st.integers(0, 20))
    def spend(self, limits: tuple[Limit, ...], amount: int) -> None:
        """Book a tool's cost."""
        self.run(self.books.spend(limits, Amounts(amount)))
        for limit in limits:
            self.tools[limit] += Amounts(amount).of(limit.unit)
            self.explained[limit] += Amounts(amount).of(limit.unit)

    @rule(moments=st.integers(-2, 4))
    def move_the_clock(self, moments: int) -> None:
        """Let time pass, or set the clock back."""
        if moments > 0 or self.contract.goes_back:
            self.time.advance(moments * self.contract.moment)

    @invariant()
    def the_books_are_right(self) -> None:
        """Each account is what the model says, and above its limit by no more than can be told."""
        for limit in LIMITS:
            balance = self.run(self.books.balances([limit.key]))[0]
            self._expire()
            assert balance == self._balance_of(limit)
            used = balance.spent + balance.held
            assert used <= limit.amount + self.explained[limit]

    @invariant()
    def what_is_held_is_listed(self) -> None:
        """Open leases are listed, oldest first, and no others."""
        listed = self.run(self.books.open_leases())
        self._expire()
        held = (known.lease for known in self.leases.values() if known.state == "open")
        assert listed == tuple(held)

    def _expire(self) -> None:
        now = self.time.now()
        for known in self.leases.values():
            if known.state == "open" and known.lease.deadline <= now:
                known.state, known.booked = "expired", known.lease.estimate

    def _explain(self, known: _Known, actual: Amounts) -> None:
        reserved = known.lease.amount if known.state == "open" else known.booked
        for limit in known.lease.limits:
            self.explained[limit] += max(0, actual.of(limit.unit) - reserved.of(limit.unit))

    def _balance_of(self, limit: Limit) -> Balance:
        mine = [known for known in self.leases.values() if limit in known.lease.limits]
        return Balance(
            spent=self.tools[limit] + sum(known.booked.of(limit.unit) for known in mine),
            held=sum(known.lease.amount.of(limit.unit) for known in mine if known.state == "open"),
        )

    def _refusal_of(self, lease: Lease) -> Refusal | None:
        for limit in lease.limits:
            balance = self._balance_of(limit)
            used = balance.spent + balance.held
            needed = lease.amount.of(limit.unit)
            if used + needed > limit.amount:
                return Refusal(limit=limit, needed=needed, left=max(0, limit.amount - used))
        return None


def check_histories(contract: LedgerContract, *, examples: int) -> None:
    """Play ``examples`` random histories on the contract's ledgers."""
    machine = cast(
        "type[LedgerMachine]", type("LedgerMachine", (LedgerMachine,), {"contract": contract})
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
