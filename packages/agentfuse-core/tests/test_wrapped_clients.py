"""Covering SDK clients: one by one or all to come, once, and undone; what a stop looks like."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    UnknownPrice,
    completion,
    unwrap,
    wrap_anthropic,
    wrap_openai,
)
from agentfuse.runtime.default import default_fuse, reset_default_fuse
from agentfuse.testing import Upstream
from agentfuse.tickets import Failed, Receipt

KEY = "sk-upstream"
ASKED = [{"role": "user", "content": "What is a fuse?"}]
NOTHING_LEFT = "$0.0000001"
MADE: list[Any] = []


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(params=["openai", "responses", "anthropic"])
def api(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def undone() -> Iterator[None]:
    """Leave no class covered and no default fuse behind."""
    reset_default_fuse()
    yield
    unwrap()
    reset_default_fuse()


class Heard:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def hear(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Close what a test has made: a connection dropped open is an error here."""
    yield
    while MADE:
        MADE.pop().close()


def client_for(api: str, upstream: Upstream, **options: Any) -> Any:
    kind, url = (openai.OpenAI, upstream.openai_url)
    if api == "anthropic":
        kind, url = (anthropic.Anthropic, upstream.anthropic_url)
    MADE.append(kind(api_key=KEY, base_url=url, **options))
    return MADE[-1]


def aclient_for(api: str, upstream: Upstream, **options: Any) -> Any:
    if api == "anthropic":
        return anthropic.AsyncAnthropic(api_key=KEY, base_url=upstream.anthropic_url, **options)
    return openai.AsyncOpenAI(api_key=KEY, base_url=upstream.openai_url, **options)


def wrapped(api: str, client: Any, **options: Any) -> Any:
    wrap = wrap_anthropic if api == "anthropic" else wrap_openai
    return wrap(client, **options)


def ask(api: str, client: Any, question: str = "What is a fuse?", **more: Any) -> Any:
    messages = [{"role": "user", "content": question}]
    match api:
        case "anthropic":
            model = more.pop("model", "claude-sonnet-4-6")
            return client.messages.create(model=model, max_tokens=100, messages=messages, **more)
        case "responses":
            model = more.pop("model", "gpt-4o")
            return client.responses.create(model=model, input=question, **more)
        case _:
            model = more.pop("model", "gpt-4o")
            return client.chat.completions.create(model=model, messages=messages, **more)


def sdk_error(api: str) -> type[Exception]:
    return anthropic.AnthropicError if api == "anthropic" else openai.OpenAIError


def test_the_same_client_is_given_back(api: str, upstream: Upstream) -> None:
    client = client_for(api, upstream)
    assert wrapped(api, client, budget="$1", spend_book=False) is client


@pytest.mark.parametrize("shape", [{}, {"stream": True}], ids=["whole", "stream"])
def test_a_stop_is_the_sdks_own_error_at_once(
    api: str, upstream: Upstream, shape: dict[str, Any]
) -> None:
    """It is neither tried again nor wrapped, and nothing is sent."""
    heard = Heard()
    fuse = Fuse(NOTHING_LEFT, spend_book=False, listeners=[heard])
    client = wrapped(api, client_for(api, upstream, max_retries=2), fuse=fuse)
    with pytest.raises(sdk_error(api)) as stop:
        ask(api, client, **shape)
    assert isinstance(stop.value, BudgetExceeded)
    assert stop.value.refusal is not None
    assert stop.value.receipt.refusals == 1
    assert len(heard.events) == 1
    assert upstream.calls == 0


def test_an_awaited_stop_is_the_same(api: str, upstream: Upstream) -> None:
    async def stopped() -> BudgetExceeded:
        fuse = Fuse(NOTHING_LEFT, spend_book=False)
        async with wrapped(api, aclient_for(api, upstream, max_retries=2), fuse=fuse) as client:
            with pytest.raises(sdk_error(api)) as stop:
                await ask(api, client)
        assert isinstance(stop.value, BudgetExceeded)
        return stop.value

    assert asyncio.run(stopped()).receipt.refusals == 1
    assert upstream.calls == 0


def test_a_stop_travels_between_processes(api: str, upstream: Upstream) -> None:
    client = wrapped(api, client_for(api, upstream), budget=NOTHING_LEFT, spend_book=False)
    with pytest.raises(BudgetExceeded) as stop:
        ask(api, client)
    copy = pickle.loads(pickle.dumps(stop.value))
    assert (type(copy), str(copy)) == (type(stop.value), str(stop.value))
    assert copy.refusal == stop.value.refusal


def test_a_top_up_lets_the_client_go_on(api: str, upstream: Upstream) -> None:
    fuse = Fuse(NOTHING_LEFT, spend_book=False)
    client = wrapped(api, client_for(api, upstream), fuse=fuse)
    with pytest.raises(BudgetExceeded):
        ask(api, client)
    fuse.top_up("$1")
    ask(api, client)
    assert upstream.calls == 1


