"""Counters that a user gives are asked before the rules, and no failure of theirs is a call's."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import Fuse, acompletion, completion
from agentfuse.messages import Message, Request, Text
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.tickets import StoreTrouble
from agentfuse.tokens import RequestCounter, TokenCounter, TokenEstimate
from agentfuse.tokens.counters import REST, Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

ASKED = [{"role": "user", "content": "How many tokens is this?"}]
KNOWN = TokenEstimate(tokens=1234, low=1200, high=1300, method="exact")


def request(text: str = "hello world") -> Request:
    messages = (Message("user", (Text(text),)),)
    return Request(provider="openai", model="gpt-4o", messages=messages)


class Scripted:
    """Answers with what it is given, and notes on which thread it was asked."""

    def __init__(self, *answers: TokenEstimate | Exception | None) -> None:
        self._answers = list(answers)
        self.threads: list[threading.Thread] = []

    def count(self, request: Request) -> TokenEstimate | None:
        del request
        self.threads.append(threading.current_thread())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Ear:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    @property
    def troubles(self) -> list[StoreTrouble]:
        return [event for event in self.heard if isinstance(event, StoreTrouble)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def asking(upstream: Upstream, fuse: Fuse) -> dict[str, Any]:
    where = {"base_url": upstream.openai_url, "api_key": "sk-upstream"}
    return {"model": "gpt-4o", "messages": ASKED, "fuse": fuse, "max_tokens": 50, **where}


def test_the_first_counter_that_knows_a_request_is_believed() -> None:
    counters: list[RequestCounter] = [Scripted(None), Scripted(KNOWN), Scripted(None)]
    counter = TokenCounter(counters)
    assert counter.count(request()) == KNOWN
    body = {"messages": ASKED}
    assert counter.count_request(body, "gpt-4o", "chat.completions") == KNOWN


def test_a_request_that_no_counter_knows_is_counted_by_the_rules() -> None:
    assert TokenCounter([Scripted(None)]).count(request()) == TokenCounter().count(request())


def test_a_counter_that_fails_is_told_once_and_left_alone_for_a_minute() -> None:
    clock = [1000.0]
    counter = Scripted(OSError("no route"))
    told: list[StoreTrouble] = []
    counters = Counters([counter], lambda: clock[0])
    for _ in range(3):
        assert counters.count(request(), told.append) is None
    assert len(counter.threads) == 1
    clock[0] += REST
    assert counters.count(request(), told.append) is None
    assert len(counter.threads) == 2
    reason = "OSError: no route; the rules count instead"
    assert told == [StoreTrouble(store="counter Scripted", error=reason)]


def test_a_counter_that_works_again_is_told_when_it_fails_again() -> None:
    clock = [0.0]
    counter = Scripted(OSError("a"), KNOWN, OSError("b"))
    told: list[StoreTrouble] = []
    counters = Counters([counter], lambda: clock[0])
    for _ in range(3):
        counters.count(request(), told.append)
        clock[0] += REST
    assert [trouble.error[:10] for trouble in told] == ["OSError: a", "OSError: b"]


def test_without_a_fuse_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert TokenCounter([Scripted(ValueError("odd"))]).count(request()).method == "exact"
    assert "trouble with the counter Scripted: ValueError: odd" in caplog.text


def test_a_fuse_sets_aside_what_its_counter_says() -> None:
    held: list[int] = []
    fuse = Fuse("$1", counters=[Scripted(KNOWN)])

    def answer(_: Any) -> Say:
        held.extend(lease.amount.nanodollars for lease in fuse.open_leases())
        return Say("Seven.")

    with Upstream(answer) as watched:
        completion(**asking(watched, fuse))
    assert held == [KNOWN.high * 2_500 + 50 * 10_000]


def test_a_failing_counter_is_heard_of_and_the_call_goes_on(upstream: Upstream) -> None:
    ear = Ear()
    fuse = Fuse("$1", counters=[Scripted(OSError("no route"))], listeners=[ear], cache=False)
    for _ in range(2):
        assert completion(**asking(upstream, fuse)).choices[0].message.content
    assert [trouble.store for trouble in ear.troubles] == ["counter Scripted"]
    assert fuse.receipt().store_troubles == 1


def test_without_a_budget_no_counter_is_asked(upstream: Upstream) -> None:
    counter = Scripted(KNOWN)
    completion(**asking(upstream, Fuse(counters=[counter])))
    assert counter.threads == []


async def test_a_slow_counter_does_not_hold_up_the_event_loop(upstream: Upstream) -> None:
    class Slow(Scripted):
        began = False

        def count(self, request: Request) -> TokenEstimate | None:
            self.began = True
            time.sleep(0.5)
            return super().count(request)

    counter = Slow(KNOWN)
    call = asyncio.create_task(acompletion(**asking(upstream, Fuse("$1", counters=[counter]))))
    turns = 0
    while not counter.threads:
        await asyncio.sleep(0.005)
        turns += counter.began
    assert (await call).choices[0].message.content
    assert counter.threads[0] is not threading.main_thread()
    assert turns > 5


def test_a_cut_stream_is_billed_by_what_was_counted_and_not_counted_again(
    upstream: Upstream,
) -> None:
    counter = Scripted(KNOWN)
    fuse = Fuse("$1", counters=[counter])
    upstream.script([Say("word " * 40)])
    stream = completion(**asking(upstream, fuse), stream=True)
    next(stream)
    next(stream)
    stream.close()
    assert len(counter.threads) == 1
    assert fuse.receipt().spent * 10**9 > KNOWN.tokens * 2_500
