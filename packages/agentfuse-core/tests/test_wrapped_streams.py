"""Streams and bodies through a covered client: cut, left, compressed, or stopped midway."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import anthropic
import openai
import pytest

from agentfuse import (
    BudgetExceeded,
    ConfigurationError,
    Fuse,
    completion,
    wrap_anthropic,
    wrap_openai,
)
from agentfuse.money import budget_of
from agentfuse.patches.flavours import flavour_of
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.testing.adapter_contract import Heard
from agentfuse.testing.upstream import Call, Say
from agentfuse.usage import BilledUsage, UsageReport

KEY = "sk-upstream"
QUESTION = "What is a fuse?"
ASKED = [{"role": "user", "content": QUESTION}]
CHAT = {"model": "gpt-4o", "messages": ASKED}
MESSAGE = {"model": "claude-sonnet-4-6", "messages": ASKED, "max_tokens": 100}
SPEND = {"type": "object", "properties": {"item": {"type": "string"}}}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=40) as provider:
        yield provider


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture
def client(upstream: Upstream, fuse: Fuse) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=upstream.openai_url, max_retries=0) as bare:
        yield wrap_openai(bare, fuse=fuse)


@pytest.fixture
def claude(upstream: Upstream, fuse: Fuse) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=upstream.anthropic_url, max_retries=0) as bare:
        yield wrap_anthropic(bare, fuse=fuse)


def billed(upstream: Upstream, provider: str = "openai") -> int:
    book = PriceBook()
    reports = [
        UsageReport(items=(BilledUsage(model=served.model, usage=served.billed),))
        for served in upstream.requests
    ]
    return sum(book.cost(report, provider).nanodollars for report in reports)


def text_of(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_only_the_frame_we_asked_for_is_hidden(client: openai.OpenAI) -> None:
    """No chunk has a usage or lacks choices, and none says that it has no usage."""
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)


def test_a_usage_that_was_asked_for_is_shown(client: openai.OpenAI, upstream: Upstream) -> None:
    asked: dict[str, Any] = {**CHAT, "stream_options": {"include_usage": True}}
    for _ in range(2):
        *_, last = client.chat.completions.create(**asked, stream=True)
        assert last.choices == []
        assert last.usage is not None
        assert last.usage.completion_tokens == upstream.usage_served().output_tokens
    assert upstream.calls == 1


def test_what_a_caller_wants_of_a_stream_is_kept(client: openai.OpenAI, upstream: Upstream) -> None:
    asked: dict[str, Any] = {**CHAT, "stream_options": {"include_obfuscation": False}}
    assert text_of(client.chat.completions.create(**asked, stream=True))
    options = upstream.requests[0].body["stream_options"]
    assert options == {"include_obfuscation": False, "include_usage": True}


def test_a_dropped_stream_hangs_up(client: openai.OpenAI, upstream: Upstream, fuse: Fuse) -> None:
    """A consumer that breaks and forgets: the provider stops, an estimate is booked."""
    upstream.slow(per_chunk=0.02)
    for _ in client.chat.completions.create(**CHAT, stream=True):
        break
    gc.collect()
    assert upstream.wait_idle(5)
    assert upstream.requests[0].aborted
    assert fuse.open_leases() == ()
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (1, 1)
    assert text_of(client.chat.completions.create(**CHAT, stream=True))
    assert upstream.calls == 2


def test_a_stream_that_is_never_read_hangs_up(
    client: openai.OpenAI, upstream: Upstream, fuse: Fuse
) -> None:
    upstream.slow(per_chunk=0.02)
    client.chat.completions.create(**CHAT, stream=True).close()
    assert upstream.wait_idle(5)
    assert upstream.requests[0].aborted
    assert fuse.open_leases() == ()


def test_a_cancelled_task_hangs_up(upstream: Upstream, fuse: Fuse) -> None:
    upstream.slow(per_chunk=0.02)

    async def left() -> None:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
            client = wrap_openai(bare, fuse=fuse)

            async def read() -> None:
                async for _ in await client.chat.completions.create(**CHAT, stream=True):
                    pass

            task = asyncio.create_task(read())
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(left())
    assert upstream.wait_idle(5)
    assert upstream.requests[0].aborted
    assert fuse.open_leases() == ()
    assert fuse.receipt().spent > 0


@pytest.mark.parametrize("way", ["chat", "responses", "messages"])
def test_a_stream_that_outgrows_its_lease_is_stopped(upstream: Upstream, way: str) -> None:
    """A provider that says more than was allowed is cut off, in the SDK's own terms."""
    fuse = Fuse("$0.002", cache=False, spend_book=False)
    upstream.script([Say("word " * 5_000, overlong=True)])
    upstream.slow(per_chunk=0.001)
    if way == "messages":
        bare: Any = anthropic.Anthropic(api_key=KEY, base_url=upstream.anthropic_url)
        stream = wrap_anthropic(bare, fuse=fuse).messages.create(**MESSAGE, stream=True)
        error: type[Exception] = anthropic.AnthropicError
    else:
        bare = openai.OpenAI(api_key=KEY, base_url=upstream.openai_url)
        client = wrap_openai(bare, fuse=fuse)
        if way == "chat":
            stream = client.chat.completions.create(**CHAT, stream=True)
        else:
            stream = client.responses.create(model="gpt-4o", input=QUESTION, stream=True)
        error = openai.OpenAIError
    with bare, pytest.raises(error, match="stopped") as stop:
        for _ in stream:
            pass
    assert isinstance(stop.value, BudgetExceeded)
    assert stop.value.partial_text.startswith("word word")
    assert stop.value.receipt.estimated == 1
    assert upstream.wait_idle(5)
    assert upstream.requests[0].aborted
    assert fuse.receipt().spent < budget_of("$0.0021")  # the chunk that went too far was said