def test_a_model_without_a_price_says_so(api: str, upstream: Upstream) -> None:
    """Our own errors come as they are: not as a failed connection, and not three times."""
    client = wrapped(api, client_for(api, upstream), budget="$1", spend_book=False)
    with pytest.raises(UnknownPrice, match="a-model-of-tomorrow"):
        ask(api, client, model="a-model-of-tomorrow")
    assert upstream.calls == 0


def test_a_model_of_another_provider_cannot_stand_in(api: str, upstream: Upstream) -> None:
    other = "gpt-4o-mini" if api == "anthropic" else "anthropic/claude-haiku-4-5"
    own = "claude-sonnet-4-6" if api == "anthropic" else "gpt-4o"
    fuse = Fuse(
        "$1", spend_book=False, downgrade={own: other if "/" in other else f"openai/{other}"}
    )
    fuse.record_tool_call("search", "$0.9")
    client = wrapped(api, client_for(api, upstream), fuse=fuse)
    with pytest.raises(ConfigurationError, match="downgrade"):
        ask(api, client)
    assert upstream.calls == 0
    assert fuse.open_leases() == ()


def test_every_retry_is_an_attempt(api: str, upstream: Upstream) -> None:
    """500, 500, 200: three attempts are seen, one is billed."""
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    upstream.fail(500, times=2, retry_after=0.01)
    ask(api, wrapped(api, client_for(api, upstream, max_retries=2), fuse=fuse))
    assert upstream.calls == 3
    assert [failed.attempt for failed in heard.of(Failed)] == [1, 2]
    assert [failed.cost for failed in heard.of(Failed)] == [0, 0]
    (receipt,) = heard.of(Receipt)
    assert receipt.attempt == 3
    assert receipt.usage.output_tokens == upstream.usage_served().output_tokens
    assert fuse.open_leases() == ()


