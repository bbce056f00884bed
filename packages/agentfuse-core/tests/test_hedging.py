"""A second request where the first takes long: both reserved and booked, the first answer wins."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import Fuse, acompletion, completion
from agentfuse.courses import Hedged
from agentfuse.errors import ProviderFailed
from agentfuse.testing import Upstream
from agentfuse.tickets import Failed, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

QUESTION = [{"role": "user", "content": "What is a fuse?"}]
MODELS = ("gpt-4o", "claude-haiku-4-5")
SLOW = 1.5


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
    with Upstream(answer_tokens=20) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        for model in MODELS:  # the first use of an SDK takes its time
            completion(model, QUESTION, fuse=Fuse(spend_book=False), max_tokens=50)
        provider.reset()
        yield provider


def ask(fuse: Fuse, model: str, *, awaited: bool) -> str:
    if awaited:
        answer = asyncio.run(acompletion(model, QUESTION, fuse=fuse, max_tokens=50))
    else:
        answer = completion(model, QUESTION, fuse=fuse, max_tokens=50)
    return answer.choices[0].message.content or ""


def settled(fuse: Fuse) -> bool:
    """Wait until the loser is booked as well."""
    until = time.monotonic() + 5
    while fuse.open_leases() and time.monotonic() < until:
        time.sleep(0.02)
    return not fuse.open_leases()


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
@pytest.mark.parametrize("model", MODELS)
def test_the_second_request_wins_and_both_are_booked(
    upstream: Upstream, model: str, *, awaited: bool
) -> None:
    heard = Heard()
    fuse = Fuse("$1", hedge_after=0.2, listeners=[heard], spend_book=False)
    upstream.hang(SLOW)
    began = time.monotonic()
    assert ask(fuse, model, awaited=awaited)
    assert time.monotonic() - began < SLOW
    assert settled(fuse)
    assert upstream.calls == 2
    (receipt,) = heard.of(Receipt)
    (lost,) = heard.of(Failed)
    assert lost.kind == ("cancelled" if awaited else "outrun")
    assert lost.cost > 0
    assert len(heard.of(Hedged)) == 1
    summed = fuse.receipt()
    assert (summed.answers, summed.hedges, summed.failures) == (1, 1, 1)
    assert summed.spent == receipt.cost + lost.cost
    assert fuse.used() == pytest.approx(summed.spent / 1e9)
    assert ask(fuse, model, awaited=awaited)
    assert upstream.calls == 2, "the winner's answer is remembered"


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_the_first_request_may_win_after_all(upstream: Upstream, *, awaited: bool) -> None:
    heard = Heard()
    fuse = Fuse("$1", hedge_after=0.1, cache=False, listeners=[heard], spend_book=False)
    upstream.hang(0.5)
    upstream.hang(SLOW)
    assert ask(fuse, "gpt-4o", awaited=awaited)
    assert settled(fuse)
    assert upstream.calls == 2
    assert [event.id.endswith(":h") for event in heard.of(Failed)] == [True]


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
@pytest.mark.parametrize("fails", ["one", "both"])
def test_a_failure_leaves_it_to_the_other(upstream: Upstream, fails: str, *, awaited: bool) -> None:
    fuse = Fuse("$1", hedge_after=0.2, cache=False, spend_book=False)
    upstream.slow(latency=0.4)
    upstream.fail(503, times=1 if fails == "one" else 2)
    if fails == "one":
        assert ask(fuse, "gpt-4o", awaited=awaited)
    else:
        with pytest.raises(ProviderFailed):
            ask(fuse, "gpt-4o", awaited=awaited)
    assert settled(fuse)
    assert upstream.calls == 2


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_what_does_not_fit_is_not_asked_twice(upstream: Upstream, *, awaited: bool) -> None:
    fuse = Fuse("$0.0006", hedge_after=0.1, cache=False, spend_book=False)
    upstream.hang(0.5)
    assert ask(fuse, "gpt-4o", awaited=awaited)
    assert upstream.calls == 1
    assert fuse.open_leases() == ()


def test_a_quick_answer_is_asked_once(upstream: Upstream) -> None:
    fuse = Fuse("$1", hedge_after=5, cache=False, spend_book=False)
    assert ask(fuse, "gpt-4o", awaited=False)
    assert upstream.calls == 1
    assert fuse.receipt().hedges == 0


def test_a_caller_who_leaves_has_both_settled(upstream: Upstream) -> None:
    fuse = Fuse("$1", hedge_after=0.1, cache=False, spend_book=False)
    upstream.hang(20, times=2)

    async def leave() -> None:
        asked = asyncio.create_task(acompletion("gpt-4o", QUESTION, fuse=fuse, max_tokens=50))
        while upstream.calls < 2:  # noqa: ASYNC110 - the provider runs on threads of its own
            await asyncio.sleep(0.02)
        asked.cancel()
        await asked

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
    assert fuse.open_leases() == ()
    assert upstream.calls == 2
    assert fuse.receipt().failures == 2
