"""What every ledger must keep: subclass ``LedgerContract`` and give it a ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from agentfuse.errors import ConfigurationError
from agentfuse.testing.ledger_steps import RUN, USER
from agentfuse.testing.limit_contract import LimitContract
from agentfuse.tickets import NOTHING_USED, Amounts, Balance, Lease, Limit, Refusal, Settlement

THREADS = 8


class LedgerContract(LimitContract):
    """The promises of ``agentfuse.ports.Ledger``, as tests.

    Give ``ledger(clock)``, a new and empty one for each call. For a store that keeps its own time,
    give ``clock()`` too: one whose ``advance`` lets that time pass; and set ``moment``, the seconds
    that a test's lease lasts. ``goes_back`` says whether that clock can be set back.
    """

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
