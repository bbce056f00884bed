"""Anthropic and Gemini count a request over HTTP, through their own SDKs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import pytest
from google import genai

from agentfuse import Fuse, acompletion, completion
from agentfuse.messages import Media, Message, Request, Text, ToolCall
from agentfuse.providers.counting import AnthropicCounter, GeminiCounter
from agentfuse.providers.gemini_requests import body_of
from agentfuse.testing import Upstream
from agentfuse.tickets import StoreTrouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.testing.upstream import WireRequest
    from agentfuse.tickets import Event

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look out",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is the weather in Paris?"},
]


class Ear:
    def __init__(self) -> None:
        self.troubles: list[StoreTrouble] = []

    def hear(self, event: Event) -> None:
        if isinstance(event, StoreTrouble):
            self.troubles.append(event)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def claude(upstream: Upstream) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=upstream.anthropic_url, api_key="sk-upstream") as client:
        yield client


@pytest.fixture
def gemini(upstream: Upstream) -> Iterator[genai.Client]:
    with genai.Client(api_key="sk-upstream", http_options={"base_url": upstream.url}) as client:
        yield client


def asking(upstream: Upstream, model: str, fuse: Fuse, **more: Any) -> dict[str, Any]:
    home = upstream.anthropic_url if "claude" in model else upstream.openai_url
    where = {"base_url": home, "api_key": "sk-upstream"}
    return {"model": model, "messages": MESSAGES, "fuse": fuse, "max_tokens": 50, **where, **more}


def apis_of(requests: tuple[WireRequest, ...]) -> list[str]:
    return [request.api for request in requests]


def gemini_request(*messages: Message, **more: Any) -> Request:
    return Request(provider="google", model="gemini-2.5-flash", messages=messages, **more)


# --- the simulated provider ----------------------------------------------------------------------


def test_the_sdk_is_told_what_a_message_would_be_billed(
    upstream: Upstream, claude: anthropic.Anthropic
) -> None:
    asked: Any = {"model": "claude-sonnet-4-6", "messages": MESSAGES[1:], "system": "Be brief."}
    counted = claude.messages.count_tokens(**asked)
    message = claude.messages.create(**asked, max_tokens=10)
    assert counted.input_tokens == message.usage.input_tokens > 0
    assert apis_of(upstream.requests) == ["anthropic.count_tokens", "anthropic.messages"]
    assert upstream.requests[0].path == "/v1/messages/count_tokens"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"messages": []}, anthropic.BadRequestError),
        ({"model": "no-such-model"}, anthropic.NotFoundError),
        ({"extra_body": {"max_tokens": 5}}, anthropic.BadRequestError),
    ],
)
def test_a_count_is_refused_as_anthropic_refuses_it(
    claude: anthropic.Anthropic, given: dict[str, Any], error: type[Exception]
) -> None:
    asked: Any = {"model": "claude-sonnet-4-6", "messages": MESSAGES[1:], **given}
    with pytest.raises(error):
        claude.messages.count_tokens(**asked)


def test_google_s_sdk_is_told_a_count(upstream: Upstream, gemini: genai.Client) -> None:
    found = gemini.models.count_tokens(model="gemini-2.5-flash", contents="hello world")
    assert found.total_tokens == 3 + 1
    assert apis_of(upstream.requests) == ["google.countTokens"]
    assert upstream.requests[0].model == "gemini-2.5-flash"
    with pytest.raises(genai.errors.ClientError, match="not found"):
        gemini.models.count_tokens(model="no-such-model", contents="hello")
    place = f"{upstream.url}/v1beta/models/gemini-2.5-flash:countTokens"
    answer = httpx.post(place, json={}, headers={"x-goog-api-key": "sk-upstream"})
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    upstream.fail(503)
    with pytest.raises(genai.errors.ServerError):
        gemini.models.count_tokens(model="gemini-2.5-flash", contents="hello")


def test_google_refuses_a_wrong_key(upstream: Upstream) -> None:
    options: Any = {"base_url": upstream.url}
    with (
        genai.Client(api_key="wrong", http_options=options) as client,
        pytest.raises(genai.errors.ClientError, match="API key not valid"),
    ):
        client.models.count_tokens(model="gemini-2.5-flash", contents="hello")


# --- a fuse that counts with them ----------------------------------------------------------------


def test_a_budgeted_call_to_claude_is_counted_by_anthropic_first(
    upstream: Upstream, claude: anthropic.Anthropic
) -> None:
    ear = Ear()
    fuse = Fuse("$1", counters=[AnthropicCounter(claude)], listeners=[ear])
    completion(**asking(upstream, "claude-sonnet-4-6", fuse, tools=[WEATHER]))
    counted, asked = upstream.requests
    assert apis_of(upstream.requests) == ["anthropic.count_tokens", "anthropic.messages"]
    assert counted.body == {key: value for key, value in asked.body.items() if key in counted.body}
    assert set(counted.body) == {"model", "messages", "system", "tools"}
    assert ear.troubles == []


def test_the_count_is_what_is_billed(upstream: Upstream, claude: anthropic.Anthropic) -> None:
    messages = (Message("user", (Text("How is the weather in Paris?"),)),)
    request = Request(
        provider="anthropic", model="claude-sonnet-4-6", messages=messages, tools=(WEATHER,)
    )
    estimate = AnthropicCounter(claude).count(request)
    asked = {"messages": MESSAGES[1:], "tools": [WEATHER]}
    completion(**(asking(upstream, "claude-sonnet-4-6", Fuse()) | asked))
    assert estimate is not None
    assert estimate.tokens == upstream.usage_served().input_tokens
    assert estimate.method == "provider"
    assert estimate.low < estimate.tokens < estimate.high


async def test_an_awaited_call_is_counted_too(
    upstream: Upstream, claude: anthropic.Anthropic
) -> None:
    fuse = Fuse("$1", counters=[AnthropicCounter(claude)])
    await acompletion(**asking(upstream, "claude-sonnet-4-6", fuse))
    assert apis_of(upstream.requests) == ["anthropic.count_tokens", "anthropic.messages"]


def test_only_requests_to_anthropic_are_counted_by_anthropic(
    upstream: Upstream, claude: anthropic.Anthropic
) -> None:
    fuse = Fuse("$1", counters=[AnthropicCounter(claude)])
    completion(**asking(upstream, "gpt-4o", fuse))
    assert apis_of(upstream.requests) == ["chat.completions"]


def test_a_count_that_fails_or_hangs_costs_its_time_limit_and_is_told(
    upstream: Upstream, claude: anthropic.Anthropic
) -> None:
    ear = Ear()
    counters = [AnthropicCounter(claude, timeout=0.3)]
    fuse = Fuse("$1", counters=counters, listeners=[ear], cache=False)
    upstream.hang(5.0)
    started = time.monotonic()
    for _ in range(2):
        assert completion(**asking(upstream, "claude-sonnet-4-6", fuse)).choices
    assert time.monotonic() - started < 3.0
    assert [trouble.store for trouble in ear.troubles] == ["counter AnthropicCounter"]
    assert "APITimeoutError" in ear.troubles[0].error
    upstream.reset()
    other = Fuse("$1", counters=[AnthropicCounter(claude)], listeners=[ear])
    upstream.fail(529)
    assert completion(**asking(upstream, "claude-sonnet-4-6", other)).choices
    assert len(ear.troubles) == 2
    assert apis_of(upstream.requests) == ["anthropic.count_tokens", "anthropic.messages"]


def test_a_budgeted_call_to_gemini_is_counted_by_google_first(
    upstream: Upstream, gemini: genai.Client
) -> None:
    ear = Ear()
    fuse = Fuse("$1", counters=[GeminiCounter(gemini)], listeners=[ear])
    completion(**asking(upstream, "gemini/gemini-2.5-flash", fuse, tools=[WEATHER]))
    assert ear.troubles == []
    assert apis_of(upstream.requests) == ["google.countTokens", "chat.completions"]
    asked = upstream.requests[0].body["generateContentRequest"]
    assert asked["model"] == "models/gemini-2.5-flash"
    assert asked["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert asked["contents"] == [{"role": "user", "parts": [{"text": MESSAGES[1]["content"]}]}]
    assert asked["tools"][0]["functionDeclarations"][0]["name"] == "get_weather"


def test_a_hanging_count_of_gemini_is_given_up(upstream: Upstream, gemini: genai.Client) -> None:
    ear = Ear()
    fuse = Fuse("$1", counters=[GeminiCounter(gemini, timeout=0.3)], listeners=[ear])
    upstream.hang(5.0)
    started = time.monotonic()
    assert completion(**asking(upstream, "gemini/gemini-2.5-flash", fuse)).choices
    assert time.monotonic() - started < 3.0
    assert [trouble.store for trouble in ear.troubles] == ["counter GeminiCounter"]


def test_history_and_pictures_are_written_in_googles_words() -> None:
    call = ToolCall("c1", "get_weather", '{"city": "Paris"}')
    picture = Media(kind="image", data="AAAA", media_type="image/png")
    body = body_of(
        gemini_request(
            Message("user", (Text("look"), picture)),
            Message("assistant", (), (call,)),
            Message("tool", (Text("sunny"),), (), "c1"),
            Message("tool", (Text('{"sky": "blue"}'),), (), "c1"),
        )
    )
    assert body is not None
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
        },
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}}],
        },
        *(
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "get_weather", "response": response}}],
            }
            for response in ({"result": "sunny"}, {"sky": "blue"})
        ),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        gemini_request(Message("user", (Media(kind="image", url="https://a.b/c.png"),))),
        gemini_request(Message("user", (Text("hi"),)), tools=({"type": "google_search"},)),
        gemini_request(Message("system", (Text("hi"),))),
    ],
    ids=["a picture elsewhere", "Google's own tool", "nothing asked"],
)
def test_what_has_no_equal_in_googles_words_is_left_to_the_rules(
    request_: Request, gemini: genai.Client, upstream: Upstream
) -> None:
    assert GeminiCounter(gemini).count(request_) is None
    assert upstream.requests == ()
