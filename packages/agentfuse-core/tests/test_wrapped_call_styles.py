"""Every way to call the SDKs, bare and wrapped: the same wire, the same objects, once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from agentfuse import Fuse, wrap_anthropic, wrap_openai
from agentfuse.testing import Upstream
from agentfuse.testing.adapter_contract import Heard

# anthropic 0.120's beta `parse` says so, and has no other way to be given a type.
pytestmark = pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")

KEY = "sk-upstream"
ASKED = [{"role": "user", "content": "What is the weather in Rome?"}]
CHAT = {"model": "gpt-4o", "messages": ASKED}
RESPONSE = {"model": "gpt-4o", "input": "What is the weather in Rome?"}
MESSAGE = {"model": "claude-sonnet-4-6", "messages": ASKED, "max_tokens": 100}
EMBEDDED = {"model": "text-embedding-3-small", "input": ["Rome", "weather"], "dimensions": 4}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "parameters": CITY, "strict": True}
CHAT_TOOL = {"type": "function", "function": WEATHER}
RESPONSE_TOOL = {"type": "function", **WEATHER}
MESSAGE_TOOL = {"name": "get_weather", "input_schema": CITY}
MOMENTS = ("created", "created_at", "completed_at", "request_id", "sequence_number")


class Report(BaseModel):
    """What ``parse`` asks for."""

    city: str
    degrees: int


class Got:
    """Uses a blocking and an awaited client in the same words."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def of(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def listed(self, events: Any) -> list[Any]:
        events = await self.of(events)
        if hasattr(events, "__aiter__"):
            return [event async for event in events]
        return list(events)

    async def within(self, manager: Any, use: Callable[[Any], Awaitable[Any]]) -> Any:
        if hasattr(manager, "__aenter__"):
            async with manager as entered:
                return await use(entered)
        with manager as entered:
            return await use(entered)

    async def whole(self, answer: Any) -> Any:
        return (await self.of(answer)).model_dump(warnings=False)

    async def chunks(self, events: Any) -> Any:
        """Give what a stream of chunks says, however finely it is cut."""
        heard = [event.model_dump(exclude_unset=True) for event in await self.listed(events)]
        choices = [choice for chunk in heard for choice in chunk["choices"]]
        deltas = [choice["delta"] for choice in choices]
        calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
        return {
            "ids": {chunk["id"] for chunk in heard},
            "role": deltas[0]["role"],
            "text": "".join(delta.get("content") or "" for delta in deltas),
            "calls": [call["function"]["name"] for call in calls if call.get("id")],
            "arguments": "".join(call["function"]["arguments"] for call in calls),
            "ends": [each["finish_reason"] for each in choices if each["finish_reason"]],
            "usage": [chunk["usage"] for chunk in heard if chunk.get("usage")],
            "told": {word for chunk in heard for word in chunk if word != "usage"},
        }

    async def events(self, events: Any) -> Any:
        """Give the kinds of a stream's events in their order, and its closing one."""
        heard = [event for event in await self.listed(events) if event.type != "ping"]
        last = [event.model_dump(warnings=False) for event in heard if hasattr(event, "response")]
        said = "".join(said_in(event) for event in heard)
        return [kind for kind, _ in groupby(event.type for event in heard)], said, last[-1:]

    async def helped(self, manager: Any, final: str) -> Any:
        async def read(stream: Any) -> Any:
            kinds = [event.type for event in await self.listed(stream)]
            told = await self.of(getattr(stream, final)())
            return list(dict.fromkeys(kinds)), told.model_dump(warnings=False)

        return await self.within(manager, read)

    async def raw(self, answer: Any) -> Any:
        response = await self.of(answer)
        assert response.http_response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        return (await self.of(response.parse())).model_dump(warnings=False)

    async def raw_stream(self, answer: Any) -> Any:
        response = await self.of(answer)
        return await self.chunks(response.parse())

    async def bytes(self, manager: Any) -> Any:
        async def read(response: Any) -> Any:
            return sorted(await self.of(response.json()))

        return await self.within(manager, read)

    async def lines(self, manager: Any) -> Any:
        async def read(response: Any) -> Any:
            return [line for line in await self.listed(response.iter_lines()) if "DONE" in line]

        return await self.within(manager, read)


def said_in(event: Any) -> str:
    delta = getattr(event, "delta", None)
    return delta if isinstance(delta, str) else getattr(delta, "text", None) or ""


