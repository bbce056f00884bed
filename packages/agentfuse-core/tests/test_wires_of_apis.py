"""Bodies and streams of the metered APIs: read, joined, written and cut again without loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import Message as ClaudeMessage
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Choice, Message, Other, Reasoning, Reply, Request, Text, ToolCall
from agentfuse.policy.keys import key_of
from agentfuse.providers import anthropic_messages, openai_chat
from agentfuse.providers.endpoints import WIRES, endpoint_of
from agentfuse.providers.names import target_of
from agentfuse.providers.sse import FrameReader, frame_bytes
from agentfuse.providers.wires import WireCodec
from agentfuse.usage import BilledUsage, Usage, UsageReport

RECORDED = Path(__file__).parent / "data" / "recorded"
CHAT, RESPONSES, MESSAGES, EMBEDDINGS = WIRES
APIS = {
    "anthropic-10": MESSAGES,
    "anthropic-13": MESSAGES,
    "anthropic-15": MESSAGES,
    "openai-chat-03": CHAT,
    "openai-responses-04": RESPONSES,
    "openrouter-02": CHAT,
}
TOOL = {"name": "get_weather", "description": "Tell it.", "parameters": {"type": "object"}}
CLAUDES = {"name": "get_weather", "description": "Tell it.", "input_schema": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def codec_for(wire: Any, **body: Any) -> WireCodec:
    asked = Request(provider=wire.provider, model="m", messages=(), api="x", **body)
    return WireCodec(wire, {}, asked)


def frames_in(raw: bytes, step: int = 1 << 20) -> list[Any]:
    reader = FrameReader()
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)]
    return [frame for piece in pieces for frame in reader.feed(piece)] + list(reader.rest())


def told(reply: Reply) -> Any:
    calls = [
        (call.name, json.loads(call.arguments or "{}"))
        for choice in reply.choices
        for call in choice.tool_calls
    ]
    usage = reply.report.usage if reply.report else None
    return reply.text, calls, reply.finish_reason, usage


@pytest.mark.parametrize("name", APIS)
def test_a_recorded_answer_survives_being_streamed_and_kept(name: str) -> None:
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    raw = recorded["response_body"].encode()
    wire = APIS[name]
    codec = codec_for(wire, stream=True, params={"stream_options": {"include_usage": True}})
    reply = codec.joined(frames_in(raw)) if recorded["stream"] else codec.reply_of(raw)
    assert reply.finish_reason in {"stop", "tool_calls"}
    assert reply.report == Usage.from_response(
        raw if not recorded["stream"] else [f.event for f in frames_in(raw) if f.event],
        provider=wire.provider,
    )
    assert told(codec.reply_of(codec.result_of(reply))) == told(reply)
    assert told(codec.joined(frames_in(b"".join(codec.chunks_of(reply))))) == told(reply)


@given(st.lists(st.dictionaries(st.text(), st.text(), min_size=1)), st.integers(1, 40), st.data())
def test_frames_are_the_same_however_the_network_cuts(
    events: list[dict[str, str]], step: int, data: st.DataObject
) -> None:
    raw = b"".join(
        frame_bytes(event, data.draw(st.sampled_from(["", "named"]))) for event in events
    )
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    raw = raw.replace(b"\n", end)
    frames = frames_in(raw, step)
    assert b"".join(frame.raw for frame in frames) == raw
    assert [frame.event for frame in frames if frame.event] == events


def test_a_frame_is_read_whatever_its_lines_end_with() -> None:
    lines = (b"event: x", b'data: {"a":', b"data:1}", b": said aside")
    for end in (b"\n", b"\r", b"\r\n"):
        (frame,) = FrameReader().feed(end.join(lines) + end * 2)
        assert frame.event == {"a": 1}
    assert next(FrameReader().feed(b'data: {"a": "\xff"}\n\n')).event == {}


def test_what_is_no_json_object_passes_unread() -> None:
    raw = b": comment\n\ndata: [DONE]\n\ndata: {broken\n\ndata: 1\n\nevent: ping\n\ndata: {}"
    frames = frames_in(raw)
    assert b"".join(frame.raw for frame in frames) == raw
    assert [dict(frame.event) for frame in frames] == [{}] * 6


words = st.text(min_size=1, max_size=30)
calls = st.builds(
    ToolCall,
    id=words,
    name=words,
    arguments=st.dictionaries(words, st.integers() | words, max_size=3).map(json.dumps),
)
foreign = st.builds(
    Reply,
    choices=st.tuples(
        st.builds(
            Choice,
            parts=st.tuples(words.map(Text)),
            tool_calls=st.lists(calls, max_size=2).map(tuple),
            finish_reason=st.just("stop"),
        )
    ),
    report=st.just(
        UsageReport(items=(BilledUsage(model="m", usage=Usage(input_tokens=7, output_tokens=5)),))
    ),
    model=words,
    id=words,
    shape=st.just("of another framework"),
)
KINDS: list[tuple[Any, Any]] = [
    (CHAT, ChatCompletion),
    (RESPONSES, Response),
    (MESSAGES, ClaudeMessage),
]


@pytest.mark.parametrize(("wire", "kind"), KINDS, ids=["chat", "responses", "messages"])
@given(foreign)
def test_another_frameworks_answer_is_written_in_the_apis_words(
    wire: Any, kind: Any, reply: Reply
) -> None:
    """The SDK's strict schema takes it, whole and streamed it says the same, and usage is kept."""
    choice = reply.choices[0]
    end = "tool_calls" if choice.tool_calls else "stop"
    reply = replace(reply, choices=(replace(choice, finish_reason=end),))
    codec = codec_for(wire, stream=True, params={"stream_options": {"include_usage": True}})
    raw = codec.result_of(reply)
    kind.model_validate_json(raw)
    assert told(codec.reply_of(raw)) == told(reply)
    assert told(codec.joined(frames_in(b"".join(codec.chunks_of(reply)), 64))) == told(reply)


