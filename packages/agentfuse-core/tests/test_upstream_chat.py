"""The simulated provider speaks OpenAI's chat, as OpenAI's own SDK reads it."""

from __future__ import annotations

import json

import openai
import pytest

from agentfuse.testing.upstream import Call, Say, Upstream
from agentfuse.tokens import count_text
from agentfuse.usage import Usage

HELLO = [{"role": "user", "content": "Hello"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["place"],
        },
    },
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


def ask(client, messages=HELLO, **params):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": messages, **params})


def test_an_answer_echoes_the_question_and_bills_both(client, upstream):
    reply = ask(client)
    assert reply.choices[0].message.content == "Answer to: Hello"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.prompt_tokens == 3 + 1 + count_text("Hello") + 3
    assert reply.usage.completion_tokens == count_text("Answer to: Hello")
    assert reply.usage.total_tokens == 8 + 4
    assert reply.usage.prompt_tokens_details.cached_tokens == 0
    assert reply.usage.completion_tokens_details.accepted_prediction_tokens == 0
    assert (reply.object, reply.service_tier) == ("chat.completion", "default")
    assert upstream.usage_served() == Usage(input_tokens=8, output_tokens=4)


async def test_the_async_sdk_gets_the_same_answer(upstream):
    async with openai.AsyncOpenAI(
        base_url=upstream.openai_url, api_key="sk-upstream", max_retries=0
    ) as client:
        reply = await ask(client)
        stream = await ask(client, stream=True)
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert said == reply.choices[0].message.content == "Answer to: Hello"


def test_a_stream_has_role_content_finish_and_only_then_the_usage(client):
    chunks = [
        c.model_dump(exclude_unset=True)
        for c in ask(client, stream=True, stream_options={"include_usage": True})
    ]
    assert [c["choices"][0]["delta"] for c in chunks[:-1]] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Answer"},
        {"content": " to:"},
        {"content": " Hello"},
        {},
    ]
    finishes = [c["choices"][0]["finish_reason"] for c in chunks[:-1]]
    assert finishes == [None, None, None, None, "stop"]
    assert all(c["usage"] is None for c in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 4
    assert len({c["id"] for c in chunks}) == 1


def test_a_stream_says_nothing_of_usage_unless_asked(client):
    chunks = [c.model_dump(exclude_unset=True) for c in ask(client, stream=True)]
    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_streamed_tool_call_starts_with_its_name_and_ends_with_tool_calls(client):
    question = [{"role": "user", "content": "What is the weather in 'Rome' in 3 days?"}]
    chunks = list(ask(client, question, tools=[WEATHER], stream=True))
    calls = [c.choices[0].delta.tool_calls[0] for c in chunks if c.choices[0].delta.tool_calls]
    assert (calls[0].index, calls[0].function.name, calls[0].function.arguments) == (
        0,
        "get_weather",
        "",
    )
    assert calls[0].id.startswith("call_")
    arguments = "".join(call.function.arguments for call in calls)
    assert json.loads(arguments) == {"place": "Rome", "days": 3}
    assert len(calls) > 2
    assert all(call.id is None for call in calls[1:])
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_an_answered_tool_is_not_called_again(client):
    question = [{"role": "user", "content": "What is the weather in Rome?"}]
    message = ask(client, question, tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    again = ask(client, [*question, message, result], tools=[WEATHER]).choices[0]
    assert again.message.tool_calls is None
    assert again.finish_reason == "stop"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_weather"}}, ["get_weather"]),
        ("auto", []),
        ("none", []),
    ],
)
def test_a_tool_is_called_where_it_is_forced(client, choice, names):
    message = ask(client, tools=[WEATHER], tool_choice=choice).choices[0].message
    assert [call.function.name for call in message.tool_calls or ()] == names


def test_two_mentioned_tools_are_called_at_once_unless_forbidden(client):
    time = {"type": "function", "function": {"name": "get_time", "parameters": {}}}
    question = [{"role": "user", "content": "Weather and time in Rome?"}]
    both = ask(client, question, tools=[WEATHER, time]).choices[0].message.tool_calls
    one = ask(client, question, tools=[WEATHER, time], parallel_tool_calls=False)
    assert [call.function.name for call in both] == ["get_weather", "get_time"]
    assert len({call.id for call in both}) == 2
    assert len(one.choices[0].message.tool_calls) == 1


def test_max_tokens_cuts_the_answer_short(client):
    reply = ask(client, max_tokens=2)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 2
    assert "Answer to: Hello".startswith(reply.choices[0].message.content)


def test_long_answers_have_as_many_tokens_as_wished_and_many_chunks():
    with Upstream(answer_tokens=500) as upstream:
        client = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-upstream")
        chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens == 500
    assert len(chunks) > 400


