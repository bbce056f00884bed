"""What is remembered, what never is, and that a remembered answer is a true one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agentfuse import Fuse, acompletion, completion
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.testing.upstream import Call, Say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED = [{"role": "user", "content": "What is Python?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA = {
    "name": "answer",
    "schema": {"type": "object", "properties": {"text": {"type": "string"}}},
}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A simulated provider."""
    with Upstream() as provider:
        yield provider


def ask(upstream: Upstream, fuse: Fuse, messages: Any = None, **params: Any) -> Any:
    """Ask gpt-4o."""
    return completion(
        params.pop("model", "gpt-4o"),
        messages or ASKED,
        fuse=fuse,
        base_url=upstream.openai_url,
        api_key="sk-upstream",
        **params,
    )


def test_the_second_time_costs_nothing(upstream: Upstream) -> None:
    """The same question is asked once; the receipt says what was saved."""
    fuse = Fuse("$5.00")
    first, second = ask(upstream, fuse), ask(upstream, fuse)
    assert upstream.calls == 1
    assert isinstance(second, ChatCompletion)
    assert second == first
    assert second is not first
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.exact) == (2, 1)
    assert receipt.saved == receipt.spent > 0
    assert "1 of 2 answers from cache" in str(receipt)


def test_changing_one_hit_changes_no_other(upstream: Upstream) -> None:
    """What is given out is the caller's own."""
    fuse = Fuse()
    ask(upstream, fuse)
    spoiled = ask(upstream, fuse)
    spoiled.choices[0].message.content = "spoiled"
    assert ask(upstream, fuse).choices[0].message.content.startswith("Answer to")


