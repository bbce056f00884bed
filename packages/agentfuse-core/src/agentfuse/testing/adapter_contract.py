"""What every adapter promises, as tests: subclass ``AdapterContract`` and say how to ask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest

from agentfuse.courses import failure_receipt_of
from agentfuse.errors import BudgetExceeded, StoreUnavailable
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.money import budget_of
from agentfuse.pricing import PriceBook
from agentfuse.runtime.fuse import Fuse
from agentfuse.scopes import scope
from agentfuse.testing.upstream import Upstream
from agentfuse.tickets import Receipt
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.messages import Reply
    from agentfuse.semantics import Selection
    from agentfuse.tickets import Event, Lease, Refusal, Stop

Shape = Literal["call", "acall", "stream", "astream"]
SHAPES: tuple[Shape, ...] = ("call", "acall", "stream", "astream")
STREAMS: tuple[Shape, ...] = ("stream", "astream")
CALLERS = 16
TOOL = "look_up"
"""The tool of ``call_tool``: it takes a ``word`` (a string)."""
QUESTION = "What is Python?"
TWICE = 2


class AdapterContract:
    """The promises of AgentFuse, asked through a framework over a simulated provider.

    Give ``ask``: one question through the framework, each in a new framework object over the given
    fuse, and the answer's text. Give ``abandon`` for the stream shapes: take a few chunks, then
    close. Give ``call_tool``, ``extract`` and ``wrapped`` for what agents live on; ``forwarded``
    names attributes that must read the same on the wrapped object and on the bare one.
    ``provider`` is whose prices hold, and ``cheaper`` which model takes over from which. A shape
    or a method that the framework lacks is named in ``missing`` with the reason.
    """

    missing: ClassVar[Mapping[str, str]] = {}
    forwarded: ClassVar[tuple[str, ...]] = ()
    cheaper: ClassVar[Mapping[str, str]] = {
        "gpt-4o": "gpt-4o-mini",
        "claude-sonnet-4-6": "claude-haiku-4-5",
    }
    provider: str = "openai"

    def ask(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> str:
        """Ask through the framework and give the answer's text."""
        raise NotImplementedError

    def abandon(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> None:
        """Open a stream, take a few chunks of it, and close it."""
        raise NotImplementedError

    def call_tool(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        """Ask with the tool ``look_up`` at hand, and name the tools that the model calls."""
        raise NotImplementedError

    def extract(self, shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> Any:
        """Ask for an answer of a type with a ``name`` (a string) and an ``age`` (an integer)."""
        raise NotImplementedError

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        """Give a bare framework object, and the same one wrapped."""
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

    def test_a_failure_leaves_a_receipt(self, shape: Shape, upstream: Upstream) -> None:
        """What the framework raises says what was tried, and what that cost."""
        upstream.fail(400, times=1)
        with pytest.raises(Exception, match=r"\S") as error:
            self.ask(shape, Fuse("$1", spend_book=False), upstream, QUESTION)
        receipt = failure_receipt_of(error.value)
        assert receipt is not None
        assert [attempt.kind for attempt in receipt.failed] == ["bad_request"]
        assert receipt.model == receipt.failed[0].model == upstream.requests[0].model

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

    def test_usage_is_the_providers(self, shape: Shape, upstream: Upstream) -> None:
        """Every token that was served is on a receipt, and no other."""
        heard = Heard()
        fuse = Fuse("$1", cache=False, spend_book=False, listeners=[heard])
        for number in range(3):
            self.ask(shape, fuse, upstream, f"What is {number}?")
        served = upstream.usage_served()
        usages = [receipt.usage for receipt in heard.receipts if receipt.usage is not None]
        assert sum(usage.input_tokens for usage in usages) == served.input_tokens > 0
        assert sum(usage.output_tokens for usage in usages) == served.output_tokens > 0

    def test_a_downgrade_reaches_the_wire(self, shape: Shape, upstream: Upstream) -> None:
        """Once a limit is nearly used up, the provider is asked for the cheaper model."""
        fuse = Fuse("$1", cache=False, spend_book=False, downgrade=self.cheaper)
        self.ask(shape, fuse, upstream, QUESTION)
        fuse.record_tool_call("search", "$0.80")
        self.ask(shape, fuse, upstream, QUESTION)
        strong, cheap = (request.model for request in upstream.requests)
        assert cheap == self.cheaper[strong]
        assert fuse.receipt().downgrades == 1
        assert fuse.receipt().spent == budget_of("$0.80") + self.billed(upstream)

    def test_a_cheaper_models_answer_is_not_the_other_models(
        self, shape: Shape, upstream: Upstream
    ) -> None:
        """After a top-up the model that was asked for is asked."""
        fuse = Fuse("$1", spend_book=False, downgrade=self.cheaper)
        fuse.record_tool_call("search", "$0.80")
        self.ask(shape, fuse, upstream, QUESTION)
        self.ask(shape, fuse, upstream, QUESTION)
        assert upstream.calls == 1
        fuse.top_up("$5")
        self.ask(shape, fuse, upstream, QUESTION)
        cheap, strong = (request.model for request in upstream.requests)
        assert cheap == self.cheaper[strong]

    def test_a_ledger_that_fails_lets_nothing_through(
        self, shape: Shape, upstream: Upstream
    ) -> None:
        """An error of ours is heard, and never switches the budget off."""
        fuse = Fuse("$1", spend_book=False, ledger=BrokenLedger())
        with pytest.raises(Exception, match=r"\S") as error:
            self.ask(shape, fuse, upstream, QUESTION)
        assert any(isinstance(each, StoreUnavailable) for each in causes_of(error.value))
        assert upstream.calls == 0

    def test_a_cache_that_fails_costs_no_answer(self, shape: Shape, upstream: Upstream) -> None:
        """A cache is a comfort: the call goes on, and the trouble is told."""
        fuse = Fuse("$1", spend_book=False, cache=BrokenCache())
        assert self.ask(shape, fuse, upstream, QUESTION)
        assert fuse.receipt().store_troubles > 0
        assert fuse.receipt().spent == self.billed(upstream) > 0

    def test_a_tenant_is_never_given_anothers_answer(
        self, shape: Shape, upstream: Upstream
    ) -> None:
        """The tenant in the context is part of the question."""
        fuse = Fuse("$1", spend_book=False)
        for tenant in ("acme", "zenith", "acme"):
            with scope(tenant=tenant):
                self.ask(shape, fuse, upstream, QUESTION)
        assert upstream.calls == TWICE

    def test_a_user_in_the_context_has_a_limit(self, shape: Shape, upstream: Upstream) -> None:
        """Whose call it is travels with the context, through the framework's own threads too."""
        fuse = Fuse(spend_book=False, cache=False, limits={"user": "$0.0000001"})
        with scope(user="ann"), pytest.raises(BudgetExceeded) as stop:
            self.ask(shape, fuse, upstream, QUESTION)
        assert stop.value.refusal is not None
        assert stop.value.refusal.limit.key == "user:ann"
        assert upstream.calls == 0
        assert self.ask(shape, fuse, upstream, QUESTION)

    def test_a_tool_call_is_remembered(self, shape: Shape, upstream: Upstream) -> None:
        """An answer that calls a tool comes back with its call."""
        self._able("call_tool")
        fuse = Fuse("$1", spend_book=False)
        question = f"{TOOL} the word Python"
        assert self.call_tool(shape, fuse, upstream, question) == [TOOL]
        asked = upstream.calls
        assert self.call_tool(shape, fuse, upstream, question) == [TOOL]
        assert upstream.calls == asked
        assert fuse.open_leases() == ()

    def test_a_tool_with_side_effects_is_called_anew(
        self, shape: Shape, upstream: Upstream
    ) -> None:
        """An answer that acts on the world is never taken from memory."""
        self._able("call_tool")
        fuse = Fuse("$1", spend_book=False, side_effect_tools=[TOOL])
        question = f"{TOOL} the word Python"
        self.call_tool(shape, fuse, upstream, question)
        asked = upstream.calls
        assert self.call_tool(shape, fuse, upstream, question) == [TOOL]
        assert upstream.calls > asked

    def test_a_structured_answer_is_remembered_as_one(
        self, shape: Shape, upstream: Upstream
    ) -> None:
        """The format is part of the question, and a hit has the type that was asked for."""
        self._able("extract")
        fuse = Fuse("$1", spend_book=False)
        first = self.extract(shape, fuse, upstream, QUESTION)
        again = self.extract(shape, fuse, upstream, QUESTION)
        assert again == first
        assert type(again) is type(first)
        assert upstream.calls == 1
        self.ask(shape, fuse, upstream, QUESTION)
        assert upstream.calls == TWICE

    def test_attributes_are_the_bare_ones(self, upstream: Upstream) -> None:
        """What the framework reads off its own object it reads off ours."""
        self._able("wrapped")
        bare, ours = self.wrapped(Fuse("$1", spend_book=False), upstream)
        assert self.forwarded
        for name in self.forwarded:
            assert getattr(ours, name) == getattr(bare, name), name

    def billed(self, upstream: Upstream) -> int:
        """Price what the provider served, call by call, in nanodollars."""
        book = PriceBook()
        total = 0
        for served in upstream.requests:
            item = BilledUsage(model=served.model, usage=served.billed)
            total += book.cost(UsageReport(items=(item,)), self.provider).nanodollars
        return total

    def _present(self, shape: Shape) -> Shape:
        self._able(shape)
        return shape

    def _able(self, name: str) -> None:
        """Skip a promise about what the framework lacks, with the reason."""
        if name in self.missing:
            pytest.skip(self.missing[name])


class Heard:
    """A listener that keeps every receipt."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def hear(self, event: Event) -> None:
        """Keep a receipt."""
        if isinstance(event, Receipt):
            self.receipts.append(event)


class BrokenLedger(MemoryLedger):
    """A ledger that cannot be reached."""

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Fail."""
        raise StoreUnavailable(f"the ledger is out of reach for lease {lease.id}")


class BrokenCache:
    """A cache that cannot be reached."""

    async def find(self, key: str) -> Reply | None:
        """Fail."""
        raise StoreUnavailable(f"the cache is out of reach for {key}")

    async def keep(self, key: str, reply: Reply, tags: Sequence[str] = ()) -> None:
        """Fail."""
        raise StoreUnavailable(f"the cache is out of reach for {reply.id} under {key}, {tags}")

    async def invalidate(self, selection: Selection) -> int:
        """Fail."""
        raise StoreUnavailable(f"the cache is out of reach for {selection}")

    async def drop(self, key: str) -> None:
        """Fail."""
        raise StoreUnavailable(f"the cache is out of reach for {key}")


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it was raised from; CrewAI raises errors from themselves."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
