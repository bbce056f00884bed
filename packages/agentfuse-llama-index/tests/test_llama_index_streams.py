"""Streams: usage stays hidden, remembered ones are true, abandoned ones are hung up at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.instrumentation import root_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import (
    LLM,
    ChatMessage,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.llms.openai import OpenAIResponses
from pydantic import Field

from agentfuse import BudgetExceeded, Fuse, scope
from agentfuse.money import budget_of
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., LLM]
HELLO = [ChatMessage(content="hello")]
SPENT_OUT = "$0.0000001"
TWO_CALLS = Say(
    "Let me see.",
    [Call("get_weather", {"city": "Zürich \U0001f30d"}), Call("add", {"a": 1, "b": 2})],
)
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {}}},
    }
    for name in ("get_weather", "add")
]
CLAUDES = [{"name": tool["function"]["name"], "input_schema": {"type": "object"}} for tool in TOOLS]


def tools_of(vendor: str) -> dict[str, Any]:
    return {"tools": TOOLS if vendor == "openai" else CLAUDES}


class Keeper(BaseEventHandler):
    """Keeps every event, and with an exception's traceback all frames of a stream."""

    kept: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        self.kept.append(event)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    before = list(root_dispatcher.event_handlers)
    root_dispatcher.add_event_handler(keeper)
    yield keeper
    root_dispatcher.event_handlers = before


def gist(response: Any) -> Any:
    """Tell what a response says, without ids and the clock."""
    message = response.message
    blocks = [block.model_dump(exclude={"tool_call_id"}) for block in message.blocks]
    return type(response), message.role, blocks, sorted(message.additional_kwargs)


async def test_a_live_stream_is_the_bare_one_to_the_chunk(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor)
    llm = AgentFuseLLM(inner=bare, fuse=fuse)
    up.script([TWO_CALLS] * 2)
    wanted = list(bare.stream_chat(HELLO, **tools_of(vendor)))
    live = list(llm.stream_chat(HELLO, **tools_of(vendor)))
    assert [gist(chunk) for chunk in live] == [gist(chunk) for chunk in wanted]
    assert [chunk.delta for chunk in live] == [chunk.delta for chunk in wanted]
    assert [chunk.additional_kwargs for chunk in live] == [c.additional_kwargs for c in wanted]
    assert [type(chunk.raw) for chunk in live] == [type(chunk.raw) for chunk in wanted]
    assert up.requests[0].body.get("stream_options") is None
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (1, 0)
    assert receipt.models[0].output_tokens == up.requests[1].billed.output_tokens


