"""OpenAI's dialect goes there and back without a loss, through the real SDK."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Choice, Media, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.providers.clients import ClientPool
from agentfuse.providers.names import access_of, target_of
from agentfuse.providers.openai_chat import (
    OpenAIChat,
    aask,
    aopen_stream,
    ask,
    body_of,
    codec_of,
    open_stream,
    request_of,
)
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse.usage import BilledUsage, Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Request

GPT = target_of("gpt-4o")
USER = {"role": "user", "content": "Hello"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Rome"}'},
}


def sent(messages: list[Any], model: str = "gpt-4o", **body: Any) -> dict[str, Any]:
    return body_of(request_of(target_of(model), {"model": model, "messages": messages, **body}))


# -- requests --------------------------------------------------------------------------------

texts = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts, "cache_control": json_values}),
    st.fixed_dictionaries(
        {
            "type": st.just("image_url"),
            "image_url": st.fixed_dictionaries(
                {"url": st.sampled_from(["https://x/y.png", "data:image/png;base64,QUJD"])},
                optional={"detail": st.sampled_from(["low", "high"])},
            ),
        }
    ),
    st.just({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}}),
    st.just({"type": "file", "file": {"file_id": "file-1"}}),
    st.just({"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}}),
    st.fixed_dictionaries({"type": st.just("refusal"), "refusal": texts}),
    st.fixed_dictionaries({"type": st.just("new_kind"), "new": json_values}),
)
contents = st.none() | texts | st.lists(blocks, min_size=1, max_size=3)
names = st.text("abc", min_size=1, max_size=3)
calls = st.one_of(
    st.fixed_dictionaries(
        {
            "id": names,
            "type": st.just("function"),
            "function": st.fixed_dictionaries(
                {"name": names, "arguments": texts}, optional={"more": texts}
            ),
        },
        optional={"extra_content": json_values},
    ),
    st.fixed_dictionaries(
        {
            "id": names,
            "type": st.just("custom"),
            "custom": st.fixed_dictionaries({"name": names, "input": texts}),
        }
    ),
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
            "content": contents,
        },
        optional={
            "name": names,
            "tool_call_id": names,
            "tool_calls": st.lists(calls, min_size=1, max_size=2),
            "refusal": st.none() | texts,
            "reasoning_content": texts,
            "made_up": json_values,
        },
    ),
    max_size=3,
)
bodies = st.fixed_dictionaries(
    {"model": st.just("gpt-4o"), "messages": messages},
    optional={
        "tools": st.lists(st.just(WEATHER), min_size=1, max_size=2),
        "max_completion_tokens": st.integers(1, 9),
        "temperature": st.none() | st.floats(0, 2),
        "stop": texts,
        "n": st.integers(1, 3),
        "brand_new": json_values,
    },
)


@given(bodies)
def test_what_came_in_goes_out(body: dict[str, Any]) -> None:
    assert body_of(request_of(target_of("gpt-4o"), body)) == body


def test_one_plain_text_block_is_the_text_itself() -> None:
    blocks = [{"type": "text", "text": "Hello"}]
    assert sent([{"role": "user", "content": blocks}])["messages"] == [USER]


def test_a_message_that_is_changed_is_read_anew_and_what_was_read_stays() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    body = {"messages": [{"role": "user", "content": [picture], "extra": {"a": 1}}]}
    before = request_of(target_of("gpt-4o"), body)
    picture["image_url"] = {"url": "https://example.org/b.png"}
    body["messages"][0]["extra"]["a"] = 1.0
    after = request_of(target_of("gpt-4o"), body)
    (first,), (second,) = before.messages, after.messages
    assert [part.url for part in (*first.parts, *second.parts) if isinstance(part, Media)] == [
        "https://example.org/a.png",
        "https://example.org/b.png",
    ]
    assert [type(message.extra["extra"]["a"]) for message in (first, second)] == [int, float]


def test_absent_and_empty_contents_are_null() -> None:
    said = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": []}]
    assert [message["content"] for message in sent(said)["messages"]] == [None, None]


@pytest.mark.parametrize("word", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("gpt-5", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("azure/d", "max_completion_tokens"),
        ("groq/m", "max_tokens"),
        ("deepseek/deepseek-chat", "max_tokens"),
    ],
)
def test_the_output_limit_is_written_in_the_providers_word(
    word: str, model: str, spoken: str
) -> None:
    body = sent([USER], model, **{word: 7})
    assert body[spoken] == 7
    assert len({"max_tokens", "max_completion_tokens"} & body.keys()) == 1


def test_two_limits_that_differ_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_tokens"):
        sent([USER], max_tokens=1, max_completion_tokens=2)


def test_the_prefix_is_not_sent() -> None:
    assert sent([USER], "deepseek/deepseek-chat")["model"] == "deepseek-chat"


@pytest.mark.parametrize(
    ("model", "asks"), [("gpt-4o", True), ("groq/m", True), ("mistral-small-latest", False)]
)
def test_a_stream_asks_for_its_usage_where_the_provider_lets_it(model: str, asks: bool) -> None:
    request = request_of(target_of(model), {"messages": [USER]}, stream=True)
    assert body_of(request).get("stream_options") == ({"include_usage": True} if asks else None)


def test_an_answers_own_message_can_be_sent_back(upstream: Upstream) -> None:
    upstream.script([Say(tool_calls=[Call("get_weather", {"city": "Rome"})])])
    answer = ask(openai_client(upstream), asked(tools=[WEATHER]))
    message = answer.choices[0].message
    body = sent([USER, message, {"role": "tool", "tool_call_id": "x", "content": "sunny"}])
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == "get_weather"
    json.dumps(body)


def test_what_claude_left_for_itself_is_kept_from_openai() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
    }
    assert sent([message])["messages"] == [{"role": "assistant", "content": "Hi"}]


@pytest.mark.parametrize("body", [{}, {"messages": None}, {"messages": "hi"}])
def test_a_request_without_messages_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="messages"):
        request_of(target_of("gpt-4o"), body)


def test_a_message_without_role_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="role"):
        request_of(GPT, {"messages": [{"content": "hi"}]})


def test_arguments_that_were_not_given_are_not_sent() -> None:
    assert sent([USER], temperature=openai.NOT_GIVEN) == {"model": "gpt-4o", "messages": [USER]}


def test_media_are_read_with_their_kind_and_data() -> None:
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    part = request_of(GPT, {"messages": [{"role": "user", "content": [url]}]}).messages[0].parts[0]
    assert part == Media(kind="image", data="QUJD", media_type="image/png", block=url)


# -- answers ---------------------------------------------------------------------------------

usages = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(0, 99),
        "completion_tokens": st.integers(0, 99),
        "total_tokens": st.integers(0, 199),
    }
)
completions = st.fixed_dictionaries(
    {
        "id": texts,
        "object": st.just("chat.completion"),
        "created": st.integers(0, 2**40),
        "model": texts,
        "choices": st.lists(
            st.fixed_dictionaries(
                {
                    "index": st.integers(0, 3),
                    "finish_reason": st.sampled_from(
                        ["stop", "length", "tool_calls", "content_filter", "eos"]
                    ),
                    "logprobs": st.none(),
                    "message": st.fixed_dictionaries(
                        {"role": st.just("assistant"), "content": st.none() | texts},
                        optional={
                            "refusal": st.none() | texts,
                            "tool_calls": st.lists(calls, max_size=2),
                            "reasoning_content": texts,
                            "made_up": json_values,
                        },
                    ),
                }
            ),
            max_size=3,
            unique_by=lambda choice: choice["index"],
        ),
    },
    optional={"usage": usages, "service_tier": texts, "system_fingerprint": texts},
)


@settings(max_examples=60)
@given(completions)
def test_an_answer_comes_back_as_the_same_completion(body: dict[str, Any]) -> None:
    completion = ChatCompletion.construct(**body)
    codec = OpenAIChat()
    reply = codec.reply_of(completion)
    again = codec.result_of(reply)
    assert again == completion
    assert codec.reply_of(again) == reply


@settings(max_examples=60)
@given(completions)
def test_a_replayed_answer_joins_to_itself(body: dict[str, Any]) -> None:
    codec = OpenAIChat(include_usage=True)
    reply = codec.reply_of(ChatCompletion.construct(**body))
    joined = codec.joined(list(codec.chunks_of(reply)))
    by_index = sorted(zip(body["choices"], reply.choices, strict=True), key=lambda c: c[0]["index"])
    assert joined.choices == tuple(choice for _, choice in by_index)
    assert joined.report == (reply.report if reply.choices else joined.report)


def neutral(**choice: Any) -> Reply:
    report = UsageReport(
        items=(
            BilledUsage(
                model="claude-x",
                usage=Usage(
                    input_tokens=9, output_tokens=5, cache_read_tokens=4, reasoning_tokens=2
                ),
            ),
        )
    )
    return Reply(choices=(Choice(**choice),), report=report, model="claude-x", id="m1")


@pytest.mark.parametrize(
    "choice",
    [
        {"parts": (Text("Hello"),), "finish_reason": "stop"},
        {"tool_calls": (ToolCall("t1", "f", "{}"),), "finish_reason": "tool_calls"},
        {"parts": (Reasoning("hm", {"reasoning_content": "hm"}), Text("Hi")), "finish_reason": ""},
        {
            "parts": (Other({"type": "refusal", "refusal": "No."}),),
            "finish_reason": "refusal",
        },
        {
            "parts": (Reasoning("hm", {"type": "thinking", "thinking": "hm", "signature": "s"}),),
            "finish_reason": "length",
        },
    ],
)
def test_another_frameworks_answer_is_told_as_a_completion(choice: dict[str, Any]) -> None:
    codec, reply = OpenAIChat(), neutral(**choice)
    again = codec.reply_of(codec.result_of(reply))
    assert (again.choices, again.report, again.model, again.id) == (
        reply.choices,
        reply.report,
        reply.model,
        reply.id,
    )


def test_no_two_hits_share_an_object() -> None:
    codec, reply = OpenAIChat(), neutral(parts=(Text("Hello"),), finish_reason="stop")
    kept = codec.reply_of(codec.result_of(reply))
    first = codec.result_of(kept)
    first.choices[0].message.content = "spoilt"
    assert codec.result_of(kept).choices[0].message.content == "Hello"


def test_words_the_sdk_does_not_list_survive() -> None:
    body = {"id": "x", "choices": [], "created": 1, "model": "m", "object": "chat.completion"}
    groq = ChatCompletion.construct(**body, service_tier="on_demand", x_groq={"id": "r"})
    codec = OpenAIChat("groq", "m")
    assert codec.result_of(codec.reply_of(groq)) == groq


# -- over the wire ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    _upstream.wait_idle(5)
    _upstream.reset()
    return _upstream


POOL = ClientPool()


def openai_client(upstream: Upstream) -> Any:
    environ = {"OPENAI_API_KEY": "sk-upstream", "OPENAI_BASE_URL": upstream.openai_url}
    return POOL.client(access_of(GPT, environ), 5.0)


@pytest.fixture(autouse=True, scope="module")
def _closed() -> Iterator[None]:
    yield
    POOL.close()


def asked(*, stream: bool = False, **body: Any) -> Request:
    return request_of(GPT, {"messages": [USER], **body}, stream=stream)


def test_an_answer_is_read_as_the_provider_gave_it(upstream: Upstream) -> None:
    request = asked(n=2, max_tokens=50)
    answer = ask(openai_client(upstream), request)
    codec = codec_of(request)
    reply = codec.reply_of(answer)
    assert [choice.text for choice in reply.choices] == ["Answer to: Hello"] * 2
    assert reply.finish_reason == "stop"
    assert reply.report is not None
    assert reply.report.usage == upstream.usage_served()
    assert codec.answer_of(answer) is answer
    assert codec.result_of(reply) == answer


def test_parameters_the_sdk_does_not_know_reach_the_wire(upstream: Upstream) -> None:
    request = asked(top_k=5, extra_body={"min_p": 0.1}, temperature=0.5)
    ask(openai_client(upstream), request)
    wire = upstream.requests[0].body
    assert (wire["top_k"], wire["min_p"], wire["temperature"]) == (5, 0.1, 0.5)


@pytest.mark.parametrize("script", [Say("Hello there, how are you today?"), None])
def test_a_stream_joins_to_what_the_provider_said(upstream: Upstream, script: Say | None) -> None:
    said = script or Say("Look:", [Call("get_weather", {"city": "Rome"}), Call("get_weather")])
    upstream.script([said, said])
    request = asked(stream=True, tools=[WEATHER])
    codec = codec_of(request)
    chunks = list(open_stream(openai_client(upstream), request))
    reply = codec.joined(chunks)
    whole = codec.reply_of(ask(openai_client(upstream), asked(tools=[WEATHER])))
    assert reply.text == whole.text == said.text
    assert reply.finish_reason == whole.finish_reason
    assert [(c.name, c.arguments) for c in reply.choices[0].tool_calls] == [
        (c.name, c.arguments) for c in whole.choices[0].tool_calls
    ]
    assert reply.report is not None
    assert reply.report.usage == upstream.requests[0].billed
    ChatCompletion.model_validate_json(reply.raw)


@pytest.mark.parametrize("wants", [True, False])
def test_a_caller_sees_the_usage_chunk_only_if_asked_for(upstream: Upstream, wants: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if wants else {}
    request = asked(stream=True, **options)
    codec = codec_of(request)
    chunks = list(open_stream(openai_client(upstream), request))
    shown = [each for chunk in chunks for each in codec.shown(chunk)]
    assert any(chunk.usage is not None for chunk in chunks)
    assert any(chunk.usage is not None for chunk in shown) is wants
    assert len(shown) == len(chunks) - (0 if wants else 1)
    replayed = list(codec.chunks_of(codec.joined(chunks)))
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in replayed)
    assert any(chunk.usage is not None for chunk in replayed) is wants


def test_the_deltas_of_a_stream_are_its_billed_text(upstream: Upstream) -> None:
    upstream.script([Say("Look here:", [Call("get_weather", {"city": "Rome"})])])
    request = asked(stream=True, tools=[WEATHER])
    codec = codec_of(request)
    chunks = open_stream(openai_client(upstream), request)
    metered = "".join(codec.delta_of(chunk).text for chunk in chunks)
    assert metered == 'Look here:get_weather{"city":"Rome"}'


def test_a_cut_stream_has_no_ending(upstream: Upstream) -> None:
    request = asked(stream=True)
    chunks = list(open_stream(openai_client(upstream), request))
    reply = codec_of(request).joined(chunks[:3])
    assert reply.text
    assert (reply.finish_reason, reply.report) == ("", None)
    assert codec_of(request).joined([]).choices == ()


def test_awaited_calls_say_the_same(upstream: Upstream) -> None:
    environ = {"OPENAI_API_KEY": "sk-upstream", "OPENAI_BASE_URL": upstream.openai_url}

    async def both() -> tuple[str, str]:
        client = POOL.aclient(access_of(GPT, environ), 5.0)
        answer = await aask(client, asked())
        stream = await aopen_stream(client, asked(stream=True))
        chunks = [chunk async for chunk in stream]
        codec = OpenAIChat()
        return codec.reply_of(answer).text, codec.joined(chunks).text

    assert asyncio.run(both()) == ("Answer to: Hello", "Answer to: Hello")


# -- odd streams -----------------------------------------------------------------------------


def chunk(delta: dict[str, Any], finish: str | None = None, **top: Any) -> ChatCompletionChunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **top.pop("choice", {})}
    base = {"id": "c", "created": 1, "model": "m", "object": "chat.completion.chunk"}
    return ChatCompletionChunk.construct(**{**base, "choices": [choice], **top})


def test_reasoning_is_joined_and_metered() -> None:
    chunks = [
        chunk({"role": "assistant", "content": None, "reasoning_content": "let "}),
        chunk({"reasoning_content": "me"}),
        chunk({"content": "Yes"}),
        chunk({}, "stop"),
    ]
    codec = OpenAIChat("deepseek", "deepseek-reasoner")
    reply = codec.joined(chunks)
    assert reply.choices[0].parts == (
        Reasoning("let me", {"reasoning_content": "let me"}),
        Text("Yes"),
    )
    assert "".join(codec.delta_of(each).text for each in chunks) == "let meYes"


def test_usage_on_the_last_choice_is_shown_and_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    chunks = [chunk({"content": "Yes"}), chunk({}, "stop", usage=usage)]
    codec = OpenAIChat("mistral", "m")
    assert [len(codec.shown(each)) for each in chunks] == [1, 1]
    report = codec.joined(chunks).report
    assert report is not None
    assert report.usage == Usage(input_tokens=3, output_tokens=1)


def test_refusals_and_logprobs_are_joined() -> None:
    one = {"token": "N", "logprob": -0.1, "bytes": [78], "top_logprobs": []}
    sure = {"logprobs": {"content": None, "refusal": [one]}}
    codec = OpenAIChat()
    reply = codec.joined(
        [
            chunk({"role": "assistant", "refusal": "N"}, choice=sure),
            chunk({"refusal": "o."}, choice=sure),
            chunk({}, "stop"),
        ]
    )
    assert reply.finish_reason == "refusal"
    logprobs = codec.result_of(reply).choices[0].logprobs
    assert logprobs is not None
    assert logprobs.refusal is not None
    assert [each.token for each in logprobs.refusal] == ["N", "N"]


def test_tool_calls_without_an_index_begin_with_their_ids() -> None:
    def piece(**call: Any) -> ChatCompletionChunk:
        return chunk({"tool_calls": [call]})

    chunks = [
        piece(id="a", function={"name": "f", "arguments": '{"x"'}),
        piece(function={"arguments": ":1}"}),
        piece(id="b", function={"name": "g", "arguments": "{}"}),
        chunk({}, "tool_calls"),
    ]
    calls = OpenAIChat().joined(chunks).choices[0].tool_calls
    assert calls == (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}"))


def test_arguments_that_are_null_are_empty() -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": None}}
    codec = OpenAIChat()
    reply = codec.joined([chunk({"tool_calls": [call]}), chunk({}, "tool_calls")])
    assert reply.choices[0].tool_calls == (ToolCall("a", "f", ""),)
    ChatCompletion.model_validate_json(reply.raw, strict=True)


def test_a_message_repeated_beside_the_delta_changes_nothing() -> None:
    said = {"role": "assistant", "content": "Hi", "tool_calls": None}
    again = {"message": said}
    reply = OpenAIChat("writer", "m").joined(
        [chunk(said, choice=again), chunk({"content": "!"}, "stop", choice=again)]
    )
    assert reply.text == "Hi!"


def test_the_place_of_an_unstreamed_call_is_no_part_of_it() -> None:
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "deepseek-chat",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [CALL | {"index": 0}],
                },
            }
        ],
    }
    codec, completion = OpenAIChat("deepseek", "m"), ChatCompletion.construct(**body)
    reply = codec.reply_of(completion)
    assert reply.choices[0].tool_calls == (ToolCall("call_1", "get_weather", '{"city":"Rome"}'),)
    assert codec.joined(list(codec.chunks_of(reply))).choices == reply.choices
    assert codec.result_of(reply) == completion