class Compressing:
    """Compresses answers as providers do: around the user's own transport."""

    def __init__(self, inner: Any, module: Any) -> None:
        self._inner = inner
        self._module = module

    def handle_request(self, request: Any) -> Any:
        response = self._inner.handle_request(request)
        packed = gzip.compress(response.read())
        headers = [(k, v) for k, v in response.headers.items() if k not in FRAMING]
        headers += [("content-encoding", "gzip"), ("content-length", str(len(packed)))]
        return self._module.Response(
            response.status_code, headers=headers, stream=self._module.ByteStream(packed)
        )

    def close(self) -> None:
        self._inner.close()


FRAMING = {"content-length", "transfer-encoding"}


@pytest.mark.parametrize("shape", [{}, {"stream": True}], ids=["whole", "stream"])
def test_compressed_answers_are_read(upstream: Upstream, fuse: Fuse, shape: dict[str, Any]) -> None:
    """In a transport that the user has brought, too."""
    with openai.OpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
        module = flavour_of(bare._client).module
        bare._client._transport = Compressing(bare._client._transport, module)
        client = wrap_openai(bare, fuse=fuse)
        first, second = (said(client, shape) for _ in range(2))
    assert first == second != ""
    assert upstream.calls == 1
    assert fuse.receipt().spent == billed(upstream) > 0


def said(client: openai.OpenAI, shape: dict[str, Any]) -> str:
    answer: Any = client.chat.completions.create(**CHAT, **shape)
    return text_of(answer) if shape else answer.choices[0].message.content


class Redirecting(Compressing):
    """Sends the first request on to where it went, as a moved server does."""

    moved = False

    def handle_request(self, request: Any) -> Any:
        if self.moved:
            return self._inner.handle_request(request)
        self.moved = True
        return self._module.Response(307, headers={"location": str(request.url)})


def test_a_redirect_costs_nothing(upstream: Upstream, fuse: Fuse) -> None:
    with openai.OpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
        module = flavour_of(bare._client).module
        bare._client._transport = Redirecting(bare._client._transport, module)
        wrap_openai(bare, fuse=fuse).chat.completions.create(**CHAT)
    assert fuse.receipt().spent == billed(upstream) > 0
    assert fuse.open_leases() == ()