@pytest.mark.parametrize(
    ("finish", "ends"),
    [
        ("length", {CHAT: "length", RESPONSES: "length", MESSAGES: "length"}),
        ("refusal", {CHAT: "content_filter", RESPONSES: "stop", MESSAGES: "refusal"}),
    ],
)
def test_why_an_answer_ended_is_told_in_the_apis_words(finish: str, ends: dict[Any, str]) -> None:
    choice = Choice(parts=(Text("no"),), finish_reason=finish)
    reply = Reply(choices=(choice,), model="m", id="1", shape="other")
    for wire, end in ends.items():
        codec = codec_for(wire)
        assert codec.reply_of(codec.result_of(reply)).finish_reason == end


def test_a_refusal_and_thoughts_find_their_place() -> None:
    parts = (Reasoning("hm"), Other({"type": "refusal", "refusal": "no"}))
    reply = Reply(choices=(Choice(parts=parts, finish_reason="stop"),), id="1", shape="other")
    output = json.loads(codec_for(RESPONSES).result_of(reply))["output"]
    assert [item["type"] for item in output] == ["reasoning", "message"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    again = json.dumps({"output": output, "status": "completed"}).encode()
    assert codec_for(RESPONSES).reply_of(again).finish_reason == "refusal"
    content = json.loads(codec_for(MESSAGES).result_of(reply))["content"]
    assert content == [{"type": "text", "text": "no"}]


def test_half_a_character_can_be_written() -> None:
    """Half of a surrogate pair is JSON, but no UTF-8."""
    body = {"choices": [{"message": {"content": "\ud83d"}, "finish_reason": "stop"}]}
    codec = codec_for(CHAT)
    reply = codec.reply_of(json.dumps(body).encode())
    assert codec.reply_of(codec.result_of(reply)).text == "\ud83d"
    kept = Reply(choices=reply.choices, shape=CHAT.shape, raw=json.dumps(body, ensure_ascii=False))
    assert codec.reply_of(codec.result_of(kept)).text == "\ud83d"


def test_a_stream_cut_short_has_no_end() -> None:
    events = [
        {"type": "response.created", "response": {"id": "r", "model": "m", "output": []}},
        {"type": "response.output_text.delta", "delta": "Hal"},
        {"type": "response.output_text.delta", "delta": "f"},
    ]
    codec = codec_for(RESPONSES)
    reply = codec.joined(frames_in(b"".join(map(frame_bytes, events))))
    assert (reply.text, reply.finish_reason, reply.report, reply.id) == ("Half", "", None, "r")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_failed_says_so(status: str) -> None:
    body = {"status": status, "output": [], "error": {"code": "server_error"}}
    assert codec_for(RESPONSES).reply_of(json.dumps(body).encode()).finish_reason == status


def test_vectors_are_kept_and_nothing_else_stands_for_them() -> None:
    body = {"data": [{"embedding": [0.5]}], "model": "m", "usage": {"prompt_tokens": 3}}
    codec = codec_for(EMBEDDINGS)
    reply = codec.reply_of(json.dumps(body).encode())
    assert json.loads(codec.result_of(reply)) == body
    assert reply.report is not None
    assert (reply.report.usage.input_tokens, reply.report.usage.output_tokens) == (3, 0)
    with pytest.raises(ConfigurationError, match="vectors"):
        codec.result_of(Reply(choices=(), shape="other"))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.openai.com/v1/chat/completions", (CHAT, "openai", "")),
        ("https://api.openai.com/v1/responses", (RESPONSES, "openai", "")),
        ("https://api.openai.com/v1/embeddings", (EMBEDDINGS, "openai", "")),
        ("https://api.anthropic.com/v1/messages?beta=true", (MESSAGES, "anthropic", "")),
        (
            "https://eu.api.openai.com/v1/responses",
            (RESPONSES, "openai", "https://eu.api.openai.com/v1"),
        ),
        ("https://api.groq.com/openai/v1/chat/completions", (CHAT, "groq", "")),
        ("http://localhost:11434/v1/chat/completions", (CHAT, "ollama", "")),
        (
            "https://api.deepseek.com/anthropic/v1/messages",
            (MESSAGES, "deepseek", "https://api.deepseek.com/anthropic"),
        ),
        (
            "https://mine.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            (CHAT, "azure", "https://mine.openai.azure.com"),
        ),
        (
            "https://mine.services.ai.azure.com/openai/v1/responses",
            (RESPONSES, "azure", "https://mine.services.ai.azure.com"),
        ),
        (
            "https://mine.services.ai.azure.com/anthropic/v1/messages",
            (MESSAGES, "anthropic", "https://mine.services.ai.azure.com/anthropic"),
        ),
        (
            "http://127.0.0.1:8000/v1/chat/completions",
            (CHAT, "openai", "http://127.0.0.1:8000/v1"),
        ),
    ],
)
def test_an_address_tells_whose_api_it_is(url: str, found: tuple[Any, str, str]) -> None:
    endpoint = endpoint_of(url)
    assert endpoint is not None
    assert (endpoint.wire, endpoint.provider, endpoint.base_url) == found


