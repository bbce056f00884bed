"""What every adapter promises, as tests: subclass ``AdapterContract`` and say how to ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Literal

import pytest

from agentfuse.errors import BudgetExceeded
from agentfuse.money import budget_of
from agentfuse.pricing import PriceBook
from agentfuse.runtime.fuse import Fuse
from agentfuse.testing.upstream import Upstream
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Shape = Literal["call", "acall", "stream", "astream"]
SHAPES: tuple[Shape, ...] = ("call", "acall", "stream", "astream")
STREAMS: tuple[Shape, ...] = ("stream", "astream")
CALLERS = 16


class AdapterContract:
    """The promises of AgentFuse, asked through a framework over a simulated provider.

    Give ``ask``: one question through the framework, each in a new framework object over the given
    fuse, and the answer's text. Give ``abandon`` for the stream shapes: take a few chunks, then
    close. ``provider`` is whose prices hold. A shape the framework lacks is named in ``missing``
    with the reason.
    """

    missing: ClassVar[Mapping[Shape, str]] = {}
    provider: str = "openai"

    def ask(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> str:
        """Ask through the framework and give the answer's text."""
        raise NotImplementedError

    def abandon(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> None:
        """Open a stream, take a few chunks of it, and close it."""
        raise NotImplementedError

    @pytest.fixture
    def upstream(self) -> Iterator[Upstream]:
        """Start a simulated provider."""
        with Upstream(answer_tokens=60) as provider:
            yield provider

    @pytest.fixture(params=SHAPES)
    def shape(self, request: pytest.FixtureRequest) -> Shape:
        """Go through the four call shapes."""
        return self._present(request.param)

    @pytest.fixture(params=STREAMS)
    def streamed(self, request: pytest.FixtureRequest) -> Shape:
        """Go through the two streaming shapes."""
        return self._present(request.param)

    def test_a_repeated_question_is_asked_once(self, shape: Shape, upstream: Upstream) -> None:
        """The second answer is the first one, and free."""
        fuse = Fuse("$1", spend_book=False)
        first = self.ask(shape, fuse, upstream, "What is Python?")
        assert self.ask(shape, fuse, upstream, "What is Python?") == first != ""
        assert upstream.calls == 1
        assert fuse.receipt().exact == 1

    def test_whole_and_streamed_answers_serve_each_other(self, upstream: Upstream) -> None:
        """How an answer travels is not part of the question."""
        fuse = Fuse("$1", spend_book=False)
        shapes: list[Shape] = [shape for shape in SHAPES if self.missing.get(shape) is None]
        answers = {self.ask(shape, fuse, upstream, "What is Python?") for shape in shapes}
        assert len(answers) == 1
        assert upstream.calls == 1

    def test_the_bill_is_the_providers(self, shape: Shape, upstream: Upstream) -> None:
        """What the ledger booked is what was served, to the nanodollar."""
        fuse = Fuse("$1", cache=False, spend_book=False)
        for number in range(3):
            self.ask(shape, fuse, upstream, f"What is {number}?")
        assert fuse.receipt().spent == self.billed(upstream) > 0
        assert fuse.receipt().estimated == 0

    def test_every_lease_is_settled(self, shape: Shape, upstream: Upstream) -> None:
        """Nothing stays set aside once an answer is there."""
        fuse = Fuse("$1", spend_book=False)
        self.ask(shape, fuse, upstream, "What is Python?")
        assert fuse.open_leases() == ()

    def test_a_refusal_costs_nothing(self, shape: Shape, upstream: Upstream) -> None:
        """A call that would pass the limit never reaches the wire."""
        fuse = Fuse("$0.0000001", spend_book=False)
        with pytest.raises(BudgetExceeded) as stop:
            self.ask(shape, fuse, upstream, "What is Python?")
        assert upstream.calls == 0
        assert stop.value.refusal is not None
        assert stop.value.receipt.spent == 0
        assert fuse.receipt().refusals == 1

    def test_a_failure_gives_the_money_back(self, shape: Shape, upstream: Upstream) -> None:
        """What the provider refused is not billed and not remembered."""
        fuse = Fuse("$1", spend_book=False)
        upstream.fail(400, times=1)
        with pytest.raises(Exception, match=r"\S"):
            self.ask(shape, fuse, upstream, "What is Python?")
        assert fuse.open_leases() == ()
        assert fuse.receipt().spent == 0
        assert self.ask(shape, fuse, upstream, "What is Python?")

    def test_a_cut_stream_is_settled_and_not_kept(
        self, streamed: Shape, upstream: Upstream
    ) -> None:
        """What was streamed is booked; the next caller gets a whole answer."""
        fuse = Fuse("$1", spend_book=False)
        upstream.cut(after_chunks=6)
        with pytest.raises(Exception, match=r"\S"):
            self.ask(streamed, fuse, upstream, "What is Python?")
        assert fuse.open_leases() == ()
        assert fuse.receipt().spent > 0
        assert self.ask(streamed, fuse, upstream, "What is Python?")
        assert upstream.calls > 1

    def test_an_abandoned_stream_is_settled_and_hung_up(
        self, streamed: Shape, upstream: Upstream
    ) -> None:
        """The provider stops working, and what it said so far is booked."""
        fuse = Fuse("$1", spend_book=False)
        upstream.slow(per_chunk=0.02)
        self.abandon(streamed, fuse, upstream, "What is Python?")
        assert fuse.open_leases() == ()
        assert fuse.receipt().spent > 0
        assert upstream.wait_idle(10)
        assert upstream.requests[0].aborted

    def test_threads_on_one_budget_never_pass_it(self, shape: Shape, upstream: Upstream) -> None:
        """Sixteen threads at once spend what one after the other may spend."""
        budget = "$0.003"
        fuse = Fuse(budget, cache=False, spend_book=False)
        upstream.slow(latency=0.1)

        def attempt(number: int) -> bool:
            try:
                self.ask(shape, fuse, upstream, f"What is {number}?")
            except BudgetExceeded:
                return False
            return True

        with ThreadPoolExecutor(CALLERS) as pool:
            served = sum(pool.map(attempt, range(CALLERS)))
        assert 0 < served < CALLERS
        assert upstream.calls == served
        assert fuse.receipt().spent == self.billed(upstream) <= budget_of(budget)
        assert fuse.open_leases() == ()

    def test_a_stop_carries_what_was_done(self, shape: Shape, upstream: Upstream) -> None:
        """The answers so far come with the error that ends the run."""
        fuse = Fuse("$1", spend_book=False)
        answer = self.ask(shape, fuse, upstream, "What is Python?")
        fuse.allow("$0.0000001")
        with pytest.raises(BudgetExceeded) as stop:
            self.ask(shape, fuse, upstream, "What is Rust?")
        assert stop.value.results == (answer,)

    def billed(self, upstream: Upstream) -> int:
        """Price what the provider served, call by call, in nanodollars."""
        book = PriceBook()
        total = 0
        for served in upstream.requests:
            item = BilledUsage(model=served.model, usage=served.billed)
            total += book.cost(UsageReport(items=(item,)), self.provider).nanodollars
        return total

    def _present(self, shape: Shape) -> Shape:
        if shape in self.missing:
            pytest.skip(self.missing[shape])
        return shape
