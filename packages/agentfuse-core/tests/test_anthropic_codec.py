"""Claude is asked in Anthropic's words and answers in OpenAI's, through the real SDK."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Other, Reasoning, Text, ToolCall
from agentfuse.providers.anthropic_messages import (
    AnthropicMessages,
    aask,
    aopen_stream,
    ask,
    body_of,
    codec_of,
    open_stream,
    request_of,
)
from agentfuse.providers.clients import ClientPool
from agentfuse.providers.names import access_of, target_of
from agentfuse.providers.openai_chat import OpenAIChat
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Request

CLAUDE = target_of("claude-sonnet-4-6")
USER = {"role": "user", "content": "Hello"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Look out", "parameters": SCHEMA},
}


def asked(messages: list[Any] | None = None, *, stream: bool = False, **params: Any) -> Request:
    return request_of(CLAUDE, {"messages": messages or [USER], **params}, stream=stream)


def sent(messages: list[Any] | None = None, **params: Any) -> dict[str, Any]:
    return body_of(asked(messages, **params))


# -- requests --------------------------------------------------------------------------------


def test_instructions_are_gathered_into_system() -> None:
    body = sent([{"role": "system", "content": "Be brief."}, USER])
    assert body["system"] == "Be brief."
    assert body["messages"] == [USER]
    two = sent([{"role": "system", "content": "A"}, USER, {"role": "developer", "content": "B"}])
    assert two["system"] == [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]


def test_a_cache_mark_stays_on_its_block() -> None:
    mark = {"type": "ephemeral"}
    block = {"type": "text", "text": "Long.", "cache_control": mark}
    body = sent(
        [
            {"role": "system", "content": [block]},
            {"role": "user", "content": "Hi", "cache_control": mark},
        ]
    )
    assert body["system"] == [block]
    assert body["messages"][0]["content"] == [{"type": "text", "text": "Hi", "cache_control": mark}]


def test_results_of_several_tools_are_one_users_turn() -> None:
    calls = [
        {"id": f"t{n}", "type": "function", "function": {"name": "f", "arguments": '{"n":1}'}}
        for n in (1, 2)
    ]
    body = sent(
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "t1", "content": "one", "name": "f"},
            {"role": "tool", "tool_call_id": "t2", "content": "two"},
            {"role": "user", "content": "Go on"},
        ]
    )
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": f"t{n}", "name": "f", "input": {"n": 1}} for n in (1, 2)
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
        {"type": "tool_result", "tool_use_id": "t2", "content": "two"},
        {"type": "text", "text": "Go on"},
    ]


@pytest.mark.parametrize("arguments", ["{", "[]", '"x"'])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}
    with pytest.raises(ConfigurationError, match="'f'"):
        sent([USER, {"role": "assistant", "content": None, "tool_calls": [call]}])


def test_pictures_and_documents_become_sources() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
        },
    ]
    assert sent([{"role": "user", "content": content}])["messages"][0]["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
            "title": "a.pdf",
        },
    ]


def test_sound_is_refused() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}
    with pytest.raises(ConfigurationError, match="audio"):
        sent([{"role": "user", "content": [sound]}])


def test_tools_are_written_in_anthropics_form() -> None:
    own = {"type": "web_search_20250305", "name": "web_search"}
    assert sent(tools=[WEATHER, own])["tools"] == [
        {"name": "get_weather", "description": "Look out", "input_schema": SCHEMA},
        own,
    ]


@pytest.mark.parametrize(
    ("params", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"type": "tool", "name": "f"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_the_choice_of_tools_is_translated(
    params: dict[str, Any], choice: dict[str, Any] | None
) -> None:
    assert sent(tools=[WEATHER], **params).get("tool_choice") == choice


@pytest.mark.parametrize(
    ("params", "written"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"]}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 0.3, "top_k": 5}, {"temperature": 0.3, "top_k": 5}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA},
                }
            },
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"n": 1, "logprobs": False, "presence_penalty": 0, "seed": None}, {}),
        ({"brand_new": [1]}, {"brand_new": [1]}),
    ],
)
def test_parameters_are_translated(params: dict[str, Any], written: dict[str, Any]) -> None:
    plain = {"model": "claude-sonnet-4-6", "max_tokens": 4096, "messages": [USER]}
    assert sent(**params) == plain | written


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("seed", 7),
        ("logprobs", True),
        ("logit_bias", {"1": 2}),
        ("frequency_penalty", 0.5),
        ("modalities", ["audio"]),
        ("web_search_options", {}),
        ("response_format", {"type": "json_object"}),
    ],
)
def test_what_claude_lacks_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        sent(**{name: value})


def test_a_name_on_a_user_message_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name"):
        sent([{**USER, "name": "ann"}])


# -- over the wire ---------------------------------------------------------------------------

POOL = ClientPool()


@pytest.fixture(scope="module")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider
    POOL.close()


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    _upstream.wait_idle(5)
    _upstream.reset()
    return _upstream


def environ_of(upstream: Upstream) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "sk-upstream", "ANTHROPIC_BASE_URL": upstream.anthropic_url}


def client_of(upstream: Upstream) -> Any:
    return POOL.client(access_of(CLAUDE, environ_of(upstream)), 5.0)


def test_an_answer_is_a_completion_with_its_usage(upstream: Upstream) -> None:
    request = asked(max_tokens=50)
    result = ask(client_of(upstream), request)
    codec = codec_of(request)
    answer = codec.answer_of(result)
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].message.content == "Answer to: Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == upstream.usage_served().input_tokens
    reply = codec.reply_of(result)
    assert reply.report is not None
    assert reply.report.usage == upstream.usage_served()
    assert Message.model_validate_json(reply.raw) == result


def test_parameters_the_sdk_dropped_reach_the_wire(upstream: Upstream) -> None:
    ask(client_of(upstream), asked(temperature=0.5, stop="END"))
    wire = upstream.requests[0].body
    assert (wire["temperature"], wire["stop_sequences"]) == (0.5, ["END"])


def test_a_tool_loop_in_openais_words_runs_on_claude(upstream: Upstream) -> None:
    upstream.script([Say("Looking.", [Call("get_weather", {"city": "Rome"})]), Say("Sunny.")])
    first = asked(tools=[WEATHER])
    answer = codec_of(first).answer_of(ask(client_of(upstream), first))
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    call = choice.message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Rome"}  # type: ignore[union-attr]
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = asked([USER, choice.message, result], tools=[WEATHER])
    last = codec_of(second).answer_of(ask(client_of(upstream), second))
    assert last.choices[0].message.content == "Sunny."


@pytest.mark.parametrize(
    "said",
    [
        Say("Hello there, how are you?"),
        Say("Look:", [Call("get_weather", {"city": "Rome"}), Call("get_weather", {})]),
        Say("Yes.", reasoning="Let me think about it."),
        Say("cut", finish_reason="max_tokens"),
    ],
)
def test_a_stream_tells_what_the_whole_answer_tells(upstream: Upstream, said: Say) -> None:
    upstream.script([said, said])
    options: dict[str, Any] = {"tools": [WEATHER], "max_tokens": 4000}
    if said.reasoning:
        options["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    request = asked(stream=True, stream_options={"include_usage": True}, **options)
    codec = codec_of(request)
    events = list(open_stream(client_of(upstream), request))
    shown = [chunk for event in events for chunk in codec.shown(event)]
    joined = codec.joined(events)
    whole = codec.reply_of(ask(client_of(upstream), asked(**options)))
    assert joined.text == whole.text
    assert joined.finish_reason == whole.finish_reason
    assert joined.report is not None
    assert joined.report.usage == upstream.requests[0].billed
    assert [call.arguments for call in joined.choices[0].tool_calls] == [
        call.arguments for call in whole.choices[0].tool_calls
    ]
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in shown)
    told, direct = OpenAIChat().joined(shown), codec.result_of(joined)
    assert told.text == direct.choices[0].message.content
    assert told.finish_reason == joined.finish_reason
    assert told.report is not None
    assert told.report.usage.output_tokens == joined.report.usage.output_tokens
    assert [(call.id, call.name) for call in told.choices[0].tool_calls] == [
        (call.id, call.name) for call in joined.choices[0].tool_calls
    ]
    metered = "".join(codec.delta_of(event).text for event in events)
    assert said.text in metered
    assert said.reasoning in metered


def test_a_caller_who_did_not_ask_for_usage_sees_none(upstream: Upstream) -> None:
    request = asked(stream=True)
    codec = codec_of(request)
    events = open_stream(client_of(upstream), request)
    shown = [chunk for event in events for chunk in codec.shown(event)]
    assert all(chunk.usage is None and chunk.choices for chunk in shown)


def test_a_cut_stream_has_no_ending_but_the_usage_of_its_input(upstream: Upstream) -> None:
    request = asked(stream=True)
    events = list(open_stream(client_of(upstream), request))
    reply = codec_of(request).joined(events[:4])
    assert reply.finish_reason == ""
    assert reply.report is not None
    assert reply.report.usage.input_tokens == upstream.requests[0].billed.input_tokens


def test_awaited_calls_say_the_same(upstream: Upstream) -> None:
    async def both() -> tuple[str, str]:
        client = POOL.aclient(access_of(CLAUDE, environ_of(upstream)), 5.0)
        whole = await aask(client, asked())
        events = [event async for event in await aopen_stream(client, asked(stream=True))]
        codec = AnthropicMessages()
        return codec.reply_of(whole).text, codec.joined(events).text

    assert asyncio.run(both()) == ("Answer to: Hello", "Answer to: Hello")


# -- what only Claude says -------------------------------------------------------------------

THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig"}
HIDDEN = {"type": "redacted_thinking", "data": "xyz"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1}}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}


def message(content: list[Any], stop_reason: str = "end_turn") -> Message:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }
    return Message.model_validate_json(json.dumps(body))


def text(said: str, **beside: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **beside}


@pytest.mark.parametrize(
    "content",
    [
        [text("Hi")],
        [THINKING, text("Hi")],
        [THINKING, HIDDEN, text("Hi"), USE],
        [text("Let me see"), SEARCH, text("Found")],
        [THINKING, text("a"), THINKING, USE],
        [text("Hi", citations=[{"type": "char_location", "cited_text": "x"}])],
    ],
)
def test_claudes_blocks_go_back_as_they_came(content: list[Any]) -> None:
    wire = Message.construct(**message([]).to_dict() | {"content": content})
    answer = AnthropicMessages().answer_of(wire)
    back = sent([USER, answer.choices[0].message, {"role": "user", "content": "Go on"}])
    given = back["messages"][1]["content"]
    assert ([text(given)] if isinstance(given, str) else given) == content


def test_thinking_is_readable_too() -> None:
    answer = AnthropicMessages().answer_of(message([THINKING, text("Hi")]))
    said: Any = answer.choices[0].message
    assert (said.content, said.reasoning_content) == ("Hi", "hm")


def test_blocks_are_read_for_what_they_are() -> None:
    wire = Message.construct(**message([]).to_dict() | {"content": [THINKING, SEARCH, USE]})
    choice = AnthropicMessages().reply_of(wire).choices[0]
    assert choice.parts == (Reasoning("hm", THINKING), Other(SEARCH))
    assert choice.tool_calls == (ToolCall("t1", "f", '{"n": 1}'),)


@pytest.mark.parametrize(
    ("stop_reason", "neutral", "openais"),
    [
        ("end_turn", "stop", "stop"),
        ("stop_sequence", "stop", "stop"),
        ("max_tokens", "length", "length"),
        ("model_context_window_exceeded", "length", "length"),
        ("tool_use", "tool_calls", "tool_calls"),
        ("refusal", "refusal", "content_filter"),
        ("pause_turn", "pause_turn", "stop"),
    ],
)
def test_endings_are_told_in_openais_words(stop_reason: str, neutral: str, openais: str) -> None:
    codec = AnthropicMessages()
    reply = codec.reply_of(message([text("x")], stop_reason))
    assert reply.finish_reason == neutral
    assert codec.result_of(reply).choices[0].finish_reason == openais
    chunks = list(codec.chunks_of(reply))
    assert chunks[-1].choices[0].finish_reason == openais


def events_of(*bodies: dict[str, Any]) -> list[RawMessageStreamEvent]:
    kind: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
    start = {"type": "message_start", "message": message([]).to_dict() | {"stop_reason": None}}
    return [kind.validate_json(json.dumps(body)) for body in (start, *bodies)]


def block_events(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> Any:
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


ENDED = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 9},
}


def test_streamed_thinking_can_be_sent_back() -> None:
    events = events_of(
        *block_events(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "h"},
            {"type": "thinking_delta", "thinking": "m"},
            {"type": "signature_delta", "signature": "sig"},
        ),
        *block_events(1, text(""), {"type": "text_delta", "text": "Hi"}),
        ENDED,
    )
    codec = AnthropicMessages()
    told = OpenAIChat().joined([chunk for event in events for chunk in codec.shown(event)])
    said = OpenAIChat().result_of(told).choices[0].message
    turn = sent([USER, said])["messages"][1]
    assert turn["content"] == [THINKING, text("Hi")]
    assert codec.joined(events).choices[0].parts == (Reasoning("hm", THINKING), Text("Hi"))


def test_a_streamed_search_can_be_sent_back() -> None:
    query = {"type": "input_json_delta", "partial_json": '{"query": "q"}'}
    events = events_of(
        *block_events(0, {**SEARCH, "input": {}}, query),
        *block_events(1, text(""), {"type": "text_delta", "text": "Found"}),
        ENDED,
    )
    codec = AnthropicMessages()
    told = OpenAIChat().joined([chunk for event in events for chunk in codec.shown(event)])
    said = OpenAIChat().result_of(told).choices[0].message
    assert said.tool_calls is None
    assert sent([USER, said])["messages"][1]["content"] == [SEARCH, text("Found")]


def test_a_tool_call_cut_in_its_midst_keeps_its_text() -> None:
    half = {"type": "input_json_delta", "partial_json": '{"city": "Ro'}
    events = events_of(*block_events(0, {**USE, "input": {}}, half))
    reply = AnthropicMessages().joined(events)
    assert reply.choices[0].tool_calls == (ToolCall("t1", "f", '{"city": "Ro'),)
    assert reply.finish_reason == ""


def test_an_answer_of_gpt_serves_claudes_caller() -> None:
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
        ],
    }
    completion = ChatCompletion.construct(**body)
    reply = OpenAIChat().reply_of(completion)
    assert AnthropicMessages().result_of(reply) == completion