@pytest.mark.parametrize(
    "path",
    [
        *("files", "batches", "images/generations", "responses/resp_1/cancel", "models"),
        *("messages/batches", "messages/count_tokens", "threads/t/messages", "chat/completions/c"),
    ],
)
def test_other_addresses_are_no_metered_api(path: str) -> None:
    assert endpoint_of(f"https://api.openai.com/v1/{path}") is None


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "The weather?"},
]


def test_a_question_has_one_key_in_every_api() -> None:
    """Tools, tool choice, schema, sampling and effort are the same question however written."""
    chat = {
        "messages": CONVERSATION,
        "tools": [{"type": "function", "function": TOOL}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "reasoning_effort": "low",
        "temperature": 0.2,
        "max_tokens": 50,
    }
    responses = {
        "model": "gpt-4o",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "The weather?"}]}],
        "tools": [{"type": "function", **TOOL}],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "text": {"format": {"type": "json_schema", "schema": SCHEMA}},
        "reasoning": {"effort": "low"},
        "temperature": 0.2,
        "max_output_tokens": 50,
    }
    messages = {
        "model": "claude-sonnet-4-6",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "The weather?"}]}],
        "tools": [CLAUDES],
        "tool_choice": {"type": "tool", "name": "get_weather"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"},
        "temperature": 0.2,
        "max_tokens": 50,
    }
    openais = openai_chat.request_of(target_of("gpt-4o"), chat)
    claudes = anthropic_messages.request_of(target_of("claude-sonnet-4-6"), chat)
    assert key_of(CHAT.request_of({"model": "gpt-4o", **chat}, "openai", "")) == key_of(openais)
    assert key_of(RESPONSES.request_of(responses, "openai", "")) == key_of(openais)
    assert key_of(MESSAGES.request_of(messages, "anthropic", "")) == key_of(claudes)


