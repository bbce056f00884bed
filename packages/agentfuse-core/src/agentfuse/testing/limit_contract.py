"""What a ledger keeps of limits, rates, switches and its trail: a part of ``LedgerContract``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentfuse.testing.ledger_steps import RUN, USER, LedgerSteps
from agentfuse.tickets import Amounts, Balance, Lease, Limit, Refusal, Settlement, Stop


class LimitContract(LedgerSteps):
    """The promises about units, windows, rates, renewals, kill switches, claims and the trail."""

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