def test_awaited_retries_are_attempts_too(api: str, upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    upstream.fail(500, times=2, retry_after=0.01)

    async def asked() -> None:
        async with wrapped(api, aclient_for(api, upstream, max_retries=2), fuse=fuse) as client:
            await ask(api, client)

    asyncio.run(asked())
    assert [failed.attempt for failed in heard.of(Failed)] == [1, 2]
    assert [receipt.attempt for receipt in heard.of(Receipt)] == [3]


def test_a_limit_without_wait_is_told_as_the_sdk_tells_it(api: str, upstream: Upstream) -> None:
    kinds = {"anthropic": anthropic.RateLimitError}
    fuse = Fuse("$1", spend_book=False)
    upstream.fail(429)
    client = wrapped(api, client_for(api, upstream, max_retries=0), fuse=fuse)
    with pytest.raises(kinds.get(api, openai.RateLimitError)) as error:
        ask(api, client)
    assert error.value.status_code == 429
    assert error.value.body
    assert fuse.receipt().failures == 1
    assert fuse.receipt().spent == 0


def test_a_timeout_may_have_been_billed(api: str, upstream: Upstream) -> None:
    """The provider may have answered, so the estimate stays booked; the SDK's error is its own."""
    errors = {"anthropic": anthropic.APITimeoutError}
    fuse = Fuse("$1", spend_book=False)
    upstream.hang(2)
    client = wrapped(api, client_for(api, upstream, max_retries=0, timeout=0.2), fuse=fuse)
    with pytest.raises(errors.get(api, openai.APITimeoutError)):
        ask(api, client)
    assert fuse.receipt().failures == 1
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0


def test_an_answer_that_cannot_be_read_is_settled(api: str, upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False)
    upstream.garble()
    client = wrapped(api, client_for(api, upstream, max_retries=0), fuse=fuse)
    with pytest.raises(Exception, match=r"\S"):
        ask(api, client)
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0
    ask(api, client)
    assert upstream.calls == 2


def test_wrapped_twice_it_is_metered_once(api: str, upstream: Upstream) -> None:
    """Another fuse takes the place of the one before."""
    first, second = Fuse("$1", spend_book=False), Fuse("$1", spend_book=False)
    client = client_for(api, upstream)
    for fuse in (first, first, second):
        wrapped(api, client, fuse=fuse)
    ask(api, client)
    assert first.receipt().answers == 0
    assert second.receipt().answers == 1
    assert second.receipt().spent > 0


def test_unwrapped_it_is_bare_again(api: str, upstream: Upstream) -> None:
    client = client_for(api, upstream)
    transport = client._client._transport
    fuse = Fuse(NOTHING_LEFT, spend_book=False)
    wrapped(api, client, fuse=fuse)
    assert unwrap(client) is client
    assert unwrap(client) is client
    assert client._client._transport is transport
    ask(api, client)
    assert fuse.receipt().refusals == 0


def test_a_proxied_client_is_covered_too(
    api: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client has another transport for each proxy; the provider here stands in for one."""
    monkeypatch.setenv("HTTP_PROXY", upstream.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = client_for(api, upstream)
    assert any(client._client._mounts.values())
    wrapped(api, client, budget=NOTHING_LEFT, spend_book=False)
    with pytest.raises(BudgetExceeded):
        ask(api, client)
    assert all(type(each).__name__ == "FusedTransport" for each in transports_of(client))
    assert not any(
        type(each).__name__ == "FusedTransport" for each in transports_of(unwrap(client))
    )


def transports_of(client: Any) -> list[Any]:
    mounts = client._client._mounts.values()
    return [client._client._transport, *(each for each in mounts if each is not None)]


@pytest.mark.usefixtures("undone")
def test_clients_to_come_are_covered(api: str, upstream: Upstream) -> None:
    before = client_for(api, upstream)
    fuse = wrapped(api, None, budget=NOTHING_LEFT, spend_book=False)
    assert isinstance(fuse, Fuse)
    for client in (client_for(api, upstream), client_for(api, upstream).with_options(timeout=9)):
        with pytest.raises(BudgetExceeded):
            ask(api, client)
    assert fuse.receipt().refusals == 2
    ask(api, before)
    unwrap()
    ask(api, client_for(api, upstream))
    assert upstream.calls == 2


@pytest.mark.usefixtures("undone")
def test_covering_clients_to_come_twice_covers_them_once(api: str, upstream: Upstream) -> None:
    kind = type(client_for(api, upstream))
    bare = kind.__init__
    wrapped(api, None, budget="$1", spend_book=False)
    covering = kind.__init__
    fuse = wrapped(api, None, budget="$1", spend_book=False)
    assert kind.__init__ is covering
    ask(api, client_for(api, upstream))
    assert fuse.receipt().answers == 1
    unwrap()
    assert kind.__init__ is bare


@pytest.mark.usefixtures("undone")
def test_a_step_that_others_built_upon_stays_and_does_nothing(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentation that came after us is not thrown away with us."""
    fuse = wrap_openai(budget=NOTHING_LEFT, spend_book=False)
    covering, made = openai.OpenAI.__init__, []

    def traced(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        covering(self, *args, **kwargs)

    traced.__wrapped__ = covering  # type: ignore[attr-defined]
    monkeypatch.setattr(openai.OpenAI, "__init__", traced)
    with pytest.raises(BudgetExceeded):
        ask("openai", client_for("openai", upstream))
    unwrap()
    ask("openai", client_for("openai", upstream))
    assert len(made) == 2
    assert fuse.receipt().refusals == 1
    monkeypatch.undo()
    openai.OpenAI.__init__ = covering.__wrapped__  # type: ignore[attr-defined]


@pytest.mark.usefixtures("undone")
def test_without_a_fuse_it_is_the_one_behind_completion(upstream: Upstream) -> None:
    """What a covered client was told, completion() knows, and the other way round."""
    assert wrap_openai() is default_fuse().run(None, None)
    ask("openai", client_for("openai", upstream))
    completion("gpt-4o", ASKED, base_url=upstream.openai_url, api_key=KEY)
    assert upstream.calls == 1


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_completion_is_metered_by_its_own_fuse_alone(upstream: Upstream, *, stream: bool) -> None:
    covering = wrap_openai(budget=NOTHING_LEFT, spend_book=False)
    fuse = Fuse("$1", spend_book=False)
    answer = completion(
        "gpt-4o", ASKED, fuse=fuse, base_url=upstream.openai_url, api_key=KEY, stream=stream
    )
    if stream:
        assert list(answer)
    assert fuse.receipt().answers == 1
    assert (covering.receipt().answers, covering.receipt().refusals) == (0, 0)


@pytest.mark.usefixtures("undone")
def test_a_client_with_a_fuse_of_its_own_keeps_it(api: str, upstream: Upstream) -> None:
    covering = wrapped(api, None, budget=NOTHING_LEFT, spend_book=False)
    own = Fuse("$1", spend_book=False)
    client = wrapped(api, client_for(api, upstream), fuse=own)
    ask(api, client.with_options(timeout=9))
    assert own.receipt().answers == 1
    assert covering.receipt().refusals == 0


def test_what_is_no_such_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Anthropic"):
        wrap_anthropic(openai.OpenAI(api_key=KEY))
    with pytest.raises(ConfigurationError, match="OpenAI"):
        wrap_openai("gpt-4o")


def test_a_fuse_has_its_own_budget(upstream: Upstream) -> None:
    client = client_for("openai", upstream)
    with pytest.raises(ConfigurationError, match="not both"):
        wrap_openai(client, fuse=Fuse(spend_book=False), budget="$1")
    with pytest.raises(ConfigurationError, match="not both"):
        wrap_openai(client, fuse=Fuse(spend_book=False), cache=False)