def test_n_choices_are_all_said_and_all_billed(client):
    reply = ask(client, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage.completion_tokens == 3 * 4


def test_a_reasoning_model_bills_what_it_thinks(client):
    usage = ask(client, model="gpt-5-mini").usage
    assert usage.completion_tokens_details.reasoning_tokens == 64
    assert usage.completion_tokens == 64 + 4
    short = ask(client, model="gpt-5-mini", max_completion_tokens=20)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("", "length")
    assert short.usage.completion_tokens == 20


def test_a_prompt_seen_before_is_cached_in_steps_of_128_for_its_own_key():
    with Upstream(keys=["one", "two"]) as upstream:
        one = openai.OpenAI(base_url=upstream.openai_url, api_key="one")
        two = openai.OpenAI(base_url=upstream.openai_url, api_key="two")
        system = {"role": "system", "content": "This is padding. " * 400}
        cached = [
            ask(
                client, [system, {"role": "user", "content": text}]
            ).usage.prompt_tokens_details.cached_tokens
            for client, text in ((one, "a"), (one, "b"), (two, "c"))
        ]
    assert cached == [0, (count_text(system["content"]) + 4) // 128 * 128, 0]


def test_json_answers_fit_their_schema(client):
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["b", "a"]}, "items": {"$ref": "#/$defs/list"}},
        "required": ["kind", "items"],
        "$defs": {"list": {"type": "array", "items": {"type": "number"}}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    said = ask(client, response_format=wanted).choices[0].message.content
    assert json.loads(said) == {"kind": "b", "items": [1]}
    question = [{"role": "user", "content": "Give JSON with 'setup' and 'punchline'."}]
    free = ask(client, question, response_format={"type": "json_object"})
    assert json.loads(free.choices[0].message.content).keys() == {"setup", "punchline"}


def test_a_script_goes_before_the_responder_and_that_before_the_default():
    def responder(asked):
        return Say(f"{asked.api} {asked.model}") if asked.text == "Hello" else None

    with Upstream(responder) as upstream:
        client = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-upstream")
        upstream.script([Say(tool_calls=[Call("add", {"a": 1})], finish_reason="stop")])
        scripted = ask(client).choices[0]
        assert scripted.message.tool_calls[0].function.arguments == '{"a":1}'
        assert scripted.finish_reason == "stop"
        assert ask(client).choices[0].message.content == "chat.completions gpt-4o"
        other = ask(client, [{"role": "user", "content": "Bye"}])
        assert other.choices[0].message.content == "Answer to: Bye"


def test_a_responder_that_raises_is_told_of_in_the_error():
    def responder(asked):
        raise ValueError("no idea")

    with Upstream(responder) as upstream:
        client = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-upstream", max_retries=0)
        with pytest.raises(openai.InternalServerError, match="no idea"):
            ask(client)


BAD_REQUESTS = [
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "invalid_value"),
    (
        {"messages": [*HELLO, {"role": "tool", "tool_call_id": "c1", "content": "x"}]},
        "messages.[1].role",
        None,
    ),
    ({"messages": [*HELLO, {"role": "assistant", "tool_calls": [CALL]}]}, "messages", None),
    (
        {"messages": [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, *HELLO]},
        "messages",
        None,
    ),
    ({"model": "o3", "max_tokens": 5}, "max_tokens", "unsupported_parameter"),
    ({"model": "o3", "temperature": 0.5}, "temperature", "unsupported_parameter"),
    ({"model": "gpt-5", "temperature": 0}, "temperature", "unsupported_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
    ({"tool_choice": "auto"}, "tool_choice", None),
    ({"response_format": {"type": "json_object"}}, "messages", None),
]


@pytest.mark.parametrize(("params", "param", "code"), BAD_REQUESTS)
def test_what_openai_refuses_is_refused(client, upstream, params, param, code):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **params)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert upstream.usage_served() == Usage()


@pytest.mark.parametrize("model", ["gpt-5-chat-latest", "gpt-4o"])
def test_models_that_do_not_reason_take_a_temperature(client, model):
    assert ask(client, model=model, temperature=0.5, max_tokens=5).usage.completion_tokens <= 5


def test_a_wrong_key_gets_a_401_and_an_unknown_model_a_404(client, upstream):
    stranger = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-wrong-wrong-wrong")
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(stranger)
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        ask(client, model="deepseek/deepseek-chat")
    assert missing.value.code == "model_not_found"


def test_a_model_of_ones_own_is_known_when_listed():
    with Upstream(models=["house/special"]) as upstream:
        client = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-upstream")
        assert ask(client, model="house/special").model == "house/special"
        assert [model.id for model in client.models.list()] == ["house/special"]


def test_the_usage_can_be_overridden_for_odd_providers(client, upstream):
    upstream.script([Say("hi", usage={"prompt_tokens": 7, "cost": 0.5})])
    usage = ask(client).usage
    assert (usage.prompt_tokens, usage.cost) == (7, 0.5)
