"""A call that fails for good leaves a receipt: on its error, with the listeners, in the run's sums.

Over Upstream (simulated), through ``completion()`` and the vendors' own SDKs, in all call shapes.
"""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any, Literal

import pytest

from agentfuse import BudgetExceeded, Fuse, ProviderFailed, acompletion, completion
from agentfuse.courses import FailureReceipt, failure_receipt_of
from agentfuse.observe.logging import line_of
from agentfuse.routing import Cascade
from agentfuse.scopes import scope
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Failed, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

Shape = Literal["call", "acall", "stream", "astream"]
SHAPES: tuple[Shape, ...] = ("call", "acall", "stream", "astream")
QUESTION = [{"role": "user", "content": "What is a fuse?"}]
CHAIN = {"gpt-4o": ["gpt-4o-mini"]}


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class StillClock(FrozenClock):
    """Waits for nothing."""

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider


@pytest.fixture
def heard() -> Heard:
    return Heard()


def fuse_for(heard: Heard, budget: str | None = "$1", **options: Any) -> Fuse:
    options.setdefault("cache", False)
    return Fuse(budget, clock=StillClock(), spend_book=False, listeners=[heard], **options)


def ask(shape: Shape, fuse: Fuse, model: str = "gpt-4o", **options: Any) -> None:
    """Ask in one of the four shapes, and use a stream up."""

    async def awaited() -> None:
        answer = await acompletion(model, QUESTION, fuse=fuse, stream=shape == "astream", **options)
        if shape == "astream":
            async for _ in answer:
                pass

    if shape in {"acall", "astream"}:
        asyncio.run(awaited())
        return
    answer: Any = completion(model, QUESTION, fuse=fuse, stream=shape == "stream", **options)
    if shape == "stream":
        list(answer)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_attempts_and_their_costs_are_on_the_error(
    upstream: Upstream, heard: Heard, shape: Shape
) -> None:
    """Two attempts were answered with rubbish, so likely billed, and the last turned away."""
    fuse = fuse_for(heard, max_retries=1, fallbacks=CHAIN)
    upstream.garble(times=2)
    upstream.fail(400)
    with scope(user="ann"), pytest.raises(ProviderFailed) as error:
        ask(shape, fuse)
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    tried = [(attempt.model, attempt.kind) for attempt in receipt.failed]
    assert tried == [
        ("gpt-4o", "malformed"),
        ("gpt-4o", "malformed"),
        ("gpt-4o-mini", "bad_request"),
    ]
    assert (receipt.model, receipt.kind, receipt.attempts) == ("gpt-4o", "bad_request", 3)
    assert (receipt.error, receipt.scope.user) == ("ProviderFailed", "ann")
    costs = [attempt.cost for attempt in receipt.failed]
    assert costs == [failed.cost for failed in heard.of(Failed)]
    assert costs[0] > 0 == costs[2]
    assert receipt.spent == fuse.receipt().spent == fuse.receipt().spent_on_failures == sum(costs)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_told_once_and_adds_nothing_to_the_bill(
    upstream: Upstream, heard: Heard, shape: Shape
) -> None:
    fuse = fuse_for(heard, max_retries=2)
    upstream.garble(times=3)
    with pytest.raises(ProviderFailed) as error:
        ask(shape, fuse)
    assert heard.of(FailureReceipt) == [failure_receipt_of(error.value)]
    assert heard.of(Receipt) == []
    assert sum(getattr(event, "cost", 0) for event in heard.events) == fuse.receipt().spent > 0
    assert fuse.receipt().unanswered == 1
    assert fuse.receipt().to_dict()["unanswered"] == 1
    assert "calls without an answer: 1" in fuse.receipt().table()
    assert "spent on failed attempts: $" in fuse.receipt().table()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_that_is_answered_in_the_end_leaves_none(
    upstream: Upstream, heard: Heard, shape: Shape
) -> None:
    fuse = fuse_for(heard, max_retries=2)
    upstream.fail(500, times=2)
    ask(shape, fuse)
    (receipt,) = heard.of(Receipt)
    assert len(receipt.failed) == 2
    assert heard.of(FailureReceipt) == []
    assert fuse.receipt().unanswered == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_retry_without_money_says_what_was_tried(
    upstream: Upstream, heard: Heard, shape: Shape
) -> None:
    """The refusal is what the caller gets, and the attempts before it are on it."""
    fuse = fuse_for(heard, "$0.0003", max_retries=9, retry_budget=100.0)
    upstream.cut(after_chunks=0, times=9)
    with pytest.raises(BudgetExceeded) as stop:
        ask(shape, fuse, max_tokens=20)
    receipt = failure_receipt_of(stop.value)
    assert receipt is not None
    assert 0 < receipt.attempts == upstream.calls < 10
    assert (receipt.kind, receipt.error) == ("interrupted", "BudgetExceeded")
    assert receipt.spent == stop.value.receipt.spent > 0
    assert heard.of(FailureReceipt) == [receipt]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_refusal_cost_nothing_and_says_so(upstream: Upstream, heard: Heard, shape: Shape) -> None:
    fuse = fuse_for(heard, "$0.0000001")
    with pytest.raises(BudgetExceeded) as stop:
        ask(shape, fuse)
    receipt = failure_receipt_of(stop.value)
    assert receipt is not None
    assert (receipt.kind, receipt.attempts, receipt.spent) == ("refused", 0, 0)
    assert heard.of(FailureReceipt) == []
    assert upstream.calls == 0


