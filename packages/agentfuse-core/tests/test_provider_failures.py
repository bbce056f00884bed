"""Every way a call fails is told apart, through the real SDKs over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from agentfuse.errors import BudgetExceeded, ConfigurationError, ProviderFailed
from agentfuse.providers import anthropic_messages, openai_chat
from agentfuse.providers.failures import KINDS, RETRYABLE, Failure, failure_of, retry_after_of
from agentfuse.providers.names import target_of
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.messages import Request

HI = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
SPEECHES = {"gpt-4o": openai_chat, "claude-sonnet-4-6": anthropic_messages}
both = pytest.mark.parametrize("model", sorted(SPEECHES))


@pytest.fixture(scope="module")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    _upstream.wait_idle(5)
    _upstream.reset()
    return _upstream


def client_of(model: str, url: str, *, key: str = "sk-upstream", timeout: float = 5.0) -> Any:
    if model.startswith("claude"):
        return anthropic.Anthropic(api_key=key, base_url=url, timeout=timeout, max_retries=0)
    return openai.OpenAI(api_key=key, base_url=f"{url}/v1", timeout=timeout, max_retries=0)


def asked(model: str, *, stream: bool = False, **more: Any) -> Request:
    return SPEECHES[model].request_of(target_of(model), {**HI, **more}, stream=stream)


def fails(doing: Callable[[], object]) -> Failure:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the SDK raises is the subject
        doing()
    return failure_of(caught.value)


def failing(model: str, url: str, **options: Any) -> Failure:
    with client_of(model, url, **options) as client:
        return fails(lambda: SPEECHES[model].ask(client, asked(model)))


@both
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "authentication"),
        (402, "quota_exhausted"),
        (403, "permission"),
        (404, "not_found"),
        (409, "server_error"),
        (413, "context_overflow"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (529, "overloaded"),
    ],
)
def test_an_error_status_is_told_and_costs_nothing(
    upstream: Upstream, model: str, status: int, kind: str
) -> None:
    upstream.fail(status)
    failure = failing(model, upstream.url)
    assert (failure.kind, failure.status, failure.billed) == (kind, status, False)
    assert failure.retryable is (kind in RETRYABLE)


@both
def test_a_wrong_key_and_an_unknown_model_are_not_asked_again(
    upstream: Upstream, model: str
) -> None:
    assert failing(model, upstream.url, key="wrong").kind == "authentication"
    unknown = SPEECHES[model].request_of(target_of(f"{target_of(model).provider}/nope"), HI)
    with client_of(model, upstream.url) as client:
        failure = fails(lambda: SPEECHES[model].ask(client, unknown))
    assert (failure.kind, failure.retryable) == ("not_found", False)


@both
@pytest.mark.parametrize("advice", [3, 2.5])
def test_the_providers_advice_is_read_in_seconds(
    upstream: Upstream, model: str, advice: float
) -> None:
    upstream.fail(429, retry_after=advice)
    assert failing(model, upstream.url).retry_after == advice


def test_the_providers_advice_is_read_as_a_date(upstream: Upstream) -> None:
    soon = datetime(2030, 1, 1, 12, 0, 30, tzinfo=UTC)
    upstream.fail(429, retry_after=soon)
    with client_of("gpt-4o", upstream.url) as client, pytest.raises(openai.RateLimitError) as told:
        openai_chat.ask(client, asked("gpt-4o"))
    assert failure_of(told.value, now=soon.timestamp() - 30).retry_after == 30.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_odd_advice_is_no_advice(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_of(headers, now=1_000.0) == seconds


@both
def test_a_refused_connection_never_left(model: str) -> None:
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        port = idle.getsockname()[1]
    failure = failing(model, f"http://127.0.0.1:{port}")
    assert (failure.kind, failure.billed, failure.retryable) == ("connection", False, True)


@both
def test_a_connection_cut_before_the_answer_may_have_been_billed(
    upstream: Upstream, model: str
) -> None:
    upstream.cut()
    failure = failing(model, upstream.url)
    assert (failure.kind, failure.billed, failure.retryable) == ("interrupted", True, True)


@both
def test_a_stream_cut_in_its_midst_may_have_been_billed(upstream: Upstream, model: str) -> None:
    upstream.cut(3)
    with client_of(model, upstream.url) as client:
        stream = SPEECHES[model].open_stream(client, asked(model, stream=True))
        failure = fails(lambda: list(stream))
    assert (failure.kind, failure.billed) == ("interrupted", True)


@both
def test_an_answer_that_never_comes_is_a_timeout(upstream: Upstream, model: str) -> None:
    upstream.hang(0.6)
    failure = failing(model, upstream.url, timeout=0.2)
    assert (failure.kind, failure.billed, failure.retryable) == ("timeout", True, True)


@both
def test_broken_json_was_answered_and_may_have_been_billed(upstream: Upstream, model: str) -> None:
    upstream.garble()
    failure = failing(model, upstream.url)
    assert (failure.kind, failure.billed) == ("malformed", True)


def test_a_stream_of_broken_json_may_have_been_billed(upstream: Upstream) -> None:
    upstream.garble()
    with client_of("gpt-4o", upstream.url) as client:
        stream = openai_chat.open_stream(client, asked("gpt-4o", stream=True))
        failure = fails(lambda: list(stream))
    assert (failure.kind, failure.billed) == ("malformed", True)


def test_events_that_claudes_sdk_does_not_know_make_no_ended_answer(upstream: Upstream) -> None:
    upstream.garble()
    request = asked("claude-sonnet-4-6", stream=True)
    with client_of("claude-sonnet-4-6", upstream.url) as client:
        events = list(anthropic_messages.open_stream(client, request))
    reply = anthropic_messages.codec_of(request).joined(events)
    assert (reply.finish_reason, reply.report) == ("", None)


def test_a_web_page_in_place_of_an_answer_is_malformed() -> None:
    failure = fails(lambda: openai_chat.checked("<html>Welcome</html>", "choices"))
    assert (failure.kind, failure.billed) == ("malformed", True)
    assert "Welcome" in failure.message


class Said(Exception):  # noqa: N818 - stands for an SDK's error
    """An error in the form of the SDKs', with a body as some provider writes it."""

    def __init__(
        self, status: int | None, body: object, text: str = "", headers: object = None
    ) -> None:
        super().__init__(text)
        if status is not None:
            self.status_code = status
        self.body = body
        self.response = type("Response", (), {"headers": headers or {}})()