@pytest.mark.parametrize(
    ("wire", "body", "other"),
    [
        (RESPONSES, {"input": "a"}, {"input": "b"}),
        (RESPONSES, {"input": "a"}, {"instructions": "x"}),
        (RESPONSES, {"input": "a"}, {"text": {"verbosity": "low"}}),
        (RESPONSES, {"input": "a"}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        (RESPONSES, {"input": "a"}, {"input": [{"type": "item_reference", "id": "1"}]}),
        (MESSAGES, {"max_tokens": 9}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (MESSAGES, {"max_tokens": 9}, {"tool_choice": {"type": "auto", "name": "x"}}),
        (MESSAGES, {"max_tokens": 9}, {"output_config": {"task_budget": 1}}),
        (EMBEDDINGS, {"input": "a"}, {"input": ["a"]}),
        (EMBEDDINGS, {"input": "a"}, {"dimensions": 2}),
    ],
)
def test_every_word_of_a_body_is_part_of_the_key(
    wire: Any, body: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = ({"model": "m", **body}, {"model": "m", **body, **other})
    assert key_of(wire.request_of(first, "p", "")) != key_of(wire.request_of(second, "p", ""))


def test_results_of_tools_and_their_order_are_part_of_the_key() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "sunny"}
    use = {"type": "tool_use", "id": "t", "name": "get_weather", "input": {}}
    text = {"type": "text", "text": "so"}
    contents: list[Any] = [
        [use],
        [use, text],
        [text, use],
        [result],
        [{**result, "is_error": True}],
    ]
    bodies = [
        {"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": content}]}
        for content in contents
    ]
    assert len({key_of(MESSAGES.request_of(body, "p", "")) for body in bodies}) == len(bodies)


def test_only_what_the_policy_changed_is_written_anew() -> None:
    """An unchanged request keeps its very body; a changed one keeps all its other fields."""
    bodies: list[tuple[Any, dict[str, Any], str]] = [
        (CHAT, {"messages": CONVERSATION, "seed": 1, "max_tokens": 9}, "max_tokens"),
        (CHAT, {"messages": CONVERSATION}, "max_completion_tokens"),
        (RESPONSES, {"input": "hi", "store": False}, "max_output_tokens"),
        (MESSAGES, {"messages": CONVERSATION[1:], "max_tokens": 9, "top_k": 1}, "max_tokens"),
    ]
    for wire, rest, word in bodies:
        body = {"model": "strong", **rest}
        asked = wire.request_of(body, wire.provider, "")
        assert wire.body_sent(body, asked, asked) is body
        handed = replace(asked, model="cheap", max_output_tokens=7)
        assert wire.body_sent(body, asked, handed) == {**body, "model": "cheap", word: 7}


@pytest.mark.parametrize("wire", [CHAT, RESPONSES, MESSAGES], ids=["chat", "responses", "messages"])
def test_messages_that_the_policy_shortened_are_written(wire: Any) -> None:
    """A call and its result stay a pair, in the API's own words."""
    call = ToolCall("t1", "get_weather", '{"city": "Rome"}')
    history = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("The weather?"),)),
        Message("assistant", (), (call,)),
        Message("tool", (Text("sunny"),), (), "t1"),
    )
    body: dict[str, Any] = {
        "model": "m",
        "messages": CONVERSATION[1:],
        "input": "x",
        "max_tokens": 9,
    }
    asked = wire.request_of(body, wire.provider, "")
    sent = wire.body_sent(body, asked, replace(asked, messages=history))
    read = wire.request_of(sent, wire.provider, "")
    assert [(m.role, m.text, m.tool_call_id) for m in read.messages] == [
        (m.role, m.text, m.tool_call_id) for m in history
    ]
    assert [(c.id, c.name) for m in read.messages for c in m.tool_calls] == [("t1", "get_weather")]