def test_other_endpoints_pass_untouched(client: openai.OpenAI, fuse: Fuse) -> None:
    fuse.allow("$0.0000001")
    assert client.models.list().data
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="a fuse", model="gpt-image-1")
    with pytest.raises(openai.NotFoundError):
        client.moderations.create(input="a fuse")
    assert fuse.receipt().refusals == 0


@pytest.mark.parametrize("body", ["words", {"model": "gpt-4o"}, {"messages": ASKED}, [1]])
def test_a_body_that_asks_nothing_is_the_providers_to_refuse(
    client: openai.OpenAI, upstream: Upstream, fuse: Fuse, body: Any
) -> None:
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", body=body, cast_to=object)
    assert upstream.calls == 1
    assert fuse.receipt().failures == 0


def test_a_signed_request_is_refused(client: openai.OpenAI, upstream: Upstream) -> None:
    """What AWS has signed may not be changed, so it could not be held to a budget."""
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=made/up"}
    with pytest.raises(ConfigurationError, match="AWS"):
        client.chat.completions.create(**CHAT, extra_headers=headers)
    assert upstream.calls == 0


def test_azures_address_names_the_cheaper_model_too(upstream: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
    fuse.record_tool_call("search", "$0.90")
    bare = openai.AzureOpenAI(api_key=KEY, azure_endpoint=upstream.url, api_version="2024-10-21")
    with bare:
        wrap_openai(bare, fuse=fuse).chat.completions.create(**CHAT)
    assert upstream.requests[0].path.startswith("/openai/deployments/gpt-4o-mini/chat/completions")
    assert upstream.requests[0].model == "gpt-4o-mini"


def test_one_question_is_asked_once_in_all_ways(
    client: openai.OpenAI, upstream: Upstream, fuse: Fuse
) -> None:
    """Chat, responses and completion() share an answer, whole and streamed."""
    options: dict[str, Any] = {"fuse": fuse, "base_url": upstream.openai_url, "api_key": KEY}
    texts = {
        client.chat.completions.create(**CHAT).choices[0].message.content,
        text_of(client.chat.completions.create(**CHAT, stream=True)),
        client.responses.create(model="gpt-4o", input=QUESTION).output_text,
        completion("gpt-4o", ASKED, **options).choices[0].message.content,
        text_of(completion("gpt-4o", ASKED, stream=True, **options)),
    }
    with client.responses.stream(model="gpt-4o", input=QUESTION) as stream:
        texts.add(stream.get_final_response().output_text)
    assert len(texts) == 1
    assert upstream.calls == 1


def test_a_conversation_at_the_provider_is_never_answered_from_memory(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    first = client.responses.create(model="gpt-4o", input=QUESTION)
    for _ in range(2):
        client.responses.create(model="gpt-4o", input="And?", previous_response_id=first.id)
    assert upstream.calls == 3


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_history_at_the_provider_is_reserved_for(upstream: Upstream, *, known: bool) -> None:
    """What earlier responses came to is billed again; one we never saw may fill the window."""
    heard = Heard()
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    with openai.OpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
        asked: dict[str, Any] = {"model": "gpt-4o", "max_output_tokens": 16}
        long = "word " * 2_000
        if known:
            wrap_openai(bare, fuse=fuse)
        first = bare.responses.create(**asked, input=long)
        wrap_openai(bare, fuse=fuse)
        left = budget_of("$0.02")  # for 8,000 tokens of input: four times the history
        fuse.allow(Decimal(left + fuse.receipt().spent).scaleb(-9))
        ask = partial(bare.responses.create, **asked, input="And?")
        if known:
            ask(previous_response_id=first.id)
            assert heard.receipts[-1].usage is not None
            assert heard.receipts[-1].usage.input_tokens > 2_000
            assert fuse.receipt().overruns == 0
            return
        with pytest.raises(BudgetExceeded):
            ask(previous_response_id=first.id)
        with pytest.raises(BudgetExceeded):
            ask(conversation="conv_1")
    assert upstream.calls == 1


def test_a_hit_says_where_it_comes_from(client: openai.OpenAI) -> None:
    ask = client.chat.completions.with_raw_response.create
    assert [ask(**CHAT).headers.get("x-agentfuse") for _ in range(2)] == [None, "exact"]


def test_fifty_tasks_on_one_budget_never_pass_it(upstream: Upstream) -> None:
    budget = "$0.003"
    fuse = Fuse(budget, cache=False, spend_book=False)
    upstream.slow(latency=0.05)

    async def attempt(client: openai.AsyncOpenAI, number: int) -> bool:
        try:
            await client.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": f"What is {number}?"}],
                max_tokens=50,
            )
        except BudgetExceeded:
            return False
        return True

    async def all_at_once() -> int:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
            client = wrap_openai(bare, fuse=fuse)
            return sum(await asyncio.gather(*(attempt(client, number) for number in range(50))))

    served = asyncio.run(all_at_once())
    assert 0 < served < 50
    assert upstream.calls == served
    assert fuse.receipt().spent == billed(upstream) <= budget_of(budget)


def test_sixteen_threads_share_one_client_and_one_budget(upstream: Upstream) -> None:
    budget = "$0.003"
    fuse = Fuse(budget, cache=False, spend_book=False)
    upstream.slow(latency=0.05)
    with openai.OpenAI(api_key=KEY, base_url=upstream.openai_url) as bare:
        client = wrap_openai(bare, fuse=fuse)

        def attempt(number: int) -> bool:
            try:
                client.responses.create(
                    model="gpt-4o", input=f"What is {number}?", max_output_tokens=50
                )
            except BudgetExceeded:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            served = sum(pool.map(attempt, range(48)))
    assert 0 < served < 48
    assert upstream.calls == served
    assert fuse.receipt().spent == billed(upstream) <= budget_of(budget)


def buy_on_openai(client: openai.OpenAI) -> None:
    """An agent's loop without an end."""
    function = {"name": "buy", "description": "Buy a part.", "parameters": SPEND}
    tools: Any = [{"type": "function", "function": function}]
    messages: list[Any] = [{"role": "user", "content": "Buy all parts."}]
    while True:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=messages, tools=tools, max_tokens=60
        )
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": "bought"}
            for call in message.tool_calls or ()
        ]


