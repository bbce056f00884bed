"""What goes round in circles is seen, told, made cheaper or stopped; honest repeats are not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from long_talks import Heard

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    LoopDetected,
    LoopRules,
    acompletion,
    completion,
    scope,
)
from agentfuse.conduct import Looping
from agentfuse.observe.logging import line_of
from agentfuse.policy.cycles import cycle_in
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse.tickets import Downgraded, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.testing.upstream.said import Asked


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def heard() -> Heard:
    return Heard()


def ask(fuse: Fuse, upstream: Upstream, messages: Any = "Why?", **options: Any) -> str:
    said = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    words = {"model": "gpt-4o", "base_url": upstream.openai_url, "api_key": "sk-upstream"}
    answer = completion(messages=said, fuse=fuse, **{**words, **options})
    return answer.choices[0].message.content or ""


Step = tuple[str, dict[str, Any], str]
"""A tool's name, its arguments, and its result."""


def agent(fuse: Fuse, steps: Callable[[int], Step], most: int) -> int:
    """Let an agent make steps until it is stopped, and say how many calls it made."""

    def responder(asked: Asked) -> Say:
        number = sum(len(turn.calls) for turn in asked.turns)
        name, arguments, _ = steps(number)
        return Say(f"Try {number}.", [Call(name, arguments)])

    messages: list[Any] = [{"role": "user", "content": "Find out."}]
    with Upstream(responder) as provider:
        words = {"base_url": provider.openai_url, "api_key": "sk-upstream", "fuse": fuse}
        for number in range(most):
            try:
                answer = completion(model="gpt-4o", messages=messages, **words)
            except LoopDetected:
                return number
            said = answer.choices[0].message
            assert said.tool_calls
            result = {"tool_call_id": said.tool_calls[0].id, "content": steps(number)[2]}
            messages += [said.model_dump(exclude_none=True), {"role": "tool", **result}]
    return most


def same_search(number: int) -> Step:
    words = {"query": "fuse", "page": 1} if number % 2 else {"page": 1, "query": "fuse"}
    return "search", words, "nothing found"


def stopping(heard: Heard, **options: Any) -> Fuse:
    words = {"loops": "stop", "cache": False, **options}
    return Fuse("$5", spend_book=False, listeners=[heard], **words)


def test_the_same_call_with_the_same_result_is_stopped(upstream: Upstream, heard: Heard) -> None:
    assert agent(stopping(heard), same_search, 20) == 4
    (event,) = heard.of(Looping)
    assert event.loop.what == "tools"
    assert event.loop.times == 4
    assert event.loop.actions == ('search({"page":1,"query":"fuse"})',)
    assert event.loop.cost > 0


def test_the_stop_says_what_it_saw_and_what_was_done(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard)
    for _ in range(4):
        ask(fuse, upstream)
    with pytest.raises(LoopDetected, match="the very same was asked 4 times") as stop:
        ask(fuse, upstream)
    assert isinstance(stop.value, BudgetExceeded)
    assert stop.value.loop is not None
    assert stop.value.loop.actions == ("Why?",)
    assert stop.value.results == ("Answer to: Why?",) * 4
    assert stop.value.receipt.loops == stop.value.receipt.refusals == 1
    assert upstream.calls == 4


def test_awaited_it_is_the_same(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard)
    words = {"model": "gpt-4o", "base_url": upstream.openai_url, "api_key": "sk-upstream"}

    async def until_stopped() -> None:
        while True:
            await acompletion(messages=[{"role": "user", "content": "Why?"}], fuse=fuse, **words)

    with pytest.raises(LoopDetected):
        asyncio.run(until_stopped())
    assert upstream.calls == 4


def test_a_loop_on_remembered_answers_is_one(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard, cache=True)
    for _ in range(4):
        ask(fuse, upstream)
    with pytest.raises(LoopDetected):
        ask(fuse, upstream)
    assert upstream.calls == 1


def test_two_agents_that_hand_over_to_each_other_are_stopped(
    upstream: Upstream, heard: Heard
) -> None:
    fuse = stopping(heard)

    def go_round() -> None:
        for name, says in (("writer", "Is it good?"), ("critic", "Write it anew.")) * 10:
            with scope(tags=(name,)):
                ask(fuse, upstream, says)

    with pytest.raises(LoopDetected) as stop:
        go_round()
    assert stop.value.loop is not None
    assert set(stop.value.loop.agents) == {"writer", "critic"}
    assert upstream.calls == 6


