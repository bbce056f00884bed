"""The simulated provider speaks OpenAI's Responses API, as OpenAI's own SDK reads it."""

from __future__ import annotations

import json

import openai
import pytest

from agentfuse.testing.upstream import Say, Upstream

ADD = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture
def upstream():
    with Upstream() as running:
        yield running


@pytest.fixture
def client(upstream):
    with openai.OpenAI(
        base_url=upstream.openai_url, api_key="sk-upstream", max_retries=0
    ) as client:
        yield client


def test_a_response_echoes_the_question_and_bills_both(client):
    response = client.responses.create(model="gpt-4o", input="Hello")
    assert (response.output_text, response.status) == ("Answer to: Hello", "completed")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (8, 4)
    assert response.usage.total_tokens == 12
    assert response.usage.output_tokens_details.reasoning_tokens == 0


async def test_the_async_sdk_gets_the_same_response(upstream):
    async with openai.AsyncOpenAI(
        base_url=upstream.openai_url, api_key="sk-upstream", max_retries=0
    ) as client:
        response = await client.responses.create(model="gpt-4o", input="Hello")
        events = [
            event
            async for event in await client.responses.create(
                model="gpt-4o", input="Hello", stream=True
            )
        ]
    assert events[-1].response.output_text == response.output_text


def test_a_stream_numbers_its_events_and_ends_with_the_usage(client):
    events = list(client.responses.create(model="gpt-4o", input="Hello", stream=True))
    assert [e.type.removeprefix("response.") for e in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert events[0].response.usage is None
    assert events[-1].response.usage.output_tokens == 4
    assert events[2].item.id == events[4].item_id == events[-1].response.output[0].id


def test_a_function_call_streams_its_arguments_and_its_output_ends_the_turn(client):
    with client.responses.stream(model="gpt-4o", input="add 5", tools=[ADD]) as stream:
        types = [e.type for e in stream]
        response = stream.get_final_response()
    assert types.count("response.function_call_arguments.delta") >= 1
    assert "response.function_call_arguments.done" in types
    call = response.output[0]
    assert json.loads(call.arguments) == {"a": 5}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "6"}
    after = client.responses.create(
        model="gpt-4o", input=[result], tools=[ADD], previous_response_id=response.id
    )
    assert after.output_text == "Answer to: add 5"
    assert after.usage.input_tokens > response.usage.input_tokens


def test_a_reasoning_model_shows_an_item_and_bills_its_tokens(client, upstream):
    response = client.responses.create(model="o4-mini", input="Hello")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage.output_tokens_details.reasoning_tokens == 64
    upstream.script([Say("Yes.", reasoning="It is so.")])
    events = list(client.responses.create(model="o4-mini", input="Hello", stream=True))
    summary = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
    assert summary == "It is so."


@pytest.mark.parametrize("stream", [False, True])
def test_the_output_limit_makes_a_response_incomplete(client, stream):
    given = {"model": "gpt-4o", "input": "word " * 50, "max_output_tokens": 16}
    if stream:
        last = list(client.responses.create(**given, stream=True))[-1]
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = client.responses.create(**given)
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 16


def test_a_text_format_is_obeyed(client):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    wanted = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    response = client.responses.create(model="gpt-4o", input="Hello", text=wanted)
    assert json.loads(response.output_text) == {"ok": True}


def test_a_forced_function_is_called(client):
    choice = {"type": "function", "name": "add"}
    response = client.responses.create(
        model="gpt-4o", input="Hello", tools=[ADD], tool_choice=choice
    )
    assert [item.type for item in response.output] == ["function_call"]


OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
CALL = {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
BAD_REQUESTS = [
    ({"input": []}, "input"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [OUTPUT]}, "input"),
    ({"input": [CALL]}, "input"),
    ({"max_output_tokens": 15}, "max_output_tokens"),
    ({"model": "gpt-5", "temperature": 0.5}, "temperature"),
    ({"previous_response_id": "resp_none"}, "previous_response_id"),
    ({"extra_body": {"max_tokens": 5}}, "max_tokens"),
]


@pytest.mark.parametrize(("given", "param"), BAD_REQUESTS)
def test_what_openai_refuses_is_refused(client, given, param):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "gpt-4o", "input": "Hello", **given})
    assert caught.value.param == param