def buy_on_claude(client: anthropic.Anthropic) -> None:
    """The same, streaming."""
    tools: Any = [{"name": "buy", "description": "Buy a part.", "input_schema": SPEND}]
    messages: list[Any] = [{"role": "user", "content": "Buy all parts."}]
    while True:
        with client.messages.stream(
            model="claude-sonnet-4-6", messages=messages, tools=tools, max_tokens=60
        ) as stream:
            said = stream.get_final_message()
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "bought"}
            for block in said.content
            if block.type == "tool_use"
        ]
        messages += [
            {"role": "assistant", "content": said.content},
            {"role": "user", "content": results},
        ]


def test_an_agent_of_ones_own_stops_in_time(client: openai.OpenAI, upstream: Upstream) -> None:
    """A loop that would go on for ever ends before the call that would pass the budget."""
    fuse = Fuse("$0.01", spend_book=False)
    upstream.script(
        Say(tool_calls=[Call("buy", {"item": f"part {number}"})]) for number in range(1_000)
    )
    with pytest.raises(BudgetExceeded) as stop:
        buy_on_openai(wrap_openai(client, fuse=fuse))
    assert upstream.calls > 3
    assert stop.value.receipt.spent == billed(upstream) <= budget_of("$0.01")
    assert stop.value.receipt.estimated == 0
    assert fuse.open_leases() == ()


def test_an_agent_on_claude_stops_in_time(claude: anthropic.Anthropic, upstream: Upstream) -> None:
    fuse = Fuse("$0.02", spend_book=False)
    upstream.script(
        Say("Buying.", tool_calls=[Call("buy", {"item": f"part {number}"})])
        for number in range(1_000)
    )
    with pytest.raises(BudgetExceeded) as stop:
        buy_on_claude(wrap_anthropic(claude, fuse=fuse))
    assert upstream.calls > 3
    spent = billed(upstream, "anthropic")
    assert stop.value.receipt.spent == spent <= budget_of("$0.02")
    assert stop.value.receipt.estimated == 0