@pytest.mark.parametrize(
    "other",
    [
        {"max_tokens": 500},
        {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        {"seed": 7},
        {"n": 2},
        {"tools": [TOOL]},
        {"temperature": 0.2},
        {"tenant_id": "acme"},
        {"model": "gpt-4o-mini"},
        {"logprobs": True},
        {"a_parameter_of_tomorrow": 1},
        {"messages": [{"role": "system", "content": "Be a pirate."}, *ASKED]},
        {"messages": [{"role": "user", "content": "What is Python? "}]},
        {"messages": [{"role": "user", "name": "ann", "content": "What is Python?"}]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_question_is_never_answered_with_this_one(
    upstream: Upstream, other: dict[str, Any]
) -> None:
    """Every parameter, the system prompt, the tools and the tenant are part of the question."""
    fuse = Fuse()
    ask(upstream, fuse)
    ask(upstream, fuse, **other)
    assert upstream.calls == 2
    ask(upstream, fuse)
    ask(upstream, fuse, **other)
    assert upstream.calls == 2


def test_two_tenants_share_nothing(upstream: Upstream) -> None:
    """No tenant, and each tenant, are strangers to each other."""
    fuse = Fuse()
    for tenant in (None, "a", "b", "", "None", "no tenant"):
        ask(upstream, fuse, tenant_id=tenant)
    assert upstream.calls == 6


@pytest.mark.parametrize(
    "variety",
    [{"temperature": 1.0}, {"web_search_options": {}}, {"prompt": {"id": "pmpt_1"}}],
    ids=["temperature", "search", "kept prompt"],
)
def test_what_asks_for_variety_or_news_is_asked_again(
    upstream: Upstream, variety: dict[str, Any]
) -> None:
    """A high temperature, a live search and a prompt kept elsewhere are never remembered."""
    fuse = Fuse()
    ask(upstream, fuse, **variety)
    ask(upstream, fuse, **variety)
    assert upstream.calls == 2


@pytest.mark.parametrize(
    "answer",
    [
        Say("half", finish_reason="length"),
        Say("no", finish_reason="content_filter"),
        Say("", finish_reason="stop"),
    ],
    ids=["truncated", "filtered", "empty"],
)
def test_what_is_not_a_whole_answer_is_not_kept(upstream: Upstream, answer: Say) -> None:
    """Truncated, filtered and empty answers are given once."""
    fuse = Fuse()
    upstream.script([answer, answer])
    ask(upstream, fuse)
    ask(upstream, fuse)
    assert upstream.calls == 2


def test_an_answer_that_calls_a_side_effect_tool_is_not_kept(upstream: Upstream) -> None:
    """What acts on the world is decided anew each time."""
    fuse = Fuse(side_effect_tools=["get_weather"])
    call = Say(tool_calls=[Call("get_weather", {"city": "Oslo"})])
    upstream.script([call, call])
    ask(upstream, fuse, tools=[TOOL])
    ask(upstream, fuse, tools=[TOOL])
    assert upstream.calls == 2


def test_a_failure_is_not_kept(upstream: Upstream) -> None:
    """The next caller asks for itself."""
    fuse = Fuse("$1")
    upstream.fail(400)
    with pytest.raises(Exception, match="bad request"):
        ask(upstream, fuse)
    assert ask(upstream, fuse).choices
    assert upstream.calls == 2


def test_tool_call_ids_made_up_by_a_framework_do_not_hide_an_answer(upstream: Upstream) -> None:
    """Ids are numbered in order of appearance."""
    fuse = Fuse()
    for made_up in ("call_a", "call_b"):
        call = {"id": made_up, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        history = [
            *ASKED,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": made_up, "content": "a language"},
        ]
        ask(upstream, fuse, history)
    assert upstream.calls == 1


def test_three_identical_threads_make_one_call(upstream: Upstream) -> None:
    """One wire call, one charge, three answers."""
    fuse = Fuse("$5.00")
    upstream.slow(latency=0.3)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: ask(upstream, fuse), range(3)))
    assert upstream.calls == 1
    assert answers[0] == answers[1] == answers[2]
    receipt = fuse.receipt()
    assert receipt.from_cache == 2
    assert receipt.saved == 2 * receipt.spent


async def test_three_identical_tasks_make_one_call(upstream: Upstream) -> None:
    """The same for tasks, and for streams among them."""
    fuse = Fuse("$5.00")
    upstream.slow(latency=0.3)
    where = {"base_url": upstream.openai_url, "api_key": "sk-upstream", "fuse": fuse}

    async def whole() -> str:
        return (await acompletion("gpt-4o", ASKED, **where)).choices[0].message.content or ""

    async def streamed() -> str:
        stream = await acompletion("gpt-4o", ASKED, stream=True, **where)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    answers = await asyncio.gather(whole(), whole(), streamed())
    assert upstream.calls == 1
    assert len(set(answers)) == 1
    assert fuse.receipt().coalesced == 2


def test_waiting_for_a_leader_that_fails_ends_in_an_own_call(upstream: Upstream) -> None:
    """Nobody is given another's error, and nobody waits for ever."""
    fuse = Fuse("$5.00")
    upstream.slow(latency=0.2)
    upstream.fail(400)

    def attempt(_: int) -> bool:
        try:
            ask(upstream, fuse)
        except Exception:  # noqa: BLE001 - whichever of the three led
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(attempt, range(3))) == [False, True, True]
    assert upstream.calls == 2
    assert fuse.open_leases() == ()


def test_the_consumer_of_an_open_stream_can_ask_the_same_again(upstream: Upstream) -> None:
    """It would wait for itself; so it asks."""
    fuse = Fuse("$5.00")
    with ask(upstream, fuse, stream=True) as stream:
        next(stream)
        assert ask(upstream, fuse).choices
        assert [chunk for chunk in stream if chunk.choices]
    assert upstream.calls == 2
    assert fuse.open_leases() == ()


def test_a_remembered_stream_iterates_like_a_live_one(upstream: Upstream) -> None:
    """The same types, the same text, the same tool calls, the same ending."""
    fuse = Fuse()
    upstream.script([Say("Let me look.", [Call("get_weather", {"city": "Oslo"})])])
    live = list(ask(upstream, fuse, tools=[TOOL], stream=True))
    again = list(ask(upstream, fuse, tools=[TOOL], stream=True))
    assert upstream.calls == 1
    assert {type(chunk) for chunk in again} == {type(chunk) for chunk in live}
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in again)
    assert said_in(again) == said_in(live)
    assert len(again) > 3


def test_usage_comes_with_a_stream_only_if_it_was_asked_for(upstream: Upstream) -> None:
    """It is forced onto the wire for our own books, and kept from who did not ask."""
    fuse = Fuse()
    for number in range(2):
        chunks = list(ask(upstream, fuse, stream=True))
        assert all(chunk.choices for chunk in chunks)
        wanted = list(ask(upstream, fuse, stream=True, stream_options={"include_usage": True}))
        assert wanted[-1].usage.total_tokens > 0
        assert upstream.calls == 1, number
    assert upstream.requests[0].body["stream_options"] == {"include_usage": True}


def test_a_stream_and_a_whole_answer_share_an_entry(upstream: Upstream) -> None:
    """How an answer travels is not part of the question."""
    fuse = Fuse()
    live = said_in(list(ask(upstream, fuse, stream=True)))
    assert ask(upstream, fuse).choices[0].message.content == live[0]
    assert upstream.calls == 1


def test_a_cut_stream_is_not_remembered(upstream: Upstream) -> None:
    """The next caller gets a whole answer."""
    fuse = Fuse("$1")
    upstream.cut(after_chunks=3)
    with pytest.raises(Exception, match="interrupted"):
        list(ask(upstream, fuse, stream=True))
    assert fuse.receipt().spent > 0
    assert fuse.receipt().estimated == 1
    assert said_in(list(ask(upstream, fuse, stream=True)))[1] == "stop"
    assert upstream.calls == 2
    assert fuse.open_leases() == ()


def test_answers_grow_stale(upstream: Upstream) -> None:
    """After its lifetime an answer is asked for again."""
    clock = FrozenClock()
    fuse = Fuse(cache_ttl=60, clock=clock)
    ask(upstream, fuse)
    clock.advance(50)
    ask(upstream, fuse)
    assert upstream.calls == 1
    clock.advance(11)
    ask(upstream, fuse)
    assert upstream.calls == 2


def test_a_cache_on_disk_survives_a_restart(upstream: Upstream, tmp_path: Path) -> None:
    """Another fuse on the same file finds the answer, stream or not, at no cost."""
    path = tmp_path / "answers.db"
    first = ask(upstream, Fuse(cache=path))
    fuse = Fuse("$1", cache=path)
    assert ask(upstream, fuse) == first
    assert said_in(list(ask(upstream, fuse, stream=True)))[1] == "stop"
    assert upstream.calls == 1
    assert fuse.receipt().spent == 0


async def test_a_cache_on_disk_serves_awaited_callers(upstream: Upstream, tmp_path: Path) -> None:
    """The disk is read off the loop."""
    where = {"base_url": upstream.openai_url, "api_key": "sk-upstream"}
    for _ in range(2):
        fuse = Fuse("$1", cache=tmp_path / "answers.db")
        assert (await acompletion("gpt-4o", ASKED, fuse=fuse, **where)).choices
    assert upstream.calls == 1


def test_a_corrupt_cache_is_set_aside_and_said_once(
    upstream: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run goes on with a new file; nothing is deleted."""
    path = tmp_path / "answers.db"
    path.write_bytes(b"this is no database" * 1_000)
    fuse = Fuse(cache=path)
    ask(upstream, fuse)
    ask(upstream, fuse)
    assert upstream.calls == 1
    assert len([record for record in caplog.records if "answers.db" in record.getMessage()]) == 1
    (aside,) = tmp_path.glob("answers.db.corrupt-*")
    assert aside.read_bytes().startswith(b"this is no database")
    ask(upstream, Fuse(cache=path))
    assert upstream.calls == 1


def said_in(chunks: list[ChatCompletionChunk]) -> tuple[str, str, list[tuple[str, str]]]:
    """Join a stream: text, ending, tool calls."""
    text, finish, calls = "", "", {}
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or ():
                name, arguments = calls.get(call.index, ("", ""))
                function = call.function
                assert function is not None
                calls[call.index] = (
                    name + (function.name or ""),
                    arguments + (function.arguments or ""),
                )
    return text, finish, list(calls.values())