def test_a_handover_back_and_forth_in_one_history_is_stopped(
    upstream: Upstream, heard: Heard
) -> None:
    def handed(number: int) -> Step:
        return f"transfer_to_{'ba'[number % 2]}", {}, "transferred"

    assert agent(stopping(heard), handed, 20) == 6


def test_dear_repeats_are_stopped_earlier(upstream: Upstream, heard: Heard) -> None:
    rules = LoopRules("stop", dear="$0.000001")
    assert agent(stopping(heard, loops=rules), same_search, 20) == 3


def test_the_same_answer_to_the_same_observation_is_a_loop(heard: Heard) -> None:
    """An agent without tools of the API's: its history grows, and nothing else changes."""
    with Upstream(lambda _: Say("Action: search[fuse]")) as provider:
        fuse = stopping(heard)
        messages: list[Any] = [{"role": "user", "content": "Find out."}]

        def go_round() -> None:
            for _ in range(20):
                said = ask(fuse, provider, messages)
                messages.append({"role": "assistant", "content": said})
                messages.append({"role": "user", "content": "Observation: nothing"})

        with pytest.raises(LoopDetected) as stop:
            go_round()
        assert stop.value.loop is not None
        assert stop.value.loop.what == "answers"
        assert provider.calls <= 6


def test_what_means_the_same_counts_where_somebody_can_tell(
    upstream: Upstream, heard: Heard
) -> None:
    def search(number: int) -> Step:
        query = ["fuses", "a fuse", "the fuse", "fuse", "my fuses", "fused"][number % 6]
        return "search", {"query": query}, "nothing found"

    assert agent(stopping(heard), search, 12) == 12
    rules = LoopRules("stop", similar=lambda a, b: ("fuse" in a) == ("fuse" in b))
    assert agent(stopping(heard, loops=rules), search, 12) == 4


# --- honest repeats -------------------------------------------------------------------------------


def polling(number: int) -> Step:
    return "get_status", {"job": 7}, f"{number * 10} % done"


def paging(number: int) -> Step:
    return "list_rows", {"page": number}, "twenty rows"


def refining(number: int) -> Step:
    return "run_tests", {}, f"{9 - number} tests fail"


@pytest.mark.parametrize("steps", [polling, paging, refining])
def test_progress_is_no_loop(
    upstream: Upstream, heard: Heard, steps: Callable[[int], Step]
) -> None:
    assert agent(stopping(heard), steps, 12) == 12
    assert heard.of(Looping) == []


def test_a_tool_that_polls_may_be_called_again_and_again(upstream: Upstream, heard: Heard) -> None:
    def waiting(number: int) -> Step:
        return "get_status", {"job": 7}, "queued"

    rules = LoopRules("stop", polls=frozenset({"get_status"}))
    assert agent(stopping(heard, loops=rules), waiting, 12) == 12
    assert agent(stopping(heard), waiting, 12) == 4


def test_the_same_question_of_many_users_is_no_loop(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard)
    for number in range(10):
        with scope(user=f"u{number}"):
            ask(fuse, upstream)
        with scope(session=f"s{number}"):
            ask(fuse, upstream)
    assert heard.of(Looping) == []


def test_the_same_answer_to_different_questions_is_no_loop(heard: Heard) -> None:
    with Upstream(lambda _: Say("positive")) as provider:
        fuse = stopping(heard)
        for number in range(12):
            ask(fuse, provider, f"Review {number}: fine.")
    assert heard.of(Looping) == []


def test_a_user_who_asks_again_after_something_else_is_no_loop(
    upstream: Upstream, heard: Heard
) -> None:
    fuse = stopping(heard)
    for number in range(8):
        ask(fuse, upstream, "What time is it?")
        ask(fuse, upstream, f"And now something else, number {number}.")
    assert heard.of(Looping) == []


def test_many_at_once_are_no_loop(heard: Heard) -> None:
    with Upstream(latency=0.2) as provider:
        fuse = stopping(heard)
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: ask(fuse, provider), range(12)))
    assert heard.of(Looping) == []