OPENAI: dict[str, Callable[[Got], Any]] = {
    "chat.create": lambda g: g.whole(g.client.chat.completions.create(**CHAT)),
    "chat.create/n": lambda g: g.whole(g.client.chat.completions.create(**CHAT, n=2)),
    "chat.create/tools": lambda g: g.whole(
        g.client.chat.completions.create(**CHAT, tools=[CHAT_TOOL])
    ),
    "chat.create/stream": lambda g: g.chunks(g.client.chat.completions.create(**CHAT, stream=True)),
    "chat.create/stream/usage": lambda g: g.chunks(
        g.client.chat.completions.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        )
    ),
    "chat.create/stream/tools": lambda g: g.chunks(
        g.client.chat.completions.create(**CHAT, stream=True, tools=[CHAT_TOOL])
    ),
    "chat.stream": lambda g: g.helped(
        g.client.chat.completions.stream(**CHAT), "get_final_completion"
    ),
    "chat.stream/parse": lambda g: g.helped(
        g.client.chat.completions.stream(**CHAT, response_format=Report), "get_final_completion"
    ),
    "chat.parse": lambda g: g.whole(
        g.client.chat.completions.parse(**CHAT, response_format=Report)
    ),
    "chat.raw": lambda g: g.raw(g.client.chat.completions.with_raw_response.create(**CHAT)),
    "chat.raw/stream": lambda g: g.raw_stream(
        g.client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    ),
    "chat.raw/parse": lambda g: g.raw(
        g.client.chat.completions.with_raw_response.parse(**CHAT, response_format=Report)
    ),
    "chat.streaming": lambda g: g.bytes(
        g.client.chat.completions.with_streaming_response.create(**CHAT)
    ),
    "chat.streaming/stream": lambda g: g.lines(
        g.client.chat.completions.with_streaming_response.create(**CHAT, stream=True)
    ),
    "chat.with_options": lambda g: g.whole(
        g.client.with_options(max_retries=1, timeout=9).chat.completions.create(**CHAT)
    ),
    "chat.copy": lambda g: g.whole(g.client.copy().chat.completions.create(**CHAT)),
    "chat.extra_body": lambda g: g.whole(
        g.client.chat.completions.create(**CHAT, extra_body={"a_word_of_tomorrow": 1})
    ),
    "post": lambda g: g.of(g.client.post("/chat/completions", body=CHAT, cast_to=object)),
    "responses.create": lambda g: g.whole(g.client.responses.create(**RESPONSE)),
    "responses.create/tools": lambda g: g.whole(
        g.client.responses.create(**RESPONSE, tools=[RESPONSE_TOOL])
    ),
    "responses.create/stream": lambda g: g.events(
        g.client.responses.create(**RESPONSE, stream=True)
    ),
    "responses.create/stream/tools": lambda g: g.events(
        g.client.responses.create(**RESPONSE, stream=True, tools=[RESPONSE_TOOL])
    ),
    "responses.create/stream/reasoning": lambda g: g.events(
        g.client.responses.create(**{**RESPONSE, "model": "gpt-5"}, stream=True)
    ),
    "responses.stream": lambda g: g.helped(
        g.client.responses.stream(**RESPONSE), "get_final_response"
    ),
    "responses.parse": lambda g: g.whole(g.client.responses.parse(**RESPONSE, text_format=Report)),
    "responses.raw": lambda g: g.raw(g.client.responses.with_raw_response.create(**RESPONSE)),
    "responses.streaming": lambda g: g.bytes(
        g.client.responses.with_streaming_response.create(**RESPONSE)
    ),
    "embeddings.create": lambda g: g.whole(g.client.embeddings.create(**EMBEDDED)),
    "embeddings.create/float": lambda g: g.whole(
        g.client.embeddings.create(**EMBEDDED, encoding_format="float")
    ),
    "embeddings.raw": lambda g: g.raw(g.client.embeddings.with_raw_response.create(**EMBEDDED)),
}

ANTHROPIC: dict[str, Callable[[Got], Any]] = {
    "messages.create": lambda g: g.whole(g.client.messages.create(**MESSAGE)),
    "messages.create/tools": lambda g: g.whole(
        g.client.messages.create(**MESSAGE, tools=[MESSAGE_TOOL])
    ),
    "messages.create/stream": lambda g: g.events(g.client.messages.create(**MESSAGE, stream=True)),
    "messages.stream": lambda g: g.helped(g.client.messages.stream(**MESSAGE), "get_final_message"),
    "messages.stream/tools": lambda g: g.helped(
        g.client.messages.stream(**MESSAGE, tools=[MESSAGE_TOOL]), "get_final_message"
    ),
    "messages.parse": lambda g: g.whole(g.client.messages.parse(**MESSAGE, output_format=Report)),
    "messages.raw": lambda g: g.raw(g.client.messages.with_raw_response.create(**MESSAGE)),
    "messages.streaming": lambda g: g.bytes(
        g.client.messages.with_streaming_response.create(**MESSAGE)
    ),
    "messages.with_options": lambda g: g.whole(
        g.client.with_options(max_retries=1).messages.create(**MESSAGE)
    ),
    "beta.create": lambda g: g.whole(g.client.beta.messages.create(**MESSAGE)),
    "beta.create/betas": lambda g: g.whole(
        g.client.beta.messages.create(**MESSAGE, betas=["interleaved-thinking-2025-05-14"])
    ),
    "beta.create/stream": lambda g: g.events(g.client.beta.messages.create(**MESSAGE, stream=True)),
    "beta.stream": lambda g: g.helped(
        g.client.beta.messages.stream(**MESSAGE), "get_final_message"
    ),
    "beta.parse": lambda g: g.whole(g.client.beta.messages.parse(**MESSAGE, output_format=Report)),
    "beta.raw": lambda g: g.raw(g.client.beta.messages.with_raw_response.create(**MESSAGE)),
}
STYLES = [("openai", name) for name in OPENAI] + [("anthropic", name) for name in ANTHROPIC]


