"""The simulated provider speaks Anthropic's Messages, as Anthropic's own SDK reads it."""

from __future__ import annotations

import json

import anthropic
import pytest

from agentfuse.testing.upstream import Call, Say, Upstream

HELLO = [{"role": "user", "content": "Hello"}]
USE = {"type": "tool_use", "id": "t1", "name": "add", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "3"}
ADD = {
    "name": "add",
    "input_schema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}


@pytest.fixture
def upstream():
    with Upstream() as running:
        yield running


@pytest.fixture
def client(upstream):
    with anthropic.Anthropic(
        base_url=upstream.anthropic_url, api_key="sk-upstream", max_retries=0
    ) as client:
        yield client


def params(**given):
    return {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": HELLO, **given}


def test_a_message_echoes_the_question_and_bills_both(client, upstream):
    message = client.messages.create(**params())
    assert message.content[0].text == "Answer to: Hello"
    assert message.stop_reason == "end_turn"
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (8, 5)
    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)
    assert usage.cache_creation.ephemeral_1h_input_tokens == 0
    assert usage.service_tier == "standard"
    assert upstream.usage_served().input_tokens == 8


async def test_the_async_sdk_gets_the_same_message(upstream):
    async with anthropic.AsyncAnthropic(
        base_url=upstream.anthropic_url, api_key="sk-upstream", max_retries=0
    ) as client:
        message = await client.messages.create(**params())
        async with client.messages.stream(**params()) as stream:
            streamed = await stream.get_final_message()
    assert message.content[0].text == streamed.content[0].text == "Answer to: Hello"
    assert message.usage.output_tokens == streamed.usage.output_tokens


def test_a_stream_keeps_anthropics_order_and_usage_places(client):
    events = [
        e.model_dump(exclude_unset=True) for e in client.messages.create(**params(), stream=True)
    ]
    assert [e["type"] for e in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0]["message"]["usage"]["input_tokens"] == 8
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert events[1]["content_block"] == {"type": "text", "text": ""}
    assert [e["delta"]["text"] for e in events[2:5]] == ["Answer", " to:", " Hello"]
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"]["output_tokens"] == 5


def test_a_ping_follows_the_first_block_start(client):
    with client.messages.with_streaming_response.create(**params(stream=True)) as raw:
        names = [line[7:] for line in raw.iter_lines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "content_block_start", "ping"]


def test_a_streamed_tool_use_brings_its_input_in_pieces(client):
    question = [{"role": "user", "content": "Please add 3 and 4"}]
    with client.messages.stream(**params(messages=question, tools=[ADD])) as stream:
        deltas = [e.delta for e in stream if e.type == "content_block_delta"]
        message = stream.get_final_message()
    assert {delta.type for delta in deltas} == {"input_json_delta"}
    assert deltas[0].partial_json == ""
    assert json.loads("".join(d.partial_json for d in deltas)) == {"a": 3, "b": 4}
    assert (message.stop_reason, message.content[0].input) == ("tool_use", {"a": 3, "b": 4})


@pytest.mark.parametrize(
    ("choice", "blocks"),
    [
        ({"type": "any"}, ["tool_use"]),
        ({"type": "tool", "name": "add"}, ["tool_use"]),
        ({"type": "auto"}, ["text"]),
        ({"type": "none"}, ["text"]),
    ],
)
def test_a_tool_is_used_where_it_is_forced(client, choice, blocks):
    message = client.messages.create(**params(tools=[ADD], tool_choice=choice))
    assert [block.type for block in message.content] == blocks


def test_a_tool_turn_goes_round(client):
    messages = [
        {"role": "user", "content": "Please add 1 and 2"},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [RESULT]},
    ]
    message = client.messages.create(**params(messages=messages, tools=[ADD]))
    assert message.content[0].text == "Answer to: Please add 1 and 2"


def test_max_tokens_cuts_the_message_short(client):
    message = client.messages.create(**params(max_tokens=3))
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens <= 3


def test_thinking_is_shown_before_the_text_and_billed(client, upstream):
    upstream.script([Say("Yes.", reasoning="Let me see, it is so.")] * 2)
    message = client.messages.create(**params())
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.usage.output_tokens > message.usage.output_tokens_details.thinking_tokens > 0
    with client.messages.stream(**params()) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].thinking == "Let me see, it is so."
    assert streamed.content[0].signature


def test_a_json_schema_is_obeyed(client):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    message = client.messages.create(**params(output_config=wanted))
    assert json.loads(message.content[0].text) == {"name": "name"}


def test_what_stands_before_a_breakpoint_is_written_once_and_then_read(client):
    block = {"type": "text", "text": "This is padding. " * 600}
    day = {**block, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    first, second = (client.messages.create(**params(system=[day])).usage for _ in range(2))
    assert first.cache_creation.ephemeral_1h_input_tokens > 1024
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens
    assert (first.cache_read_input_tokens, second.cache_creation_input_tokens) == (0, 0)
    assert first.input_tokens == second.input_tokens == 8


def test_a_longer_conversation_reads_the_old_and_writes_the_new(client):
    def said(count):
        text = {"type": "text", "text": "This is padding. " * 400}
        marked = {**text, "cache_control": {"type": "ephemeral"}}
        return [{"role": "user", "content": [*[text] * count, marked]}]

    before = client.messages.create(**params(messages=said(0))).usage
    after = client.messages.create(**params(messages=said(1))).usage
    assert after.cache_read_input_tokens == before.cache_creation_input_tokens
    assert after.cache_creation.ephemeral_5m_input_tokens > 1024


BAD_REQUESTS = [
    ({"messages": []}, "at least one message"),
    ({"messages": [{"role": "system", "content": "x"}, *HELLO]}, "top-level `system`"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'must use the "user" role'),
    ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
    ({"messages": [*HELLO, {"role": "assistant", "content": [USE]}, *HELLO]}, "without `tool_res"),
    ({"messages": [*HELLO, {"role": "assistant", "content": [USE]}]}, "without `tool_result`"),
    ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
    ({"tools": [{"name": "add"}]}, "tools.0.custom.input_schema: Field required"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"extra_body": {"temperature": 1.5}}, "temperature: range: 0..1"),
    ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
]


@pytest.mark.parametrize(("given", "message"), BAD_REQUESTS)
def test_what_anthropic_refuses_is_refused(client, given, message):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**params(**given))
    assert message in caught.value.body["error"]["message"]
    assert caught.value.body["type"] == "error"
    assert caught.value.request_id == caught.value.body["request_id"]


def test_consecutive_user_turns_are_combined(client):
    assert client.messages.create(**params(messages=HELLO * 2)).stop_reason == "end_turn"


def test_a_wrong_key_and_an_unknown_model_get_anthropics_words(client, upstream):
    stranger = anthropic.Anthropic(base_url=upstream.anthropic_url, api_key="wrong")
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        stranger.messages.create(**params())
    with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
        client.messages.create(**params(model="anthropic/claude"))


def test_a_script_can_use_two_tools(client, upstream):
    upstream.script([Say("Both:", [Call("add", {"a": 1}), Call("add", {"a": 2}, "toolu_x")])])
    message = client.messages.create(**params(tools=[ADD]))
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[2].id == "toolu_x"
