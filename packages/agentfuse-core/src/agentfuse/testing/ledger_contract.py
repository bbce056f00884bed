"""What every ledger must keep: subclass ``LedgerContract`` and give it a ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Protocol

import pytest

from agentfuse.errors import ConfigurationError
from agentfuse.testing.clock import FrozenClock
from agentfuse.testing.ways import Blocking
from agentfuse.tickets import (
    NOTHING_USED,
    Amounts,
    Balance,
    Lease,
    Limit,
    Refusal,
    Settlement,
    Stop,
)

if TYPE_CHECKING:
    from agentfuse.ports import Clock, Ledger

RUN = Limit("run", "r1", 100)
USER = Limit("user", "u1", 250)
THREADS = 8


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


class LedgerContract(Blocking):
    """The promises of ``agentfuse.ports.Ledger``, as tests.

    Give ``ledger(clock)``, a new and empty one for each call. For a store that keeps its own time,
    give ``clock()`` too: one whose ``advance`` lets that time pass; and set ``moment``, the seconds
    that a test's lease lasts. ``goes_back`` says whether that clock can be set back.
    """

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

    def test_an_unused_account_is_empty(self) -> None:
        """Nothing was spent where nothing was asked."""
        assert self.account() == Balance(spent=0, held=0)

    def test_a_lease_holds_its_amount_on_every_limit(self) -> None:
        """A call inside a run of a user is held on both."""
        lease = self.reserve(self.lease("a", 40, RUN, USER))
        assert self.account(RUN) == self.account(USER) == Balance(held=40)
        assert self.run(self.books.open_leases()) == (lease,)

    def test_a_reservation_fits_to_the_last_nanodollar(self) -> None:
        """The limit itself may be reached, and not one more."""
        assert isinstance(self.reserve(self.lease("a", 100)), Lease)
        refusal = self.reserve(self.lease("b", 1))
        assert refusal == Refusal(limit=RUN, needed=1, left=0)

    def test_a_refusal_names_the_first_limit_and_holds_nothing_on_any(self) -> None:
        """All or nothing: a parent is not charged for what its child refused."""
        self.reserve(self.lease("a", 70, RUN, USER))
        refusal = self.reserve(self.lease("b", 200, USER, RUN))
        assert refusal == Refusal(limit=USER, needed=200, left=180)
        refusal = self.reserve(self.lease("c", 40, USER, RUN))
        assert refusal == Refusal(limit=RUN, needed=40, left=30)
        assert self.account(RUN) == self.account(USER) == Balance(held=70)

    def test_a_refused_lease_may_be_reserved_again(self) -> None:
        """A refusal leaves no trace of the lease's id."""
        self.reserve(self.lease("a", 100))
        self.reserve(self.lease("b", 30))
        self.run(self.books.release("a"))
        assert isinstance(self.reserve(self.lease("b", 30)), Lease)
        assert self.account() == Balance(held=30)

    def test_two_limits_on_one_account_hold_once(self) -> None:
        """The tighter limit decides, and the money is held a single time."""
        tight = Limit("run", "r1", 50)
        self.reserve(self.lease("a", 40, RUN, tight))
        assert self.account() == Balance(held=40)
        refusal = self.reserve(self.lease("b", 20, RUN, tight))
        assert refusal == Refusal(limit=tight, needed=20, left=10)
        self.settle("a", 30)
        assert self.account() == Balance(spent=30)

    @pytest.mark.parametrize("ending", ["open", "settled", "released"])
    def test_a_repeated_reservation_holds_nothing_again(self, ending: str) -> None:
        """A request that was sent twice is answered with its lease."""
        lease = self.lease("a", 40)
        self.reserve(lease)
        if ending == "settled":
            self.settle("a", 25)
        elif ending == "released":
            self.run(self.books.release("a"))
        before = self.account()
        assert isinstance(self.reserve(lease), Lease)
        assert self.account() == before

    def test_settling_books_the_true_cost_and_drops_the_hold(self) -> None:
        """What was not used is free again."""
        self.reserve(self.lease("a", 40, RUN, USER))
        assert self.settle("a", 25) == Settlement(booked=Amounts(25))
        assert self.account(RUN) == self.account(USER) == Balance(spent=25)
        assert self.run(self.books.open_leases()) == ()

    def test_settling_twice_changes_nothing(self) -> None:
        """The first settlement stands."""
        self.reserve(self.lease("a", 40))
        self.settle("a", 25)
        assert self.settle("a", 99) == Settlement(booked=Amounts(25), repeated=True)
        assert self.account() == Balance(spent=25)

    def test_a_free_call_books_nothing(self) -> None:
        """Zero is an amount like any other."""
        self.reserve(self.lease("a", 0))
        assert self.settle("a", 0) == Settlement(booked=NOTHING_USED)
        assert self.settle("a", 0) == Settlement(booked=NOTHING_USED, repeated=True)
        assert self.account() == Balance()

    def test_a_cost_above_the_lease_is_booked_and_reported(self) -> None:
        """Money that was billed is never left out."""
        self.reserve(self.lease("a", 40))
        assert self.settle("a", 130) == Settlement(booked=Amounts(130), overrun=90)
        assert self.account() == Balance(spent=130)
        refusal = self.reserve(self.lease("b", 1))
        assert refusal == Refusal(limit=RUN, needed=1, left=0)

    def test_a_released_lease_books_nothing(self) -> None:
        """What was never billed is free again, however often that is said."""
        self.reserve(self.lease("a", 40, RUN, USER))
        self.run(self.books.release("a"))
        self.run(self.books.release("a"))
        assert self.account(RUN) == self.account(USER) == Balance()

    def test_a_release_after_the_settlement_changes_nothing(self) -> None:
        """A bill cannot be taken back."""
        self.reserve(self.lease("a", 40))
        self.settle("a", 25)
        self.run(self.books.release("a"))
        assert self.account() == Balance(spent=25)

    def test_a_settlement_after_the_release_is_booked(self) -> None:
        """The money was billed, whatever was thought before."""
        self.reserve(self.lease("a", 40))
        self.run(self.books.release("a"))
        assert self.settle("a", 25) == Settlement(booked=Amounts(25))
        assert self.account() == Balance(spent=25)
        assert self.settle("a", 25) == Settlement(booked=Amounts(25), repeated=True)

    def test_an_expired_lease_is_booked_at_its_estimate(self) -> None:
        """A call whose process died was sent: the provider has billed something."""
        self.reserve(self.lease("a", 40, RUN, USER, estimate=15))
        self.time.advance(self.moment)
        assert self.run(self.books.open_leases()) == ()
        assert self.account(RUN) == self.account(USER) == Balance(spent=15)

    def test_an_expired_lease_makes_room_for_the_next_reservation(self) -> None:
        """No sweeper is needed."""
        self.reserve(self.lease("a", 100, estimate=15))
        self.time.advance(self.moment)
        assert isinstance(self.reserve(self.lease("b", 85)), Lease)
        assert self.account() == Balance(spent=15, held=85)

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_late_settlement_corrects_the_estimate(self, *, seen: bool) -> None:
        """A slow call is charged late and once, whether its expiry was noticed before or not."""
        self.reserve(self.lease("a", 40, estimate=15))
        self.time.advance(2 * self.moment)
        if seen:
            assert self.account() == Balance(spent=15)
        assert self.settle("a", 55) == Settlement(booked=Amounts(55), overrun=15)
        assert self.settle("a", 9).repeated
        assert self.account() == Balance(spent=55)

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_late_release_takes_the_estimate_back(self, *, seen: bool) -> None:
        """A call that was never billed costs nothing, whichever comes first."""
        self.reserve(self.lease("a", 40, estimate=15))
        self.time.advance(2 * self.moment)
        if seen:
            assert self.account() == Balance(spent=15)
        self.run(self.books.release("a"))
        assert self.account() == Balance()

    def test_an_unknown_lease_moves_no_money(self) -> None:
        """A settlement without a lease has no account to book on, and must not break the call."""
        assert self.settle("nobody", 25) == Settlement(booked=NOTHING_USED, repeated=True)
        self.run(self.books.release("nobody"))
        assert self.account() == Balance()

    def test_spending_is_booked_on_every_limit_even_past_it(self) -> None:
        """A tool's cost has already happened."""
        self.run(self.books.spend((RUN, USER), Amounts(120)))
        assert self.account(RUN) == self.account(USER) == Balance(spent=120)
        refusal = self.reserve(self.lease("a", 1, USER, RUN))
        assert refusal == Refusal(limit=RUN, needed=1, left=0)

    def test_open_leases_are_listed_oldest_first(self) -> None:
        """Held money always has a name, a sum and a deadline."""
        leases = [self.reserve(self.lease(name, 5, RUN, USER)) for name in ("c", "a", "b")]
        assert list(self.run(self.books.open_leases())) == leases

    def test_each_limit_counts_in_its_own_unit(self) -> None:
        """Dollars, tokens and requests are reserved together, or not at all."""
        tokens = Limit("user", "u1", 1_000, unit="tokens")
        requests = Limit("team", "t1", 2, unit="requests")
        amount = Amounts(30, 400, 1)
        limits = (RUN, tokens, requests)
        for name in ("a", "b"):
            self.reserve(
                Lease(id=name, amount=amount, estimate=amount, limits=limits, ttl=self.moment)
            )
        assert self.account(RUN) == Balance(held=60)
        assert self.account(tokens) == Balance(held=800)
        assert self.account(requests) == Balance(held=2)
        third = Lease(id="c", amount=amount, estimate=amount, limits=limits, ttl=self.moment)
        assert self.refused(third) == Refusal(limit=tokens, needed=400, left=200)
        settled = self.run(self.books.settle("a", Amounts(25, 100, 1)))
        assert settled == Settlement(booked=Amounts(25, 100, 1), spent=(25, 100, 1))
        assert self.refused(third) == Refusal(limit=requests, needed=1, left=0)

    def test_a_sliding_window_counts_its_earlier_parts(self) -> None:
        """What was spent a moment ago still counts, on an account of its own."""
        early = replace(RUN, window="60s-1")
        late = replace(RUN, window="60s-2", counted=(early.key,))
        self.reserve(self.lease("a", 70, early))
        refusal = self.refused(self.lease("b", 40, late))
        assert refusal == Refusal(limit=late, needed=40, left=30)
        assert isinstance(self.reserve(self.lease("b", 30, late)), Lease)
        assert self.account(late) == Balance(held=30)

    def test_a_refusal_says_when_the_window_resets(self) -> None:
        """Whoever is refused can come back; what never fits is not told to wait."""
        day = replace(RUN, window="today", resets=self.time.now() + 2 * self.moment)
        self.reserve(self.lease("a", 100, day))
        assert self.refused(self.lease("b", 1, day)).wait == pytest.approx(
            2 * self.moment, abs=self.moment
        )
        assert self.refused(self.lease("c", 101, day)).wait == 0

    def test_a_rate_lets_units_in_as_they_come_back(self) -> None:
        """Three at once, then one in each moment."""
        rate = Limit("user", "u1", 3, unit="requests", pace=round(self.moment * 1_000_000))
        one = Amounts(requests=1)

        def ask(name: str) -> Lease | Refusal | Stop:
            lease = Lease(id=name, amount=one, estimate=one, limits=(rate,), ttl=9 * self.moment)
            return self.reserve(lease)

        assert all(isinstance(ask(name), Lease) for name in "abc")
        refusal = ask("d")
        assert isinstance(refusal, Refusal)
        assert (refusal.needed, refusal.left) == (1, 0)
        assert 0 < refusal.wait <= self.moment
        self.time.advance(1.01 * self.moment)
        assert isinstance(ask("d"), Lease)
        assert isinstance(ask("e"), Refusal)
        self.run(self.books.release("d"))
        assert isinstance(ask("e"), Lease)

    def test_a_renewed_lease_lasts_longer(self) -> None:
        """A stream that is alive keeps what it holds; one that has ended cannot be renewed."""
        self.reserve(self.lease("a", 40, estimate=15))
        self.time.advance(0.6 * self.moment)
        assert self.run(self.books.renew("a", self.moment))
        self.time.advance(0.6 * self.moment)
        assert self.account() == Balance(held=40)
        self.time.advance(0.6 * self.moment)
        assert self.account() == Balance(spent=15)
        assert not self.run(self.books.renew("a", self.moment))
        assert not self.run(self.books.renew("nobody", self.moment))

    def test_a_kill_switch_refuses_what_carries_its_name(self) -> None:
        """One run, one user, or everything; until it is put back."""
        marked = replace(self.lease("a", 10), marks=("*", "run:r1"))
        self.run(self.books.stop("run:r2", "another"))
        assert isinstance(self.reserve(marked), Lease)
        self.run(self.books.stop("run:r1", "it loops"))
        stop = Stop(mark="run:r1", reason="it loops")
        assert self.reserve(replace(marked, id="b")) == stop
        assert self.run(self.books.stops()) == (stop, Stop(mark="run:r2", reason="another"))
        assert self.account() == Balance(held=10)
        assert self.settle("a", 8) == Settlement(booked=Amounts(8))
        self.run(self.books.resume("run:r1"))
        self.run(self.books.resume("run:r1"))
        assert isinstance(self.reserve(replace(marked, id="b")), Lease)

    def test_a_name_is_claimed_once(self) -> None:
        """An alert is told by one, however many see it."""
        assert self.run(self.books.claim("alert:run:r1:600"))
        assert not self.run(self.books.claim("alert:run:r1:600"))
        assert self.run(self.books.claim("alert:run:r1:800"))

    def test_the_trail_says_who_did_what(self) -> None:
        """Each step is on record, oldest first, with what it was for."""
        self.reserve(replace(self.lease("a", 40, RUN, USER), note="user=ann gpt-4o"))
        self.settle("a", 25)
        self.reserve(self.lease("b", 9))
        self.run(self.books.release("b"))
        self.run(self.books.spend((RUN,), Amounts(3), "web_search"))
        self.reserve(self.lease("c", 5, estimate=2))
        self.time.advance(1.1 * self.moment)
        assert self.account().held == 0
        trail = self.run(self.books.trail())
        assert [(each.what, each.lease, each.amount.nanodollars) for each in trail] == [
            ("reserve", "a", 40),
            ("settle", "a", 25),
            ("reserve", "b", 9),
            ("release", "b", 0),
            ("spend", "", 3),
            ("reserve", "c", 5),
            ("expire", "c", 2),
        ]
        assert trail[0].note == "user=ann gpt-4o"
        assert trail[0].keys == (RUN.key, USER.key)
        assert trail[4].note == "web_search"
        assert [each.what for each in self.run(self.books.trail(2))] == ["reserve", "expire"]
        assert trail[0].at <= trail[-1].at

    def test_what_no_ledger_keeps_exactly_is_turned_away(self) -> None:
        """2**53 is the last whole number that Redis' Lua holds."""
        with pytest.raises(ConfigurationError):
            self.run(self.books.reserve(self.lease("a", 2**53 + 1)))

    def test_negative_money_is_turned_away(self) -> None:
        """No call can make money."""
        self.reserve(self.lease("a", 40))
        with pytest.raises(ConfigurationError):
            self.settle("a", -1)
        with pytest.raises(ConfigurationError):
            self.run(self.books.spend((RUN,), Amounts(-1)))
        with pytest.raises(ConfigurationError):
            self.reserve(self.lease("b", -1))
        assert self.account() == Balance(held=40)

    def test_threads_together_never_pass_the_limit(self) -> None:
        """Checking and holding are one step, and every nanodollar is accounted for."""
        start = Barrier(THREADS)

        def work(thread: int) -> int:
            start.wait()
            booked = 0
            for turn in range(10):
                name = f"{thread}-{turn}"
                if isinstance(self.reserve(self.lease(name, 9, USER, RUN)), Lease):
                    account = self.account()
                    assert account.spent + account.held <= RUN.amount
                    booked += self.settle(name, 7).booked.nanodollars
            return booked

        with ThreadPoolExecutor(THREADS) as pool:
            booked = sum(pool.map(work, range(THREADS)))
        assert 0 < booked <= RUN.amount
        assert self.account(RUN) == self.account(USER) == Balance(spent=booked)

    def test_any_history_of_leases_keeps_its_books(self) -> None:
        """No order of calls, repeats and clock jumps loses money, makes any, or passes a limit."""
        from agentfuse.testing.ledger_machine import check_histories

        check_histories(self, examples=self.examples)
