"""The codec undoes itself: what is remembered is what was said, whoever remembered it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from agentfuse.messages import Choice, Message, Other, Reply, Request, Text, ToolCall
from agentfuse.testing.replies import replies
from agentfuse_langchain.answers import LONGEST, MARK
from agentfuse_langchain.bills import usage_metadata_of
from agentfuse_langchain.codec import ChatCodec
from agentfuse_langchain.messages import message_of
from agentfuse_langchain.parts import content_of, parts_of
from agentfuse_langchain.requests import Asking

words = st.text(max_size=12)
names = st.text("abcxyz_", min_size=1, max_size=8)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
extras = st.dictionaries(names.map(lambda name: f"x_{name}"), jsons, max_size=2)
counts = st.integers(0, 10**6)
text_blocks = st.builds(lambda text, more: {"type": "text", "text": text, **more}, words, extras)
other_blocks = st.builds(
    lambda kind, more: {"type": kind, **more},
    st.sampled_from(["thinking", "image", "file", "server_tool_use", "odd"]),
    extras,
)
contents = words | st.lists(words | text_blocks | other_blocks, max_size=3)
calls = st.lists(
    st.builds(
        lambda name, args, call_id: {"name": name, "args": args, "id": call_id},
        names,
        st.dictionaries(names, jsons, max_size=2),
        names,
    ),
    max_size=2,
)
usages = st.none() | st.builds(
    lambda read, rest, out, thought: {
        "input_tokens": read + rest,
        "output_tokens": out + thought,
        "total_tokens": read + rest + out + thought,
        "input_token_details": {"cache_read": read},
        "output_token_details": {"reasoning": thought},
    },
    *(counts, counts, counts, counts),
)
answers = st.builds(
    AIMessage,
    content=contents,
    tool_calls=calls,
    usage_metadata=usages,
    additional_kwargs=extras,
    response_metadata=extras,
    name=st.none() | names,
)
ends = st.none() | st.fixed_dictionaries({"finish_reason": st.sampled_from(["stop", "length"])})
results = st.builds(
    ChatResult,
    generations=st.lists(
        st.builds(lambda m, info: ChatGeneration(message=m, generation_info=info), answers, ends),
        min_size=1,
        max_size=2,
    ),
    llm_output=st.none() | st.just({"model_name": "gpt-4o", "id": "chatcmpl-1"}),
)


def codec_of(**words: Any) -> ChatCodec:
    request = Request(provider="openai", model="gpt-4o", messages=(), api="langchain")
    asking = Asking(
        model=FakeListChatModel(responses=[]),
        messages=[],
        request=request,
        kwargs={},
        limit_word="max_tokens",
        **words,
    )
    return ChatCodec(asking)


@given(results)
def test_an_answer_is_remembered_as_it_was(result: ChatResult) -> None:
    codec = codec_of()
    reply = codec.reply_of(result)
    again = codec.result_of(reply)
    assert codec.reply_of(again) == reply
    for live, hit in zip(result.generations, again.generations, strict=True):
        message, kept = live.message, hit.message
        assert (kept.content, kept.tool_calls) == (message.content, message.tool_calls)
        assert kept.additional_kwargs == message.additional_kwargs
        assert kept.name == message.name
        assert {k: v for k, v in kept.response_metadata.items() if k != MARK} == (
            message.response_metadata
        )
        assert hit.generation_info == live.generation_info
    assert again.llm_output == result.llm_output


def spoil(value: Any) -> None:
    """Change all that can be changed in what somebody was given."""
    if isinstance(value, BaseModel):
        spoil(value.__dict__)
        value.model_fields_set.clear()
        value.__pydantic_extra__ and value.__pydantic_extra__.clear()
    elif isinstance(value, dict):
        for inner in value.values():
            spoil(inner)
        value.clear()
    elif isinstance(value, list):
        for inner in value:
            spoil(inner)
        value.append("spoilt")


def told(value: Any) -> Any:
    """Tell a value with the types of all that is in it."""
    if isinstance(value, BaseModel):
        inside = (value.__dict__, value.__pydantic_extra__, value.__pydantic_private__)
        return type(value), [told(each) for each in inside], value.model_fields_set
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items()}, list(value)
    if isinstance(value, list):
        return [told(inner) for inner in value]
    return type(value), value


@given(results)
def test_each_who_asks_gets_an_answer_of_its_own(result: ChatResult) -> None:
    codec = codec_of()
    reply = codec.reply_of(result)
    long = replace(reply, raw=reply.raw + " " * LONGEST)  # too long to be held: read each time
    wanted = told(codec.result_of(long))
    for _ in range(3):
        answer = codec.result_of(reply)
        assert told(answer) == wanted
        spoil(answer)


@given(
    st.sampled_from([HumanMessage, SystemMessage]),
    contents,
    st.none() | names,
    extras,
    st.booleans(),
)
def test_mere_text_is_read_as_all_else_is(
    kind: type[HumanMessage | SystemMessage],
    content: Any,
    name: str | None,
    more: dict[str, Any],
    spoken: bool,
) -> None:
    words = {"name": name, **({"additional_kwargs": more} if spoken else more)}
    message = kind(content=content, **words)
    long_way = type("Own", (kind,), {})(content=content, **words)
    assert message_of(message) == message_of(long_way)


@given(words, extras)
def test_each_word_of_a_stream_is_a_chunk_of_its_own(text: str, metadata: dict[str, Any]) -> None:
    codec = codec_of()
    answer = AIMessage(f"some {text} more", response_metadata={"model_provider": "a", **metadata})
    reply = codec.reply_of(ChatResult(generations=[ChatGeneration(message=answer)]))
    *said, _ = codec.chunks_of(reply)
    for chunk in said:
        message = AIMessageChunk(
            content=chunk.message.content,
            tool_call_chunks=[],
            response_metadata={"model_provider": "a"},
        )
        assert told(chunk) == told(ChatGenerationChunk(message=message, generation_info=None))
        spoil(chunk)


@given(results)
def test_what_is_said_can_be_said_again_as_a_stream(result: ChatResult) -> None:
    codec = codec_of()
    reply = codec.reply_of(result)
    chunks = list(codec.chunks_of(reply))
    twin = codec.joined([chunk for shown in map(codec.shown, chunks) for chunk in shown])
    assert twin.text == reply.text
    wanted = [(call.name, call.arguments) for call in reply.choices[0].tool_calls]
    assert [(call.name, call.arguments) for call in twin.choices[0].tool_calls] == wanted
    assert (twin.report and twin.report.usage) == (reply.report and reply.report.usage)


@given(replies)
def test_another_frameworks_answer_is_told_in_langchains_words(reply: Reply) -> None:
    codec = codec_of()
    foreign = replace(reply, shape="openai.chat")
    result = codec.result_of(foreign)
    assert [generation.message.text for generation in result.generations] == [
        "".join(text_of(part) for part in choice.parts) for choice in reply.choices
    ]
    assert codec.reply_of(result).report == codec.reply_of(codec.result_of(foreign)).report
    if reply.choices:
        assert list(codec.chunks_of(foreign))[-1].message.chunk_position == "last"


def text_of(part: Any) -> str:
    return part.text if isinstance(part, Text) and "type" not in part.extra else ""


@given(contents)
def test_content_is_taken_apart_without_loss(content: Any) -> None:
    blocks = parts_of(content)
    assert parts_of(content_of(blocks)) == blocks or not blocks


def test_a_hit_of_another_framework_is_a_whole_answer() -> None:
    choice = Choice(
        parts=(Text("It is "), Text("sunny")),
        tool_calls=(ToolCall("call_1", "f", '{"a": 1}'), ToolCall("call_2", "g", "{broken")),
        finish_reason="tool_calls",
    )
    message: Any = codec_of().result_of(Reply(choices=(choice,), model="m")).generations[0].message
    assert message.text == "It is sunny"
    assert [call["args"] for call in message.tool_calls] == [{"a": 1}]
    assert [call["args"] for call in message.invalid_tool_calls] == ["{broken"]


@given(results)
def test_usage_is_written_as_it_was_read(result: ChatResult) -> None:
    reply = codec_of().reply_of(result)
    usage = result.generations[0].message.usage_metadata
    if reply.report is None:
        assert not usage
        return
    written = usage_metadata_of(reply.report)
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert written[name] == usage[name]


def test_tokens_of_every_kind_are_read() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {
            "cache_read": 10,
            "cache_creation": 5,
            "ephemeral_5m_input_tokens": 7,
            "ephemeral_1h_input_tokens": 8,
            "audio": 3,
        },
        "output_token_details": {"reasoning": 20, "audio": 2},
    }
    message = AIMessage("hello", usage_metadata=usage)
    output = {
        "model_name": "m",
        "service_tier": "flex",
        "usage": {"server_tool_use": {"web_search_requests": 2}},
    }
    result = ChatResult(generations=[ChatGeneration(message=message)], llm_output=output)
    item = codec_of().reply_of(result).report.items[0]
    assert (item.model, item.context.service_tier) == ("m", "flex")
    assert (item.usage.cache_read_tokens, item.usage.cache_write_1h_tokens) == (10, 8)
    assert item.usage.cache_write_5m_tokens == 12
    assert (item.usage.reasoning_tokens, item.usage.input_audio_tokens) == (20, 3)
    assert item.usage.tool_requests == {"web_search": 2}


def test_a_usage_that_cannot_be_is_read_at_its_dearest() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "total_tokens": 2,
        "input_token_details": {"cache_read": 9},
    }
    message = AIMessage("hello", usage_metadata=usage)
    report = codec_of().reply_of(ChatResult(generations=[ChatGeneration(message=message)])).report
    assert report.approximate
    assert report.usage.input_tokens == 9


def test_messages_of_every_kind_are_told_apart() -> None:
    told = [
        message_of(HumanMessage("a", name="ann", id="1")),
        message_of(SystemMessage("a", additional_kwargs={"__openai_role__": "developer"})),
        message_of(ToolMessage("a", tool_call_id="t", status="error")),
        message_of(ChatMessage("a", role="critic")),
        message_of(FunctionMessage("a", name="f")),
        message_of(AIMessage("a", additional_kwargs={"refusal": None, "reasoning_content": "b"})),
    ]
    assert told == [
        Message("user", (Text("a"),), name="ann"),
        Message("developer", (Text("a"),)),
        Message("tool", (Text("a"),), tool_call_id="t", extra={"status": "error"}),
        Message("critic", (Text("a"),)),
        Message("function", (Text("a"),), name="f"),
        Message("assistant", (Text("a"),), extra={"reasoning_content": "b"}),
    ]


def test_a_block_that_repeats_a_tool_call_is_told_once() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    call = {"name": "f", "args": {"a": 1}, "id": "t1"}
    message = message_of(AIMessage([{"type": "text", "text": "see"}, block], tool_calls=[call]))
    assert message.parts == (Text("see"),)
    first = message_of(AIMessage([block, {"type": "text", "text": "see"}], tool_calls=[call]))
    assert isinstance(first.parts[0], Other)
    telling = {**block, "caller": {"type": "direct"}}
    other = message_of(AIMessage([telling], tool_calls=[call]))
    assert other.parts == (
        Other({"type": "tool_use", "tool_call": 0, "caller": {"type": "direct"}}),
    )


def test_ids_that_langchain_invents_are_left_out() -> None:
    block = {"type": "text", "text": "a", "id": "lc_1234", "index": 3}
    assert parts_of([block]) == (Text("a"),)


@given(results)
def test_what_is_remembered_is_json(result: ChatResult) -> None:
    assert json.loads(codec_of().reply_of(result).raw)["generations"]


def test_a_message_of_a_history_is_read_once_and_each_change_in_it_is_seen() -> None:
    def said() -> list[Any]:
        call = {"name": "look_up", "args": {"word": {"deep": [1]}}, "id": "call_1"}
        return [
            AIMessage([{"type": "text", "text": "I look."}], tool_calls=[call], id="a"),
            ToolMessage("found", tool_call_id="call_1", artifact=object()),
        ]

    message, result = said()
    first, found = map(message_of, (message, result))
    assert [first, found] == [message_of(each) for each in said()]
    assert [first, found] == [message_of(each.model_copy()) for each in (message, result)]
    assert message_of(message) is first
    assert message_of(result) is found
    message.tool_calls[0]["args"]["word"]["deep"].append(2)
    assert message_of(message).tool_calls[0].arguments == '{"word": {"deep": [1, 2]}}'
    message.response_metadata["model_provider"] = "anthropic"
    assert message_of(message).extra == {"model_provider": "anthropic"}
    message.content[0]["text"] = "I looked."
    assert message_of(message).text == "I looked."
    result.status = "error"
    assert message_of(result).extra == {"status": "error"}
    assert first.tool_calls[0].arguments == '{"word": {"deep": [1]}}'


def test_a_message_that_lacks_fields_or_has_others_is_read_all_the_same() -> None:
    bare = ToolMessage.model_construct(content="found", additional_kwargs={}, response_metadata={})
    assert message_of(bare).text == "found"
    odd = AIMessage("hi", additional_kwargs={"audio": object})
    assert message_of(odd).extra == {"audio": object}
    assert message_of(odd) == message_of(odd)


def test_half_a_character_is_remembered_too() -> None:
    said = ChatResult(generations=[ChatGeneration(message=AIMessage("cut \ud83d"))])
    codec = codec_of()
    assert codec.result_of(codec.reply_of(said)).generations[0].message.content == "cut \ud83d"
