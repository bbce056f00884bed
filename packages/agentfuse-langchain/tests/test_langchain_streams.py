"""Streams: remembered ones are true streams, and abandoned ones are settled and hung up."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.tools import tool

from agentfuse import BudgetExceeded, Fuse
from agentfuse.money import budget_of
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TWO_CALLS = Say(
    "Let me see.",
    [Call("get_weather", {"city": "Zürich \U0001f30d"}), Call("add", {"a": 1, "b": 2})],
)


def whole(chunks: list[Any]) -> AIMessageChunk:
    total = chunks[0]
    for chunk in chunks[1:]:
        total += chunk
    return total


def gist(message: Any) -> Any:
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    return message.text, calls, message.invalid_tool_calls


async def test_a_remembered_stream_is_like_the_live_one(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor, stream_usage=True).bind_tools([get_weather, add])
    model = AgentFuseChatModel(inner=bare.bound, fuse=fuse).bind_tools([get_weather, add])
    up.script([TWO_CALLS, TWO_CALLS])
    wanted = list(bare.stream("hello"))
    live = list(model.stream("hello"))
    again = list(model.stream("hello"))
    awaited = [chunk async for chunk in model.astream("hello")]
    assert up.calls == 2
    for chunks in (live, again, awaited):
        assert {type(chunk) for chunk in chunks} == {type(chunk) for chunk in wanted}
        assert {type(chunk.content) for chunk in chunks} == {type(c.content) for c in wanted}
        assert gist(whole(chunks)) == gist(whole(wanted))
        assert len(chunks) > 6
        assert sum(chunk.chunk_position == "last" for chunk in chunks) == 1
        assert chunks[-1].chunk_position == "last"
        assert sum(bool(chunk.usage_metadata) for chunk in chunks) == 1
        assert sum("model_name" in chunk.response_metadata for chunk in chunks) == 1
        pieces = [piece for chunk in chunks for piece in chunk.tool_call_chunks]
        assert [piece["name"] for piece in pieces if piece["name"]] == ["get_weather", "add"]
        assert all(piece["id"] is None for piece in pieces if not piece["name"])
        metadata = whole(chunks).response_metadata
        ends = ("finish_reason", "stop_reason", "model_name", "model_provider")
        expected = {k: v for k, v in whole(wanted).response_metadata.items() if k in ends}
        assert {k: v for k, v in metadata.items() if k in ends} == expected
    assert kinds_of(whole(again)) == kinds_of(whole(wanted))
    assert whole(again).usage_metadata["total_cost"] == 0
    mark = {"cached": True, "source": "exact"}
    assert whole(again).response_metadata["agentfuse"] == mark


def kinds_of(message: Any) -> list[Any]:
    return [block["type"] for block in message.content_blocks]


async def test_whole_and_streamed_answers_serve_each_other(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor, stream_usage=True)
    model = AgentFuseChatModel(inner=bare, fuse=fuse).bind_tools([get_weather, add])
    bound = bare.bind_tools([get_weather, add])
    up.script([TWO_CALLS] * 4)
    wanted = bound.invoke("one")
    streamed = list(model.stream("one"))
    answer = model.invoke("one")
    assert gist(answer) == gist(wanted) == gist(whole(streamed))
    assert type(answer) is type(wanted)
    assert type(answer.content) is type(wanted.content)
    asked = await model.ainvoke("two")
    chunks = list(model.stream("two"))
    assert gist(whole(chunks)) == gist(asked) == gist(wanted)
    assert kinds_of(whole(chunks)) == kinds_of(whole(streamed))
    assert up.calls == 3


def test_a_plain_answer_is_the_same_live_and_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    up.script([Say(" Two  spaces,\n\na line \u00e9nd ")])
    live, again = model.invoke("hello"), model.invoke("hello")
    left = {"usage_metadata", "response_metadata", "id"}
    assert again.model_dump(exclude=left) == live.model_dump(exclude=left)
    assert {**live.usage_metadata, "total_cost": 0} == again.usage_metadata
    mark = {"cached": True, "source": "exact"}
    assert {**live.response_metadata, "agentfuse": mark} == again.response_metadata
    assert "".join(chunk.text for chunk in model.stream("hello")) == live.text
    assert live.id != again.id
    assert up.calls == 1


def test_a_hit_cannot_be_spoilt_by_who_got_the_one_before(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse).bind_tools([add])
    up.script([Say("", [Call("add", {"a": 1, "b": 2})])])
    for _ in range(3):
        message = model.invoke("hello")
        assert message.tool_calls[0]["args"] == {"a": 1, "b": 2}
        message.tool_calls[0]["args"]["a"] = 99
        message.response_metadata.clear()
    assert up.calls == 1


def test_callbacks_hear_remembered_answers_too(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai", stream_usage=True), fuse=fuse)
    usage = UsageMetadataCallbackHandler()
    model.invoke("hello", config={"callbacks": [usage]})
    list(model.stream("hello", config={"callbacks": [usage]}))
    assert usage.usage_metadata["gpt-4o"]["input_tokens"] == 2 * up.usage_served().input_tokens


async def test_events_of_a_remembered_answer_are_those_of_a_live_one(
    bare_of: BareOf, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    runs = [[e async for e in model.astream_events("hello", version="v2")] for _ in range(2)]
    names = [{(event["event"], event["name"]) for event in run} for run in runs]
    assert names[0] == names[1]
    assert fuse.receipt().exact == 1


def test_an_abandoned_stream_is_settled_once_and_hung_up(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    up.script([Say("word " * 400)])
    up.slow(per_chunk=0.005)
    for number, _ in enumerate(model.stream("hello")):
        if number == 5:
            break
    gc.collect()
    assert fuse.open_leases() == ()
    assert up.wait_idle(5)
    assert up.requests[0].aborted
    assert up.requests[0].chunks_sent < 60
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (1, 1)
    assert receipt.spent > 0
    up.slow()
    assert model.invoke("hello").text
    assert up.calls == 2


@pytest.mark.parametrize("way", ["aclose", "cancel", "drop"])
async def test_an_abandoned_awaited_stream_is_settled_and_hung_up(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str, way: str
) -> None:
    # ChatOpenAI waits for each chunk with asyncio.wait_for, which in Python 3.11 may swallow a
    # cancel that meets a chunk (https://github.com/python/cpython/issues/86296), bare as well.
    untimed = {"stream_chunk_timeout": None} if vendor == "openai" else {}
    model = AgentFuseChatModel(inner=bare_of(vendor, **untimed), fuse=fuse)
    up.script([Say("word " * 400)])
    up.slow(per_chunk=0.005)

    begun = asyncio.Event()

    async def take() -> None:
        stream = model.astream("hello")
        async for _ in stream:
            begun.set()
            if way == "aclose":
                await stream.aclose()
            if way in {"aclose", "drop"}:
                break

    task = asyncio.create_task(take())
    if way == "cancel":
        await begun.wait()
        await asyncio.sleep(0.03)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    gc.collect()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not fuse.open_leases():
            break
    assert fuse.open_leases() == ()
    assert await asyncio.to_thread(up.wait_idle, 5)
    assert up.requests[0].aborted
    assert fuse.receipt().answers == 1
    assert fuse.receipt().spent > 0


@pytest.fixture
def uncollected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No garbage collector, and SDK streams in a circle, as older SDKs make them."""

    def circling(make: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, **words: Any) -> None:
            make(self, **words)
            self.circle = self

        return init

    for kind in (anthropic.Stream, anthropic.AsyncStream, openai.Stream, openai.AsyncStream):
        monkeypatch.setattr(kind, "__init__", circling(kind.__init__))
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
async def test_hanging_up_waits_for_no_garbage_collector(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    up.script([Say("word " * 400), Say("word " * 400)])
    up.slow(per_chunk=0.005)

    def take() -> None:
        for _ in model.stream("hello"):
            break

    await asyncio.to_thread(take)
    stream = model.astream("hello, then")
    async for _ in stream:
        break
    await stream.aclose()
    assert await asyncio.to_thread(up.wait_idle, 5)
    assert [request.aborted for request in up.requests] == [True, True]
    assert max(request.chunks_sent for request in up.requests) < 60


async def test_a_cancelled_call_leaves_no_lease(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    up.hang(2.0)
    task = asyncio.create_task(model.ainvoke("hello"))
    await asyncio.sleep(0.2)
    assert len(fuse.open_leases()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fuse.open_leases() == ()


class Talker(FakeListChatModel):
    """Says its one response in chunks without any metadata, however long it may be."""

    def _stream(self, *_: Any, **__: Any) -> Any:
        for word in self.responses[0].split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word + " "))

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise NotImplementedError


def test_a_stream_that_outgrows_its_lease_is_stopped_with_its_partial_text() -> None:
    prices = {"Talker": {"input": 1, "output": 100}}
    fuse = Fuse("$0.003", prices=prices, spend_book=False)
    model = AgentFuseChatModel(inner=Talker(responses=["word " * 3_000]), fuse=fuse)
    with pytest.raises(BudgetExceeded) as stop:
        list(model.stream("hello", max_tokens=10))
    assert isinstance(stop.value, BudgetStop)
    assert stop.value.partial_text.startswith("word word word")
    assert stop.value.receipt.answers == 1
    assert fuse.open_leases() == ()


def test_a_model_whose_streams_never_say_how_they_ended_is_remembered() -> None:
    fuse = Fuse(spend_book=False)
    model = AgentFuseChatModel(inner=Talker(responses=["one two"]), fuse=fuse)
    assert whole(list(model.stream("hello"))).text == "one two "
    assert whole(list(model.stream("hello"))).text == "one two "
    assert fuse.receipt().exact == 1
    for _ in model.stream("hello there"):
        break
    list(model.stream("hello there"))
    assert fuse.receipt().exact == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_sixteen_threads_never_pass_one_budget(
    bare_of: BareOf, up: Upstream, vendor: str, *, streaming: bool
) -> None:
    fuse = Fuse("$0.02", cache=False, spend_book=False)
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=256), fuse=fuse)
    up.slow(latency=0.05)
    up.script([Say("word " * 230)] * 48)

    def ask(number: int) -> bool:
        try:
            if streaming:
                for place, _ in enumerate(model.stream(f"What is {number}?")):
                    if number % 3 == 0 and place == 4:
                        break
            else:
                model.invoke(f"What is {number}?")
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        served = sum(pool.map(ask, range(48)))
    assert up.wait_idle(5)
    assert 0 < served < 48
    assert up.calls == served
    assert 0 < fuse.receipt().spent <= budget_of("$0.02")
    assert fuse.open_leases() == ()
