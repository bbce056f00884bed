"""The simulated provider fails, stalls and breaks off on purpose, and records what happened."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import anthropic
import httpx
import openai
import pytest

from agentfuse.testing.upstream import Upstream

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def upstream():
    with Upstream(answer_tokens=100) as running:
        yield running


@pytest.fixture
def client(upstream):
    with openai.OpenAI(
        base_url=upstream.openai_url, api_key="sk-upstream", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def claude(upstream):
    with anthropic.Anthropic(
        base_url=upstream.anthropic_url, api_key="sk-upstream", max_retries=0
    ) as client:
        yield client


def ask(client, **params):
    return client.chat.completions.create(model="gpt-4o", messages=HELLO, **params)


def ask_claude(client, **params):
    return client.messages.create(
        model="claude-sonnet-4-6", max_tokens=200, messages=HELLO, **params
    )


def test_failures_come_as_often_as_told_and_cost_nothing(client, upstream):
    upstream.fail(429, times=2, retry_after=1.5)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            ask(client)
        assert caught.value.response.headers["retry-after"] == "1.5"
        assert caught.value.code == "rate_limit_exceeded"
    assert ask(client).choices[0].finish_reason == "stop"
    assert [request.status for request in upstream.requests] == [429, 429, 200]
    assert upstream.usage_served().output_tokens == 100


def test_the_sdk_waits_as_told_and_tries_again(upstream):
    upstream.fail(503, retry_after=0.05)
    retrying = openai.OpenAI(base_url=upstream.openai_url, api_key="sk-upstream", max_retries=1)
    assert ask(retrying).usage.completion_tokens == 100
    assert upstream.calls == 2


def test_retry_after_may_be_a_date(claude, upstream):
    upstream.fail(529, retry_after=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask_claude(claude)
    assert caught.value.status_code == 529
    assert caught.value.body["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert caught.value.response.headers["retry-after"] == "Wed, 02 Jan 2030 03:04:05 GMT"


@pytest.mark.parametrize("status", [500, 503])
def test_servers_fail_in_their_vendors_words(client, claude, upstream, status):
    upstream.fail(status, times=2)
    with pytest.raises(openai.InternalServerError) as of_openai:
        ask(client)
    with pytest.raises(anthropic.InternalServerError) as of_anthropic:
        ask_claude(claude)
    assert of_openai.value.body["type"] == "server_error"
    assert of_anthropic.value.body["error"]["type"] == "api_error"


def test_a_connection_can_be_cut_before_the_headers(client, upstream):
    upstream.cut()
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert upstream.requests[0].status == 0
    assert ask(client).usage.completion_tokens == 100


def test_a_stream_can_be_cut_after_some_chunks(client, upstream):
    upstream.cut(after_chunks=3)
    seen = []
    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        seen.extend(ask(client, stream=True))
    assert len(seen) == 3
    upstream.wait_idle()
    request = upstream.requests[0]
    assert (request.chunks_sent, request.aborted, request.finish) == (3, False, "")
    assert 0 < request.billed.output_tokens < 10


def test_a_whole_answer_can_be_cut_after_its_headers(client, upstream):
    upstream.cut(after_chunks=0)
    with pytest.raises(openai.APIConnectionError):
        ask(client)


def test_a_hanging_request_is_given_up_by_the_client_and_noticed(client, upstream):
    upstream.hang(30)
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))
    assert upstream.wait_idle(1.0)
    assert upstream.requests[0].aborted
    assert upstream.usage_served().input_tokens == 0


def test_a_short_hang_is_answered_in_the_end(client, upstream):
    upstream.hang(0.2)
    started = time.monotonic()
    assert ask(client).usage.completion_tokens == 100
    assert time.monotonic() - started >= 0.2


def test_a_slow_provider_takes_its_time_for_headers_and_chunks(client, upstream):
    upstream.slow(latency=0.1, per_chunk=0.002)
    started = time.monotonic()
    chunks = list(ask(client, stream=True))
    assert time.monotonic() - started >= 0.1 + 0.002 * len(chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_a_garbled_body_is_no_json(client, upstream, stream):
    upstream.garble()
    with pytest.raises((json.JSONDecodeError, openai.APIError)):
        list(ask(client, stream=stream))


def test_a_client_that_leaves_is_noticed_within_a_chunk(client, upstream):
    upstream.slow(per_chunk=0.01)
    stream = ask(client, stream=True)
    read = [next(stream) for _ in range(10)]
    stream.close()
    assert upstream.wait_idle(1.0)
    request = upstream.requests[0]
    assert request.aborted
    assert len(read) <= request.chunks_sent <= len(read) + 2
    assert 5 <= request.billed.output_tokens <= 15
    assert request.usage["completion_tokens"] == request.billed.output_tokens


def test_a_request_is_recorded_by_the_time_its_answer_is_read(client, upstream):
    for _ in range(20):
        upstream.reset()
        stream = list(ask(client, stream=True))
        request = upstream.requests[0]
        assert request.chunks_sent == len(stream) + 1
        assert (request.status, request.streamed, request.finish) == (200, True, "stop")
    assert (request.api, request.model) == ("chat.completions", "gpt-4o")
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-upstream"
    assert request.body["messages"] == HELLO
    assert abs(request.at - time.time()) < 30


def test_a_hundred_calls_at_once_are_all_answered(client, upstream):
    upstream.slow(latency=0.3)
    started = time.monotonic()
    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda _: ask(client), range(100)))
    assert time.monotonic() - started < 10
    assert len({reply.id for reply in replies}) == 100
    assert upstream.usage_served().output_tokens == 100 * 100


def test_paths_work_without_v1_and_strangers_get_a_404(upstream):
    headers = {"authorization": "Bearer sk-upstream"}
    body = {"model": "gpt-4o", "messages": HELLO}
    with httpx.Client(base_url=upstream.url, headers=headers) as http:
        assert http.post("/chat/completions", json=body).status_code == 200
        assert http.post("/v1/moderations", json=body).status_code == 404
        assert http.get("/v1/nothing").status_code == 404
        assert http.post("/v1/chat/completions", content=b"{").status_code == 400
        odd = {"model": "gpt-4o", "messages": [{"role": "assistant", "tool_calls": [{}]}]}
        assert http.post("/v1/chat/completions", json=odd).status_code == 400


def test_reset_forgets_everything(client, upstream):
    upstream.fail(500)
    upstream.slow(latency=5)
    ask_nothing = upstream.calls
    upstream.reset()
    assert ask(client).usage.completion_tokens == 100
    assert (ask_nothing, upstream.calls) == (0, 1)


def test_an_upstream_that_is_not_started_says_so():
    upstream = Upstream()
    with pytest.raises(RuntimeError, match="not started"):
        upstream.openai_url  # noqa: B018 - reading it is the test
    upstream.close()


def test_closing_ends_open_requests(client, upstream):
    upstream.hang(60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, client)
        while not upstream.calls:
            time.sleep(0.005)
        started = time.monotonic()
        upstream.close()
        with pytest.raises(openai.APIConnectionError):
            waiting.result(timeout=5)
    assert time.monotonic() - started < 5


def test_a_call_costs_little_cpu(upstream):
    body = {"model": "gpt-4o", "messages": HELLO}
    headers = {"authorization": "Bearer sk-upstream"}
    with httpx.Client(base_url=upstream.openai_url, headers=headers) as http:
        http.post("/chat/completions", json=body)
        started = time.process_time()
        for _ in range(50):
            http.post("/chat/completions", json=body)
        spent = (time.process_time() - started) / 50
    assert spent < 0.006, f"{spent * 1000:.1f} ms of CPU a call, the client's share included"