@pytest.mark.parametrize(
    ("status", "body", "text", "kind"),
    [
        (429, {"code": "insufficient_quota"}, "", "quota_exhausted"),
        (429, {"type": "insufficient_quota", "code": None}, "", "quota_exhausted"),
        (400, {"code": "context_length_exceeded"}, "", "context_overflow"),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error"}},
            "prompt is too long: 210000 tokens > 200000 maximum",
            "context_overflow",
        ),
        (400, {"error": {"type": "invalid_request_error"}}, "Your credit balance is too low", ""),
        (
            400,
            {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
            "",
            "content_filter",
        ),
        (400, None, "This model's maximum context length is 65536 tokens", "context_overflow"),
        (402, {"error": {"message": "Insufficient Balance"}}, "", "quota_exhausted"),
        (400, '{"error": {"code": "context_length_exceeded"}}', "", "context_overflow"),
        (403, {"error": {"type": "permission_error"}}, "", "permission"),
    ],
)
def test_a_providers_own_words_say_more_than_its_status(
    status: int, body: object, text: str, kind: str
) -> None:
    failure = failure_of(Said(status, body, text))
    assert failure.kind == (kind or "quota_exhausted")
    assert not failure.retryable
    assert not failure.billed


def test_a_provider_that_says_do_not_retry_is_obeyed() -> None:
    error = Said(500, None, headers={"x-should-retry": "false"})
    assert not failure_of(error).retryable


@pytest.mark.parametrize("status", [None, 200])
def test_an_error_event_inside_a_stream_may_have_been_billed(status: int | None) -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    failure = failure_of(Said(status, body))
    assert (failure.kind, failure.billed, failure.retryable) == ("overloaded", True, True)


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()], ids=repr
)
def test_a_caller_who_left_may_have_been_billed_and_is_not_asked_again(
    error: BaseException,
) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.billed, failure.retryable) == ("cancelled", True, False)


class UserError(Exception):
    """As openai-agents and pydantic-ai call it."""


@pytest.mark.parametrize(
    "error",
    [
        *(TypeError("x"), ValueError("x"), KeyError("x")),
        *(BudgetExceeded("x"), UserError("x")),
    ],
    ids=repr,
)
def test_a_mistake_before_sending_costs_nothing_and_stays(error: Exception) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.billed, failure.retryable) == ("unknown", False, False)


def test_what_a_provider_cannot_be_asked_costs_nothing_and_stays() -> None:
    failure = failure_of(ConfigurationError("x"))
    assert (failure.kind, failure.billed, failure.retryable) == ("unsupported", False, False)


def test_a_timeout_of_the_callers_own_loop_may_have_been_billed() -> None:
    assert failure_of(TimeoutError()).kind == "timeout"
    assert failure_of(TimeoutError()).billed


def test_what_was_told_once_is_told_the_same_again() -> None:
    told = ProviderFailed("no", kind="rate_limited", status=429, retry_after=2.0)
    failure = failure_of(told)
    assert (failure.kind, failure.status, failure.retry_after) == ("rate_limited", 429, 2.0)
    assert failure.retryable
    assert not failure.billed


def test_the_list_of_kinds_is_whole() -> None:
    assert len(KINDS) == len(set(KINDS)) == 18
    assert set(KINDS) >= RETRYABLE
