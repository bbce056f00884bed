"""On the wire a fused model is the bare one, and its account of a call leaves nothing out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from agentfuse import Fuse
from agentfuse.messages import Request
from agentfuse.policy.keys import key_of
from agentfuse_langchain import AgentFuseChatModel, BudgetStop
from agentfuse_langchain.requests import request_of

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
BareOf = Callable[..., BaseChatModel]


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Joke(BaseModel):
    """A joke to tell."""

    setup: str
    punchline: str


HISTORY = [
    SystemMessage("Be brief."),
    HumanMessage("What is the weather in Rome?"),
    AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Rome"}, "id": "call_1"}]),
    ToolMessage("sunny", tool_call_id="call_1", name="get_weather"),
    HumanMessage([{"type": "text", "text": "Thank you"}], name="ann"),
]


async def ask_in_every_way(model: Any) -> None:
    model.invoke("hello", stop=["x"])
    await model.ainvoke(HISTORY)
    list(model.bind_tools([get_weather], tool_choice="any").stream("hello"))
    [chunk async for chunk in model.bind(temperature=0.3, max_tokens=17).astream("hello")]
    model.with_structured_output(Joke).invoke("joke")
    model.with_structured_output(Joke, method="function_calling").invoke("joke")
    model.bind(model=model._get_ls_params()["ls_model_name"]).batch(["one", "two"])


async def test_bodies_are_the_bare_ones(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    bare = bare_of(vendor, stream_usage=True, max_tokens=200, temperature=0.1)
    await ask_in_every_way(bare)
    wanted = [(r.path, r.body) for r in up.requests]
    up.reset()
    fused = AgentFuseChatModel(inner=bare, budget="$5", cache=False, spend_book=False)
    await ask_in_every_way(fused)
    key = json.dumps
    assert sorted(map(key, wanted)) == sorted(map(key, [(r.path, r.body) for r in up.requests]))
    assert len(wanted) == 8


async def test_usage_is_asked_for_and_kept_from_who_did_not(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor, stream_usage=False)
    model = AgentFuseChatModel(inner=bare, fuse=fuse)
    wanted, live = list(bare.stream("hello")), list(model.stream("hello"))
    again = list(model.stream("hello"))
    assert [said(chunk) for chunk in live] == [said(chunk) for chunk in wanted]
    assert all(chunk.usage_metadata is None for chunk in [*wanted, *live, *again])
    awaited = [chunk async for chunk in model.astream("hello you")]
    assert all(chunk.usage_metadata is None for chunk in awaited)
    receipt = fuse.receipt()
    assert (receipt.exact, receipt.estimated) == (1, 0)
    billed = [request.billed for request in up.requests[1:]]
    assert receipt.models[0].output_tokens == sum(each.output_tokens for each in billed)


def said(chunk: Any) -> Any:
    return type(chunk), chunk.content, chunk.response_metadata, chunk.chunk_position


def test_structured_streams_keep_their_usage_to_themselves(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    bare = bare_of("openai")
    model = AgentFuseChatModel(inner=bare, fuse=fuse)
    wanted = list(bare.bind(response_format=Joke).stream("joke"))
    live = list(model.bind(response_format=Joke).stream("joke"))
    assert [type(chunk) for chunk in live] == [type(chunk) for chunk in wanted]
    assert [chunk.content for chunk in live] == [chunk.content for chunk in wanted]
    assert not any(chunk.usage_metadata for chunk in [*live, *wanted])
    assert fuse.receipt().estimated == 0
    again = sum_of(list(model.bind(response_format=Joke).stream("joke")))
    assert again.additional_kwargs["parsed"] == sum_of(live).additional_kwargs["parsed"]
    assert isinstance(again.additional_kwargs["parsed"], Joke)
    assert up.calls == 2


def sum_of(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def test_the_model_of_a_call_is_the_one_that_is_priced(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    model.invoke("hello", model="gpt-4o-mini")
    list(model.bind(model="gpt-4o-mini").stream("hello you"))
    assert [request.model for request in up.requests] == ["gpt-4o-mini"] * 2
    assert [spend.model for spend in fuse.receipt().models] == ["gpt-4o-mini"]


def test_an_answer_without_a_maximum_is_clamped_to_the_budget(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), budget="$0.02", spend_book=False)
    word = {"openai": "max_completion_tokens", "anthropic": "max_tokens"}[vendor]
    model.invoke("hello")
    list(model.stream("hello you"))
    for request in up.requests:
        assert 128 <= request.body[word] <= 2_000
        assert not {"max_tokens", "max_completion_tokens"} - {word} & set(request.body)
    responses = AgentFuseChatModel(
        inner=bare_of("openai", use_responses_api=True), budget="$0.02", spend_book=False
    )
    responses.invoke("hello")
    assert 128 <= up.requests[-1].body["max_output_tokens"] <= 2_000


def test_a_maximum_of_the_callers_own_is_never_touched(bare_of: BareOf, up: Upstream) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai", max_tokens=5_000), budget="$0.02")
    with pytest.raises(BudgetStop):
        model.invoke("hello")
    with pytest.raises(BudgetStop):
        model.inner.model_copy() and model.bind(max_tokens=4_000).invoke("hello")
    assert up.calls == 0


def keys_of(model: BaseChatModel, *asked: dict[str, Any]) -> list[str | None]:
    return [
        key_of(request_of(model, [HumanMessage("hello")], each.pop("stop", None), each))
        for each in asked
    ]


def test_whatever_changes_an_answer_changes_its_key(bare_of: BareOf) -> None:
    model = bare_of("openai")
    asked: list[dict[str, Any]] = [
        {},
        {"stop": ["x"]},
        {"temperature": 0.2},
        {"max_tokens": 5},
        {"seed": 1},
        {"n": 2},
        {"model": "gpt-4o-mini"},
        {"response_format": Joke},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"tool_choice": "none"},
        {"extra_body": {"top_k": 1}},
        {"extra_headers": {"x-tenant": "b"}},
        {"never_heard_of": 1},
    ]
    keys = keys_of(model, *asked)
    assert None not in keys
    assert len(set(keys)) == len(keys)
    others = [
        bare_of("openai", **words)
        for words in (
            {"temperature": 0.2, "seed": 1},
            {"model": "gpt-4o-mini", "temperature": 0.1},
            {"model_kwargs": {"user": "ann"}},
            {"model_kwargs": {"tools": [{"type": "function", "function": {"name": "g"}}]}},
            {"reasoning_effort": "low"},
            {"default_headers": {"x-tenant": "b"}},
            {"use_responses_api": True},
            {"output_version": "v1"},
            {"base_url": "http://elsewhere/v1"},
            {"n": 3},
        )
    ]
    more = [keys_of(other, {})[0] for other in others]
    assert len({*keys, *more}) == len(keys) + len(more)


def test_how_a_call_travels_is_no_part_of_its_key(bare_of: BareOf) -> None:
    model = bare_of("openai")
    same: list[dict[str, Any]] = [{}, {"stream": True}, {"stream_usage": True}, {"timeout": 3}]
    keys = keys_of(model, *same)
    others = [
        bare_of("openai", **words)
        for words in (
            {"max_retries": 5},
            {"timeout": 11},
            {"streaming": True},
            {"api_key": "another"},
            {"tags": ["a"]},
            {"metadata": {"a": 1}},
            {"verbose": True},
            {"disable_streaming": True},
        )
    ]
    assert {*keys, *(keys_of(other, {})[0] for other in others)} == {keys[0]}


def test_what_has_no_json_form_has_no_key(bare_of: BareOf) -> None:
    assert keys_of(bare_of("openai"), {"something": object()}) == [None]


@pytest.mark.parametrize("secret", ["sk-SECRET-1", "hdr-SECRET-2", "mcp-SECRET-3"])
def test_no_secret_enters_a_request(bare_of: BareOf, vendor: str, secret: str) -> None:
    model = bare_of(
        vendor, api_key="sk-SECRET-1", default_headers={"authorization": "hdr-SECRET-2"}
    )
    kwargs = {
        "tools": [{"type": "mcp", "server_url": "u", "headers": {"x": "mcp-SECRET-3"}}],
        "extra_headers": {"x-api-key": "hdr-SECRET-2"},
        "extra_body": {"api_key": "sk-SECRET-1", "inner": [{"token": "sk-SECRET-1"}]},
        "odd": SecretStr("sk-SECRET-1"),
    }
    assert secret not in repr(request_of(model, [HumanMessage("hello")], None, kwargs))


def test_a_request_says_what_is_asked(bare_of: BareOf, up: Upstream) -> None:
    model = bare_of("openai", temperature=0.1, max_tokens=9)
    request = request_of(model, HISTORY, ["x"], {"tool_choice": "auto"})
    assert request.provider == "openai"
    assert request.model == "gpt-4o"
    assert request.base_url == up.openai_url
    assert request.max_output_tokens == 9
    assert {**request.params, "default_headers": ""} == {
        "temperature": 0.1,
        "stop": ["x"],
        "tool_choice": "auto",
        "default_headers": "",
    }
    assert [message.role for message in request.messages] == [
        *("system", "user", "assistant", "tool", "user")
    ]
    assert request.messages[2].parts == ()
    assert request.messages[2].tool_calls[0].arguments == '{"city": "Rome"}'
    assert request.messages[3].tool_call_id == "call_1"


def test_the_providers_own_address_is_none(vendor: str) -> None:
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI

    kind = {"openai": ChatOpenAI, "anthropic": ChatAnthropic}[vendor]
    names = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}
    model = kind(model=names[vendor], api_key="k")
    request = request_of(model, [HumanMessage("hello")], None, {})
    assert request == Request(
        provider=vendor, model=names[vendor], messages=request.messages, api="langchain"
    )


def test_a_known_address_names_its_provider() -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="deepseek-chat", api_key="k", base_url="https://api.deepseek.com/")
    request = request_of(model, [HumanMessage("hello")], None, {})
    assert (request.provider, request.base_url) == ("deepseek", "")