@pytest.fixture(scope="module", autouse=True)
def two_providers() -> Iterator[tuple[Upstream, Upstream]]:
    """Two alike, so that the same question gets the same ids from both."""
    with Upstream() as one, Upstream() as other:
        yield one, other


@pytest.fixture(params=STYLES, ids="{0[0]}-{0[1]}".format)
def style(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(params=["blocking", "awaited"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def upstreams(two_providers: tuple[Upstream, Upstream]) -> tuple[Upstream, Upstream]:
    for provider in two_providers:
        provider.reset()
    return two_providers


def asked(style: tuple[str, str], way: str, upstream: Upstream, fuse: Fuse | None = None) -> Any:
    """Ask in one style with a new client, and give what the caller has got."""
    sdk, name = style

    async def within() -> Any:
        client = client_of(sdk, way, upstream)
        if fuse is not None:
            wrap = wrap_openai if sdk == "openai" else wrap_anthropic
            assert wrap(client, fuse=fuse) is client
        styles = OPENAI if sdk == "openai" else ANTHROPIC
        try:
            return without_moments(await styles[name](Got(client)))
        finally:
            await Got(client).of(client.close())

    return asyncio.run(within())


def client_of(sdk: str, way: str, upstream: Upstream) -> Any:
    if sdk == "openai":
        kind = openai.OpenAI if way == "blocking" else openai.AsyncOpenAI
        return kind(api_key=KEY, base_url=upstream.openai_url, max_retries=0)
    kind = anthropic.Anthropic if way == "blocking" else anthropic.AsyncAnthropic
    return kind(api_key=KEY, base_url=upstream.anthropic_url, max_retries=0)


def without_moments(value: Any) -> Any:
    """Leave out what tells the time."""
    if isinstance(value, dict):
        return {k: without_moments(v) for k, v in value.items() if k not in MOMENTS}
    if isinstance(value, list | tuple):
        return [without_moments(each) for each in value]
    return value


def test_wrapped_it_is_as_bare(
    style: tuple[str, str], way: str, upstreams: tuple[Upstream, Upstream]
) -> None:
    """Over an unlimited fuse without a cache, wire and answer are the bare ones."""
    bare, wrapped = upstreams
    expected = asked(style, way, bare)
    fuse = Fuse(cache=False, spend_book=False)
    assert without_ids(asked(style, way, wrapped, fuse)) == without_ids(expected)
    (sent,), (as_bare,) = wrapped.requests, bare.requests
    body = dict(sent.body)
    if body != as_bare.body:  # the usage that only we want
        assert body.pop("stream_options") == {"include_usage": True}
    assert body == as_bare.body
    differing = {"host", "content-length", "idempotency-key"}
    for name in (sent.headers.keys() | as_bare.headers.keys()) - differing:
        if not name.startswith("x-stainless"):
            assert sent.headers.get(name) == as_bare.headers.get(name), name


def without_ids(value: Any) -> Any:
    """Leave out the serial numbers that two providers give in their own order."""
    if isinstance(value, dict):
        return {k: without_ids(v) for k, v in value.items() if not is_id(k)}
    if isinstance(value, list):
        return [without_ids(each) for each in value]
    return value


def is_id(name: str) -> bool:
    return name in {"id", "ids", "call_id", "item_id"}


def test_the_second_time_nothing_is_sent(
    style: tuple[str, str], way: str, upstreams: tuple[Upstream, Upstream]
) -> None:
    """A repeated call gives an equal object, sends nothing, and the first was billed truly."""
    _, upstream = upstreams
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    first = asked(style, way, upstream, fuse)
    assert upstream.calls == 1
    assert asked(style, way, upstream, fuse) == first
    assert upstream.calls == 1
    receipt = fuse.receipt()
    assert (receipt.exact, receipt.estimated) == (1, 0)
    assert receipt.saved == receipt.spent > 0
    billed = upstream.usage_served()
    told = heard.receipts[0].usage
    assert told is not None
    assert (told.input_tokens, told.output_tokens) == (billed.input_tokens, billed.output_tokens)
    assert fuse.open_leases() == ()
