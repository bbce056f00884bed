"""A streamed call through a cascade: two whole cheap answers, and one stream for the caller."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.chat import ChatCompletionChunk

from agentfuse import BudgetExceeded, Fuse, acompletion, completion
from agentfuse.routing import Cascade
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Say
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.tickets import Event

    Ask = Callable[..., list[Any]]

FIRST, SECOND, STRONG = "gpt-4o-mini", "gpt-4.1-nano", "gpt-4o"
CLAUDE = "claude-haiku-4-5"
CASCADE = Cascade(first=(FIRST, SECOND), strong=STRONG)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)


def said(asked: Asked) -> Say:
    """Let the models agree on everything but on what is hard."""
    if "hard" in asked.text:
        return Say({FIRST: "no", SECOND: "yes", STRONG: "Yes, certainly."}[asked.model])
    return Say("yes" if asked.model == SECOND else "Yes.")


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream(said) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider


@pytest.fixture(params=["blocking", "awaited"])
def ask(request: pytest.FixtureRequest) -> Ask:
    def words(fuse: Fuse, question: str, more: dict[str, Any]) -> dict[str, Any]:
        messages = [{"role": "user", "content": question}]
        return {"model": STRONG, "messages": messages, "max_tokens": 50, "fuse": fuse, **more}

    def blocking(fuse: Fuse, question: str, **more: Any) -> list[Any]:
        return list(completion(**words(fuse, question, more), stream=True))

    async def all_of(fuse: Fuse, question: str, more: dict[str, Any]) -> list[Any]:
        stream = await acompletion(**words(fuse, question, more), stream=True)
        return [chunk async for chunk in stream]

    def awaited(fuse: Fuse, question: str, **more: Any) -> list[Any]:
        return asyncio.run(all_of(fuse, question, more))

    return blocking if request.param == "blocking" else awaited


def text_of(chunks: list[Any]) -> str:
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def models_on(upstream: Upstream) -> list[str]:
    return sorted(request.model for request in upstream.requests)


def test_what_the_cheap_models_agree_on_comes_in_chunks(ask: Ask, upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard], route=CASCADE)
    chunks = ask(fuse, "Is it easy?")
    assert text_of(chunks) == "Yes."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert models_on(upstream) == [SECOND, FIRST]
    receipts = [event for event in heard.events if isinstance(event, Receipt)]
    assert {receipt.model for receipt in receipts} == {FIRST, SECOND}
    assert all(r.decision and r.decision.reason.endswith("agree") for r in receipts)
    assert fuse.receipt().spent == sum(receipt.cost for receipt in receipts) > 0
    assert fuse.open_leases() == ()


def test_a_difference_streams_the_strong_model(ask: Ask, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    assert text_of(ask(fuse, "Is it hard?")) == "Yes, certainly."
    assert models_on(upstream) == sorted([FIRST, SECOND, STRONG])
    assert [r.streamed for r in upstream.requests if r.model == STRONG] == [True]
    assert fuse.receipt().answers == 3
    assert fuse.open_leases() == ()


def test_a_caller_who_asked_for_usage_gets_it(ask: Ask, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, cache=False, route=CASCADE)
    for question in ("Is it easy?", "Is it hard?"):
        chunks = ask(fuse, question, stream_options={"include_usage": True})
        assert chunks[-1].usage.completion_tokens > 0
        assert all(chunk.usage is None for chunk in ask(fuse, question))


def test_all_three_have_to_fit_before_one_is_sent(ask: Ask, upstream: Upstream) -> None:
    fuse = Fuse("$0.0004", spend_book=False, clamp=False, route=CASCADE)
    with pytest.raises(BudgetExceeded):
        ask(fuse, "Is it easy? " * 100)
    assert upstream.requests == ()
    assert fuse.open_leases() == ()


def test_a_cheap_model_that_fails_is_no_error_of_the_callers(ask: Ask, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    upstream.fail(500)
    assert text_of(ask(fuse, "Is it easy?")) in {"yes", "Yes."}
    assert STRONG in models_on(upstream)
    assert fuse.open_leases() == ()


def test_what_was_said_before_is_replayed(ask: Ask, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    for question in ("Is it easy?", "Is it hard?"):
        first = text_of(ask(fuse, question))
        before = upstream.calls
        assert text_of(ask(fuse, question)) == first
        assert upstream.calls == before


def test_a_stream_and_a_whole_answer_serve_each_other(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    question: list[Any] = [{"role": "user", "content": "Is it easy?"}]
    whole = completion(STRONG, question, fuse=fuse).choices[0].message.content
    streamed = list(completion(STRONG, question, fuse=fuse, stream=True))
    assert text_of(streamed) == whole
    assert upstream.calls == 2


def test_another_providers_answer_comes_in_the_same_chunks(ask: Ask, upstream: Upstream) -> None:
    cascade = Cascade(first=(f"anthropic/{CLAUDE}", FIRST), strong=STRONG)
    fuse = Fuse("$1", spend_book=False, route=cascade)
    assert text_of(ask(fuse, "Is it easy?")) == "Yes."
    assert models_on(upstream) == sorted([CLAUDE, FIRST])


def test_a_strong_stream_given_up_is_settled(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, route=CASCADE)
    question: list[Any] = [{"role": "user", "content": "Is it hard?"}]
    with completion(STRONG, question, fuse=fuse, stream=True) as stream:
        next(stream)
    assert fuse.open_leases() == ()
    assert fuse.receipt().answers == 3