def test_repeats_far_apart_are_no_loop(upstream: Upstream, heard: Heard) -> None:
    clock = FrozenClock(1_800_000_000.0)
    fuse = stopping(heard, clock=clock)
    for _ in range(10):
        ask(fuse, upstream)
        clock.advance(300)
    assert heard.of(Looping) == []


def test_failed_calls_that_are_tried_again_are_no_loop(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard)
    upstream.fail(500, times=8)
    for _ in range(8):
        with pytest.raises(Exception, match="could not answer"):
            ask(fuse, upstream)
    assert ask(fuse, upstream)


# --- what is done ---------------------------------------------------------------------------------


def test_by_default_a_loop_is_told_and_goes_on(upstream: Upstream, heard: Heard) -> None:
    told: list[Any] = []
    fuse = Fuse("$5", spend_book=False, listeners=[heard], on_alert=told.append)
    for _ in range(10):
        ask(fuse, upstream)
    assert [event.loop.times for event in heard.of(Looping)] == [4, 8]
    assert told == heard.of(Looping)
    assert "the same requests 4 times" in line_of(told[0])
    assert "Why?" not in line_of(told[0])
    assert fuse.receipt().loops == 2
    assert "went on with a loop: 2" in fuse.receipt().table()


def test_a_loop_longer_than_what_is_remembered_is_not_told_again_and_again(
    upstream: Upstream, heard: Heard
) -> None:
    fuse = Fuse("$5", listeners=[heard], spend_book=False)
    for _ in range(50):
        ask(fuse, upstream)
    assert [event.loop.times for event in heard.of(Looping)] == [4, 8, 16, 32]


def test_what_repeats_have_cost_is_summed_up_past_what_is_remembered(
    upstream: Upstream, heard: Heard
) -> None:
    rules = LoopRules(times=20)
    fuse = Fuse("$5", listeners=[heard], loops=rules, spend_book=False, cache=False)
    for number in range(30):
        ask(fuse, upstream, f"Question {number}?")
    for _ in range(21):
        ask(fuse, upstream)
    costs = [event.cost for event in heard.of(Receipt)]
    found = heard.of(Looping)[0].loop
    assert (found.what, found.times) == ("requests", 20)
    assert found.cost == sum(costs[31:50])


def test_a_loop_can_go_on_with_a_cheaper_model(upstream: Upstream, heard: Heard) -> None:
    fuse = stopping(heard, loops="downgrade", downgrade={"gpt-4o": "gpt-4o-mini"})
    for _ in range(6):
        ask(fuse, upstream)
    assert [r.model for r in upstream.requests] == ["gpt-4o"] * 4 + ["gpt-4o-mini"] * 2
    assert [event.limit for event in heard.of(Downgraded)] == [None, None]
    assert "a loop goes on" in line_of(heard.of(Downgraded)[0])


def test_nobody_looks_where_nobody_wants_to_know(upstream: Upstream, heard: Heard) -> None:
    fuse = Fuse("$5", spend_book=False, listeners=[heard], loops=None)
    for _ in range(8):
        ask(fuse, upstream)
    assert heard.of(Looping) == []


@pytest.mark.parametrize(
    "options",
    [{"loops": "end"}, {"loops": 3}, {"loops": "downgrade"}],
)
def test_words_that_are_off_are_clear_errors(options: Any) -> None:
    with pytest.raises(ConfigurationError):
        Fuse("$1", spend_book=False, **options)


@pytest.mark.parametrize("words", [{"times": 2}, {"within": 0}, {"dear": "cheap"}])
def test_rules_are_checked_when_they_are_written(words: Any) -> None:
    with pytest.raises(ConfigurationError):
        LoopRules("stop", **words)


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ("aaaa", (1, 4)),
        ("xaaaaa", (1, 5)),
        ("ababab", (2, 3)),
        ("xyabcabcabc", (3, 3)),
        ("aaab", None),
        ("abab", None),
        ("abcdefgh", None),
        ("", None),
    ],
)
def test_cycles_at_the_end_are_found(items: str, found: Any) -> None:
    assert cycle_in(items, 4, lambda a, b: a == b) == found
