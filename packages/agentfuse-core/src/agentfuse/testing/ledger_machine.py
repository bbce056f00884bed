"""Random histories of a ledger, played against a model of plain dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]  # untyped there
)

from agentfuse.tickets import Balance, Lease, Limit, Refusal, Settlement

if TYPE_CHECKING:
    from agentfuse.testing.ledger_contract import LedgerContract

LIMITS = (Limit("run", "r1", 100), Limit("team", "t1", 60), Limit("user", "u1", 150))

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
    booked: int = 0


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
        deadline = self.time.now() + (life + 0.5) * self.contract.moment
        lease = Lease(
            id=name, amount=amount, estimate=min(share, amount), limits=limits, deadline=deadline
        )
        answer = self.run(self.books.reserve(lease))
        self._expire()
        if name in self.leases:
            assert answer == self.leases[name].lease
        elif (refusal := self._refusal_of(lease)) is not None:
            assert answer == refusal
        else:
            assert answer == lease
            self.leases[name] = _Known(lease)

    @rule(name=names, actual=st.integers(0, 90))
    def settle(self, name: str, actual: int) -> None:
        """Settle: for the first time, again, late, after a release, or what nobody reserved."""
        answer = self.run(self.books.settle(name, actual))
        known = self.leases.get(name)
        if known is None:
            assert answer == Settlement(booked=0, repeated=True)
            return
        repeated = known.state == "settled"
        if not repeated:
            self._explain(known, actual)
            known.state, known.booked = "settled", actual
        overrun = max(0, known.booked - known.lease.amount)
        assert answer == Settlement(booked=known.booked, overrun=overrun, repeated=repeated)

    @rule(name=names)
    def release(self, name: str) -> None:
        """Release: for the first time, again, late, or after a settlement."""
        self.run(self.books.release(name))
        known = self.leases.get(name)
        if known is not None and known.state != "settled":
            known.state, known.booked = "released", 0

    @rule(limits=on, amount=st.integers(0, 20))
    def spend(self, limits: tuple[Limit, ...], amount: int) -> None:
        """Book a tool's cost."""
        self.run(self.books.spend(limits, amount))
        for limit in limits:
            self.tools[limit] += amount
            self.explained[limit] += amount

    @rule(moments=st.integers(-2, 4))
    def move_the_clock(self, moments: int) -> None:
        """Let time pass, or set the clock back."""
        if moments > 0 or self.contract.goes_back:
            self.time.advance(moments * self.contract.moment)

    @invariant()
    def the_books_are_right(self) -> None:
        """Each account is what the model says, and above its limit by no more than can be told."""
        for limit in LIMITS:
            balance = self.run(self.books.balance(limit.key))
            self._expire()
            assert balance == self._balance_of(limit)
            used = balance.spent + balance.held
            assert used <= limit.nanodollars + self.explained[limit]

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

    def _explain(self, known: _Known, actual: int) -> None:
        reserved = known.lease.amount if known.state == "open" else known.booked
        for limit in known.lease.limits:
            self.explained[limit] += max(0, actual - reserved)

    def _balance_of(self, limit: Limit) -> Balance:
        mine = [known for known in self.leases.values() if limit in known.lease.limits]
        return Balance(
            spent=self.tools[limit] + sum(known.booked for known in mine),
            held=sum(known.lease.amount for known in mine if known.state == "open"),
        )

    def _refusal_of(self, lease: Lease) -> Refusal | None:
        for limit in lease.limits:
            balance = self._balance_of(limit)
            used = balance.spent + balance.held
            if used + lease.amount > limit.nanodollars:
                left = max(0, limit.nanodollars - used)
                return Refusal(limit=limit, needed=lease.amount, left=left)
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