def test_a_model_that_is_left_alone_is_told_as_refused(upstream: Upstream, heard: Heard) -> None:
    fuse = fuse_for(heard, breaker=True)
    upstream.fail(500, times=5)
    for _ in range(5):
        with pytest.raises(ProviderFailed):
            completion("gpt-4o", QUESTION, fuse=fuse)
    with pytest.raises(ProviderFailed, match="left alone") as error:
        completion("gpt-4o", QUESTION, fuse=fuse)
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    assert (receipt.kind, receipt.attempts) == ("refused", 0)
    assert heard.of(FailureReceipt)[-1] == receipt
    assert fuse.receipt().unanswered == 6


@pytest.mark.parametrize("shape", ["stream", "astream"])
def test_a_stream_that_breaks_says_what_it_had_cost(
    upstream: Upstream, heard: Heard, shape: Shape
) -> None:
    """Its words were shown and are on a receipt; the error tells the same sum."""
    fuse = fuse_for(heard, max_retries=2)
    upstream.cut(after_chunks=6)
    with pytest.raises(ProviderFailed) as error:
        ask(shape, fuse)
    receipt = failure_receipt_of(error.value)
    (told,) = heard.of(Receipt)
    assert receipt is not None
    assert [attempt.kind for attempt in receipt.failed] == ["interrupted"]
    assert receipt.spent == told.cost == fuse.receipt().spent > 0
    assert heard.of(FailureReceipt) == []


def test_a_stream_hung_up_before_its_first_word_is_given_up(
    upstream: Upstream, heard: Heard
) -> None:
    upstream.slow(latency=0.05)
    completion("gpt-4o", QUESTION, fuse=fuse_for(heard), stream=True).close()
    (receipt,) = heard.of(FailureReceipt)
    assert (receipt.kind, receipt.error) == ("cancelled", "GeneratorExit")
    assert receipt.spent == heard.of(Failed)[0].cost > 0


def test_a_fallback_that_cannot_be_asked_hands_the_receipt_on(
    upstream: Upstream, heard: Heard
) -> None:
    """The caller hears the failure that began it, with all that was tried."""
    fallbacks = {"gpt-4o": ["anthropic/claude-haiku-4-5"]}
    fuse = fuse_for(heard, fallbacks=fallbacks)
    upstream.fail(500)
    with pytest.raises(ProviderFailed) as error:
        completion("gpt-4o", QUESTION, fuse=fuse, logprobs=True)
    assert error.value.kind == "server_error"
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    assert [attempt.kind for attempt in receipt.failed] == ["server_error", "unsupported"]
    assert heard.of(FailureReceipt) == [receipt]


def test_a_cheap_candidate_that_fails_ends_no_call(upstream: Upstream, heard: Heard) -> None:
    cascade = Cascade(first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o")
    fuse = fuse_for(heard, route=cascade)
    upstream.fail(500, times=2)
    completion("gpt-4o", QUESTION, fuse=fuse)
    assert len(heard.of(Failed)) == 2
    assert heard.of(FailureReceipt) == []
    assert heard.of(Receipt)[-1].model == "gpt-4o"


def test_it_survives_a_process_border_and_prints(upstream: Upstream, heard: Heard) -> None:
    upstream.fail(401)
    with pytest.raises(ProviderFailed) as error:
        completion("gpt-4o", QUESTION, fuse=fuse_for(heard))
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    assert pickle.loads(pickle.dumps(receipt)) == receipt
    assert line_of(receipt) == (
        f"gave up gpt-4o (authentication, ProviderFailed): 1 attempts, $0.00 [{receipt.id}]"
    )


def test_an_error_of_nobodys_has_none() -> None:
    assert failure_receipt_of(ValueError("not ours")) is None
