"""What follows a failed call: retries, fallbacks, larger windows, other keys, or nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, acompletion, completion
from agentfuse.courses import BreakerOpened, FellBack, Retried
from agentfuse.errors import ProviderFailed
from agentfuse.observe.logging import line_of
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Failed, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Request
    from agentfuse.tickets import Event

QUESTION = [{"role": "user", "content": "What is a fuse?"}]
CHAIN = {"gpt-4o": ["gpt-4.1", "anthropic/claude-haiku-4-5"]}


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """Stand for both vendors, whose addresses and keys the environment names."""
    with Upstream(keys=("sk-upstream", "sk-second")) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider


def fused(heard: Heard | None = None, budget: str | None = "$1", **options: Any) -> Fuse:
    options.setdefault("clock", FrozenClock())
    listeners = [heard] if heard else []
    return Fuse(budget, spend_book=False, cache=False, listeners=listeners, **options)


def ask(fuse: Fuse, model: str = "gpt-4o", **options: Any) -> str:
    answer = completion(model, QUESTION, fuse=fuse, **options)
    return answer.model


def asked_models(upstream: Upstream) -> list[str]:
    return [request.model for request in upstream.requests]


def test_a_call_falls_back_along_its_chain_to_another_provider(upstream: Upstream) -> None:
    heard = Heard()
    fuse = fused(heard, fallbacks=CHAIN)
    upstream.fail(503, times=2)
    answer = completion("gpt-4o", QUESTION, fuse=fuse)
    assert answer.model == "claude-haiku-4-5"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert asked_models(upstream) == ["gpt-4o", "gpt-4.1", "claude-haiku-4-5"]
    assert upstream.requests[-1].api == "anthropic.messages"
    (receipt,) = heard.of(Receipt)
    assert (receipt.provider, receipt.model) == ("anthropic", "claude-haiku-4-5")
    assert [(a.model, a.kind) for a in receipt.failed] == [
        ("gpt-4o", "overloaded"),
        ("gpt-4.1", "overloaded"),
    ]
    assert receipt.attempts == 3
    assert [(e.model, e.to, e.to_provider) for e in heard.of(FellBack)] == [
        ("gpt-4o", "gpt-4.1", "openai"),
        ("gpt-4.1", "claude-haiku-4-5", "anthropic"),
    ]
    billed = upstream.requests[-1].billed
    assert receipt.cost == billed.input_tokens * 1_000 + billed.output_tokens * 5_000
    assert fuse.receipt().spent == receipt.cost
    assert fuse.receipt().fallbacks == 2
    assert fuse.open_leases() == ()


def test_a_call_falls_back_the_other_way_too(upstream: Upstream) -> None:
    fuse = fused(fallbacks={"claude-sonnet-4-6": ["openai/gpt-4o-mini"]})
    upstream.fail(529)
    answer = completion("claude-sonnet-4-6", QUESTION, fuse=fuse)
    assert answer.model.startswith("gpt-4o-mini")
    assert fuse.receipt().models[-1].model == "gpt-4o-mini"
    assert fuse.open_leases() == ()


def test_a_stream_falls_back_to_another_provider(upstream: Upstream) -> None:
    fuse = fused(fallbacks=CHAIN)
    upstream.fail(500, times=2)
    chunks = list(completion("gpt-4o", QUESTION, fuse=fuse, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[0].model == "claude-haiku-4-5"
    assert fuse.open_leases() == ()


def test_an_awaited_call_and_stream_fall_back_too(upstream: Upstream) -> None:
    fuse = fused(fallbacks=CHAIN)

    async def both() -> tuple[str, str]:
        upstream.fail(500, times=2)
        answer = await acompletion("gpt-4o", QUESTION, fuse=fuse)
        upstream.fail(500, times=2)
        stream = await acompletion("gpt-4o", QUESTION, fuse=fuse, stream=True)
        chunks = [chunk async for chunk in stream]
        return answer.model, chunks[0].model

    assert asyncio.run(both()) == ("claude-haiku-4-5", "claude-haiku-4-5")
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_a_stream_that_broke_before_its_first_chunk_is_asked_again(
    upstream: Upstream, *, awaited: bool
) -> None:
    heard = Heard()
    fuse = fused(heard, max_retries=1)
    upstream.cut(after_chunks=0)

    async def read() -> int:
        stream = await acompletion("gpt-4o", QUESTION, fuse=fuse, stream=True)
        return len([chunk async for chunk in stream])

    if awaited:
        assert asyncio.run(read())
    else:
        assert list(completion("gpt-4o", QUESTION, fuse=fuse, stream=True))
    assert upstream.calls == 2
    (failed,) = heard.of(Failed)
    assert failed.kind == "interrupted"
    assert failed.cost > 0, "the provider had begun to answer, and bills"
    assert [event.delay > 0 for event in heard.of(Retried)] == [True]
    assert fuse.receipt().spent == failed.cost + heard.of(Receipt)[0].cost
    assert fuse.open_leases() == ()


def test_a_stream_that_broke_later_is_not_asked_again(upstream: Upstream) -> None:
    fuse = fused(max_retries=3, fallbacks=CHAIN)
    upstream.cut(after_chunks=2)
    stream = completion("gpt-4o", QUESTION, fuse=fuse, stream=True)
    with pytest.raises(ProviderFailed):
        list(stream)
    assert upstream.calls == 1
    assert fuse.open_leases() == ()


def test_an_empty_quota_is_never_asked_again_but_may_be_answered_elsewhere(
    upstream: Upstream,
) -> None:
    upstream.fail(429, times=2, code="insufficient_quota")
    with pytest.raises(ProviderFailed, match="quota") as failed:
        ask(fused(max_retries=5))
    assert failed.value.kind == "quota_exhausted"
    assert upstream.calls == 1
    assert (
        ask(fused(max_retries=5, fallbacks={"gpt-4o": ["anthropic/claude-haiku-4-5"]})) != "gpt-4o"
    )


def test_a_bad_request_goes_nowhere_else(upstream: Upstream) -> None:
    upstream.fail(400, times=1)
    with pytest.raises(ProviderFailed) as failed:
        ask(fused(max_retries=3, fallbacks=CHAIN))
    assert failed.value.kind == "bad_request"
    assert upstream.calls == 1


def test_an_overflow_goes_to_the_larger_window(upstream: Upstream) -> None:
    upstream.fail(400, code="context_length_exceeded")
    fuse = fused(larger_window={"gpt-4o": "gpt-4.1"})
    assert ask(fuse).startswith("gpt-4.1")
    assert asked_models(upstream) == ["gpt-4o", "gpt-4.1"]


def test_an_overflow_is_compressed_once(upstream: Upstream) -> None:
    upstream.fail(400, times=2, message="This model's maximum context length is 128000 tokens.")
    shorter = [*QUESTION, *QUESTION]

    def last(request: Request) -> Request:
        return replace(request, messages=request.messages[-1:])

    fuse = fused(compress=last)
    with pytest.raises(ProviderFailed) as failed:
        completion("gpt-4o", shorter, fuse=fuse)
    assert failed.value.kind == "context_overflow"
    assert [len(request.body["messages"]) for request in upstream.requests] == [2, 1]


def test_each_retry_may_ask_a_cheaper_model(upstream: Upstream) -> None:
    upstream.fail(500, times=2)
    fuse = fused(max_retries=3, retry_models={"gpt-4o": ["gpt-4o", "gpt-4o-mini"]})
    assert ask(fuse).startswith("gpt-4o-mini")
    assert asked_models(upstream) == ["gpt-4o", "gpt-4o", "gpt-4o-mini"]


def test_no_attempt_begins_after_the_deadline(upstream: Upstream) -> None:
    clock = FrozenClock()
    upstream.fail(500, times=99)
    with pytest.raises(ProviderFailed):
        ask(fused(max_retries=50, deadline=3.0, retry_budget=100.0, clock=clock))
    assert clock.now() <= FrozenClock().now() + 3.0
    assert 2 <= upstream.calls <= 4


def test_an_attempt_waits_no_longer_than_the_deadline_leaves(upstream: Upstream) -> None:
    upstream.hang(5.0)
    began = time.monotonic()
    with pytest.raises(ProviderFailed) as failed:
        ask(fused(deadline=0.3, clock=None))
    assert failed.value.kind == "timeout"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("late", [30, 90], ids=["within a minute", "too late"])
def test_a_date_in_retry_after_is_followed_up_to_a_minute(upstream: Upstream, late: int) -> None:
    clock = FrozenClock(time.time())
    heard = Heard()
    upstream.fail(429, retry_after=datetime.now(UTC) + timedelta(seconds=late))
    fuse = fused(heard, max_retries=1, clock=clock)
    if late > 60:
        with pytest.raises(ProviderFailed) as failed:
            ask(fuse)
        assert failed.value.retry_after == pytest.approx(late, abs=3)
        return
    ask(fuse)
    (event,) = heard.of(Retried)
    assert late - 3 <= event.delay <= late * 1.1 + 1


def test_a_refusal_for_money_is_no_reason_to_go_elsewhere(upstream: Upstream) -> None:
    fuse = fused(budget="$0.0005", fallbacks={"gpt-4o-mini": ["gpt-4"]}, clamp=False)
    upstream.fail(500, model="gpt-4o-mini")
    with pytest.raises(BudgetExceeded):
        ask(fuse, "gpt-4o-mini", max_tokens=100)
    assert asked_models(upstream) == ["gpt-4o-mini"]
    assert fuse.open_leases() == ()


def test_a_fallback_without_a_key_is_told_before_anything_is_sent(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        ask(fused(fallbacks=CHAIN))
    assert upstream.calls == 0


def test_a_fallback_that_cannot_be_asked_this_is_passed_over(upstream: Upstream) -> None:
    """Claude gives no log probabilities."""
    upstream.fail(500)
    fuse = fused(fallbacks={"gpt-4o": ["anthropic/claude-haiku-4-5", "gpt-4.1"]})
    assert ask(fuse, logprobs=True).startswith("gpt-4.1")
    upstream.fail(503)
    with pytest.raises(ProviderFailed) as failed:
        ask(fused(fallbacks={"gpt-4o": ["anthropic/claude-haiku-4-5"]}), logprobs=True)
    assert failed.value.kind == "overloaded", "what the caller hears is the true failure"


def test_a_model_that_keeps_failing_is_left_alone_and_tried_again(upstream: Upstream) -> None:
    clock, heard = FrozenClock(), Heard()
    fuse = fused(heard, clock=clock, fallbacks={"gpt-4o": ["gpt-4.1"]})
    upstream.fail(500, times=6, model="gpt-4o")
    for _ in range(9):
        assert ask(fuse.session("one of many")).startswith("gpt-4.1")
    assert asked_models(upstream).count("gpt-4o") == 5
    (opened,) = heard.of(BreakerOpened)
    assert (opened.model, opened.seconds) == ("gpt-4o", 10.0)
    assert heard.of(FellBack)[-1].kind == "circuit_open"
    clock.advance(10.1)
    assert ask(fuse).startswith("gpt-4.1"), "the trial fails, and the rest is doubled"
    assert heard.of(BreakerOpened)[-1].seconds == 20.0
    clock.advance(20.1)
    assert ask(fuse).startswith("gpt-4o")
    assert asked_models(upstream)[-1] == "gpt-4o"


def test_without_a_fallback_an_open_breaker_says_so_at_once(upstream: Upstream) -> None:
    fuse = fused(breaker=True)
    upstream.fail(500, times=5)
    for _ in range(5):
        with pytest.raises(ProviderFailed):
            ask(fuse)
    with pytest.raises(ProviderFailed, match="left alone") as failed:
        ask(fuse)
    assert (failed.value.kind, failed.value.retry_after) == ("circuit_open", 10.0)
    assert upstream.calls == 5
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("status", [429, 401])
def test_a_key_at_its_limit_rests_while_another_is_asked(upstream: Upstream, status: int) -> None:
    fuse = fused(max_retries=2)
    keys = ["sk-upstream", "sk-second"]
    upstream.fail(status, retry_after=50 if status == 429 else None)
    completion("gpt-4o", QUESTION, fuse=fuse, api_key=keys)
    used = [request.headers["authorization"] for request in upstream.requests]
    assert used == ["Bearer sk-upstream", "Bearer sk-second"]
    completion("gpt-4o", QUESTION, fuse=fuse, api_key=keys)
    assert upstream.requests[-1].headers["authorization"] == "Bearer sk-second"


def test_keys_of_a_fuse_take_turns_and_serve_fallbacks(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    keys = {"openai": ["sk-upstream", "sk-second"], "anthropic": ["sk-second"]}
    fuse = fused(keys=keys, fallbacks=CHAIN)
    assert "sk-second" not in repr(fuse._shared.settings)
    for _ in range(3):
        ask(fuse)
    used = [request.headers["authorization"].rpartition("-")[2] for request in upstream.requests]
    assert used == ["upstream", "second", "upstream"]
    upstream.fail(500, times=2)
    assert ask(fuse) == "claude-haiku-4-5"


@pytest.mark.parametrize(
    "options",
    [
        {"fallbacks": {"gpt-4o": "gpt-4.1"}},
        {"fallbacks": {"gpt-4o": ["claude-haiku-4-5"]}},
        {"deadline": 0},
        {"retry_budget": -0.1},
        {"keys": {"openai": []}},
        {"keys": {"openai": "sk-one"}},
        {"keys": {"nobody": ["sk-one"]}},
        {"prompt_caching": "2h"},
    ],
    ids=str,
)
def test_options_that_are_off_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Fuse("$1", **options)


def test_the_log_says_what_was_done(upstream: Upstream) -> None:
    heard = Heard()
    upstream.fail(500, times=3)
    ask(fused(heard, max_retries=1, fallbacks=CHAIN))
    lines = [line_of(event) for event in heard.events]
    assert any(line.startswith("trying gpt-4o again in 0.") for line in lines)
    assert any(line.startswith("falling back from gpt-4o to gpt-4.1 after") for line in lines)
    assert any("to anthropic/claude-haiku-4-5 after" in line for line in lines)
    assert "attempt 4 after server_error, server_error, server_error" in lines[-1]


def test_a_fallbacks_answer_is_remembered_as_its_own(upstream: Upstream) -> None:
    upstream.fail(500)
    fuse = Fuse("$1", spend_book=False, fallbacks={"gpt-4o": ["gpt-4.1"]}, clock=FrozenClock())
    ask(fuse)
    assert ask(fuse).startswith("gpt-4o"), "the fallback's answer is not the model's own"
    assert ask(fuse, "gpt-4.1").startswith("gpt-4.1")
    assert upstream.calls == 3, "but it is remembered as the fallback's"