async def test_a_remembered_stream_is_like_the_live_one(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.script([TWO_CALLS])
    live = list(llm.stream_chat(HELLO, **tools_of(vendor)))
    again = list(llm.stream_chat(HELLO, **tools_of(vendor)))
    stream = await llm.astream_chat(HELLO, **tools_of(vendor))
    awaited = [chunk async for chunk in stream]
    whole = llm.chat(HELLO, **tools_of(vendor))
    assert up.calls == 1
    for chunks in (again, awaited):
        assert gist(chunks[-1]) == gist(live[-1])
        assert {type(chunk.raw) for chunk in chunks} == {type(chunk.raw) for chunk in live}
        assert "".join(chunk.delta for chunk in chunks) == "Let me see."
        assert len(chunks) > 4
        texts = [chunk.message.content or "" for chunk in chunks]
        assert all(longer.startswith(shorter) for shorter, longer in pairwise(texts))
    assert gist(whole)[2] == gist(live[-1])[2]
    calls = llm.get_tool_calls_from_response(whole)
    assert [call.tool_kwargs for call in calls] == [{"city": "Zürich \U0001f30d"}, {"a": 1, "b": 2}]


def test_a_whole_answer_is_the_same_live_and_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.script([Say(" Two  spaces,\n\na line \u00e9nd ")])
    live, again = llm.chat(HELLO), llm.chat(HELLO)
    assert again.model_dump(exclude={"raw"}) == live.model_dump(exclude={"raw"})
    assert again.raw == live.raw
    assert "".join(chunk.delta for chunk in llm.stream_chat(HELLO)) == live.message.content
    assert llm.complete("hello").text == live.message.content
    assert up.calls == 1


def test_a_hit_cannot_be_spoilt_by_who_got_the_one_before(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.script([TWO_CALLS])
    for _ in range(3):
        message = llm.chat(HELLO, **tools_of(vendor)).message
        assert len(message.blocks) == 3
        message.blocks[1].tool_name = "other"
        message.blocks.pop()
        message.additional_kwargs.clear()
    assert up.calls == 1


@pytest.mark.parametrize("word", ["chat", "complete"])
@pytest.mark.parametrize("way", ["break", "close", "error"])
def test_an_abandoned_stream_is_settled_and_hung_up_at_once(
    bare_of: BareOf, up: Upstream, fuse: Fuse, keeper: Keeper, vendor: str, *, way: str, word: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.script([Say("word " * 400)])
    up.slow(per_chunk=0.005)
    stream = getattr(llm, f"stream_{word}")(HELLO if word == "chat" else "hello")

    def take(stream: Any) -> None:
        for number, _ in enumerate(stream):
            if number == 5:
                if way == "error":
                    raise RuntimeError
                break

    if way == "error":
        with pytest.raises(RuntimeError):
            take(stream)
    else:
        take(stream)
    if way == "close":
        stream.close()
    del stream
    gc.collect()
    assert fuse.open_leases() == ()
    assert up.wait_idle(5)
    assert up.requests[0].aborted
    assert up.requests[0].chunks_sent < 60
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (1, 1)
    assert receipt.spent > 0
    up.slow()
    assert llm.chat(HELLO).message.content
    assert up.calls == 2
    assert keeper.kept


@pytest.mark.parametrize("word", ["chat", "complete"])
@pytest.mark.parametrize("way", ["aclose", "cancel", "drop"])
async def test_an_abandoned_awaited_stream_is_settled_and_hung_up(
    bare_of: BareOf, up: Upstream, fuse: Fuse, keeper: Keeper, vendor: str, *, way: str, word: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.script([Say("word " * 400)])
    up.slow(per_chunk=0.005)
    begun = asyncio.Event()

    async def take() -> None:
        stream = await getattr(llm, f"astream_{word}")(HELLO if word == "chat" else "hello")
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
        if not fuse.open_leases():
            break
        await asyncio.sleep(0.01)
    assert fuse.open_leases() == ()
    assert await asyncio.to_thread(up.wait_idle, 5)
    assert up.requests[0].aborted
    assert up.requests[0].chunks_sent < 100
    assert fuse.receipt().answers == 1
    assert fuse.receipt().spent > 0
    assert keeper.kept


async def test_a_cancelled_call_leaves_no_lease(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    up.hang(2.0)
    task = asyncio.create_task(llm.achat(HELLO))
    await asyncio.sleep(0.3)
    assert len(fuse.open_leases()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fuse.open_leases() == ()


def test_a_stream_nobody_reads_costs_nothing(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    stream = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse).stream_chat(HELLO)
    del stream
    assert fuse.open_leases() == ()
    assert (up.calls, fuse.receipt().spent) == (0, 0)


@pytest.mark.parametrize("word", ["chat", "complete"])
async def test_an_llm_of_another_sdk_is_metered_as_a_whole(
    up: Upstream, fuse: Fuse, word: str
) -> None:
    bare = OpenAIResponses(
        model="gpt-4o",
        api_key="sk-upstream",
        api_base=up.openai_url,
        default_headers={"Connection": "close"},
    )
    llm: Any = AgentFuseLLM(inner=bare, fuse=fuse)
    asked = HELLO if word == "chat" else "hello"
    text = "Answer to: hello"
    for _ in range(2):
        assert str(getattr(llm, word)(asked)).endswith(text)
        assert str(await getattr(llm, f"a{word}")(asked)).endswith(text)
    assert up.calls == 1
    stream = list(getattr(llm, f"stream_{word}")(asked))
    assert "".join(chunk.delta for chunk in stream) == text
    assert up.calls == 1
    other = [ChatMessage(content="bye")] if word == "chat" else "bye"
    live = [chunk async for chunk in await getattr(llm, f"astream_{word}")(other)]
    again = [chunk async for chunk in await getattr(llm, f"astream_{word}")(other)]
    assert str(again[-1]) == str(live[-1])
    assert up.calls == 2
    receipt = fuse.receipt()
    assert receipt.models[0].output_tokens == up.usage_served().output_tokens
    assert receipt.estimated == 0
    up.script([Say("word " * 400)])
    up.slow(per_chunk=0.005)
    for number, _ in enumerate(
        getattr(llm, f"stream_{word}")("more" if word == "complete" else other, temperature=0.3)
    ):
        if number == 5:
            break
    gc.collect()
    assert up.wait_idle(5)
    assert up.requests[-1].aborted
    assert fuse.open_leases() == ()


def test_what_a_caller_makes_of_a_stream_is_not_what_is_remembered(
    up: Upstream, fuse: Fuse
) -> None:
    bare = OpenAIResponses(model="gpt-4o", api_key="sk-upstream", api_base=up.openai_url)
    llm = AgentFuseLLM(inner=bare, fuse=fuse)
    up.script([TWO_CALLS])
    tools = [
        {"type": "function", "name": name, "parameters": {}} for name in ("get_weather", "add")
    ]
    for _ in range(2):
        for chunk in llm.stream_chat(HELLO, tools=tools):
            said = [block.block_type for block in chunk.message.blocks]
            chunk.message.blocks.clear()
            chunk.message.additional_kwargs.clear()
        assert said.count("tool_call") == 2
    assert up.calls == 1


class Talker(CustomLLM):
    """Says many words, however few may be said, and tells nothing of its tokens."""

    words: int = 3
    model: str = "talker"
    max_tokens: int | None = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=self.model)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text=f"{self.model} {self.max_tokens} " + "word " * self.words)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
        def chunks() -> Iterator[CompletionResponse]:
            text = ""
            for number in range(self.words):
                delta = f"word{number} "
                text += delta
                yield CompletionResponse(text=text, delta=delta)

        return chunks()


PRICES = {"talker": {"input": 1, "output": 100}, "mumbler": {"input": 0.1, "output": 10}}


def test_an_llm_of_the_users_own_is_asked_once_a_question() -> None:
    fuse = Fuse("$1", prices=PRICES, spend_book=False)
    llm = AgentFuseLLM(inner=Talker(), fuse=fuse)
    first = llm.chat(HELLO)  # a CustomLLM chats by completing
    assert llm.chat(HELLO).message.content == first.message.content
    assert llm.complete("hello").text == llm.complete("hello").text
    assert [chunk.delta for chunk in llm.stream_complete("you")] == ["word0 ", "word1 ", "word2 "]
    assert "".join(chunk.delta for chunk in llm.stream_complete("you")) == "word0 word1 word2 "
    assert (fuse.receipt().answers, fuse.receipt().exact) == (6, 3)
    assert fuse.receipt().spent > 0


def test_a_downgrade_and_a_clamp_reach_a_field_of_an_llm() -> None:
    cheaper = {"talker": "mumbler"}
    fuse = Fuse("$0.10", prices=PRICES, spend_book=False, downgrade=cheaper, cache=False)
    llm = AgentFuseLLM(inner=Talker(), fuse=fuse)
    name, limit, *_ = llm.complete("hello").text.split()
    assert name == "talker"
    assert 128 <= int(limit) < 1_000
    fuse.record_tool_call("search", "$0.08")
    assert llm.complete("hello").text.split()[0] == "mumbler"
    assert (llm.model, llm.max_tokens) == ("talker", None)
    assert fuse.receipt().downgrades == 1


def test_an_llm_without_a_name_for_its_model_is_not_downgraded_in_silence() -> None:
    prices = {"unknown": {"input": 1, "output": 1}, "mumbler": {"input": 0.1, "output": 1}}
    fuse = Fuse("$1", prices=prices, spend_book=False, downgrade={"unknown": "mumbler"})
    llm = AgentFuseLLM(inner=MockLLM(max_tokens=9), fuse=fuse)
    fuse.record_tool_call("search", "$0.90")
    with pytest.raises(ValueError, match="cannot go to another"):
        llm.complete("hello")
    assert fuse.open_leases() == ()


async def read(llm: Any, *, awaited: bool) -> list[Any]:
    if awaited:
        return [chunk async for chunk in await llm.astream_complete("hello")]
    return list(llm.stream_complete("hello"))


async def test_a_stream_that_outgrows_its_lease_is_stopped_with_its_partial_text() -> None:
    for awaited in (False, True):
        fuse = Fuse("$0.03", prices=PRICES, spend_book=False)
        llm = AgentFuseLLM(inner=Talker(words=3_000, max_tokens=10), fuse=fuse)
        with pytest.raises(BudgetExceeded) as stop:
            await read(llm, awaited=awaited)
        assert isinstance(stop.value, BudgetStop)
        assert stop.value.partial_text.startswith("word0 word1 word2")
        assert stop.value.receipt.answers == 1
        assert fuse.open_leases() == ()


async def test_a_generator_left_open_marks_nothing_of_the_consumers() -> None:
    fuse = Fuse(spend_book=False)
    llm = AgentFuseLLM(inner=Talker(), fuse=fuse)
    stream = llm.stream_complete("one")
    next(stream)
    llm.complete("two")
    astream: AsyncIterator[Any] = await llm.astream_complete("three")
    await anext(astream)
    await llm.acomplete("four")
    assert fuse.receipt().answers == 2
    stream.close()
    await astream.aclose()
    assert fuse.receipt().answers == 4


@pytest.mark.parametrize("streaming", [False, True])
def test_sixteen_threads_never_pass_one_budget(
    bare_of: BareOf, up: Upstream, vendor: str, *, streaming: bool
) -> None:
    fuse = Fuse("$0.02", cache=False, spend_book=False)
    llm = AgentFuseLLM(inner=bare_of(vendor, max_tokens=256), fuse=fuse)
    up.slow(latency=0.05)
    up.script([Say("word " * 230)] * 48)

    def ask(number: int) -> bool:
        asked = [ChatMessage(content=f"What is {number}?")]
        try:
            if streaming:
                for place, _ in enumerate(llm.stream_chat(asked)):
                    if number % 3 == 0 and place == 4:
                        break
            else:
                llm.chat(asked)
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


async def test_a_stream_is_asked_on_behalf_of_whom_it_was_opened_for(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse(spend_book=False, cache=False, limits={"user": SPENT_OUT})
    llm = AgentFuseLLM(inner=bare_of(vendor, max_tokens=50), fuse=fuse)
    with pytest.raises(BudgetStop) as stop:
        list(opened_for_ann(llm))
    assert stop.value.refusal is not None
    assert stop.value.refusal.limit.key == "user:ann"
    with pytest.raises(BudgetStop):
        await read_for_ann(llm)
    assert up.calls == 0
    assert list(llm.stream_chat(HELLO))[-1].message.content == "Answer to: hello"


def opened_for_ann(llm: Any) -> Any:
    with scope(user="ann", tags=("a",)):
        return llm.stream_chat(HELLO)


async def read_for_ann(llm: Any) -> list[Any]:
    with scope(user="ann"):
        stream = await llm.astream_chat(HELLO)
    return [chunk async for chunk in stream]


async def test_a_stream_is_answered_as_its_scope_allowed(bare_of: BareOf, up: Upstream) -> None:
    """OpenAI asks when the first chunk is wanted: here after the scope has ended."""
    llm = AgentFuseLLM(inner=bare_of("openai"), spend_book=False)
    hello = [ChatMessage(content="hello")]
    for calls in (1, 2):
        with scope(cache="off"):
            stream, astream = llm.stream_chat(hello), await llm.astream_chat(hello)
        assert list(stream)
        assert [chunk async for chunk in astream]
        assert up.calls == 2 * calls
