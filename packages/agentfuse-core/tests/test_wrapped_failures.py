"""What a covered SDK client's own retries have cost, told by the error that it raises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from agentfuse import BudgetExceeded, Fuse, wrap_anthropic, wrap_openai
from agentfuse.courses import FailureReceipt, failure_receipt_of
from agentfuse.testing import Upstream
from agentfuse.tickets import Failed, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

ASKED: list[Any] = [{"role": "user", "content": "What is a fuse?"}]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(params=["openai", "responses", "anthropic"])
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["blocking", "awaited"])
def awaited(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "awaited")


def asked(api: str, upstream: Upstream, fuse: Fuse, *, awaited: bool, retries: int = 2) -> None:
    """Ask once through a covered client of the vendor's own."""
    options: dict[str, Any] = {"api_key": "sk-upstream", "max_retries": retries}
    if awaited:
        asyncio.run(_awaited(api, upstream, fuse, options))
        return
    if api == "anthropic":
        options["base_url"] = upstream.anthropic_url
        with wrap_anthropic(anthropic.Anthropic(**options), fuse=fuse) as client:
            client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=ASKED)
        return
    with wrap_openai(openai.OpenAI(base_url=upstream.openai_url, **options), fuse=fuse) as client:
        if api == "responses":
            client.responses.create(model="gpt-4o", input="What is a fuse?", max_output_tokens=50)
        else:
            client.chat.completions.create(model="gpt-4o", messages=ASKED, max_tokens=50)


async def _awaited(api: str, upstream: Upstream, fuse: Fuse, options: dict[str, Any]) -> None:
    if api == "anthropic":
        bare = anthropic.AsyncAnthropic(base_url=upstream.anthropic_url, **options)
        async with wrap_anthropic(bare, fuse=fuse) as client:
            await client.messages.create(model="claude-sonnet-4-6", max_tokens=50, messages=ASKED)
        return
    other = openai.AsyncOpenAI(base_url=upstream.openai_url, **options)
    async with wrap_openai(other, fuse=fuse) as client:
        if api == "responses":
            await client.responses.create(
                model="gpt-4o", input="What is a fuse?", max_output_tokens=50
            )
        else:
            await client.chat.completions.create(model="gpt-4o", messages=ASKED, max_tokens=50)


def test_the_sdks_own_error_tells_of_every_attempt(
    api: str, upstream: Upstream, heard: Heard, awaited: bool
) -> None:
    """An HTTP status: the SDK's error has no cause, and the response that it carries tells."""
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    upstream.fail(500, times=3, retry_after=0.01)
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)) as error:
        asked(api, upstream, fuse, awaited=awaited)
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    assert [attempt.kind for attempt in receipt.failed] == ["server_error"] * 3
    assert receipt.spent == 0
    assert upstream.calls == 3


def test_attempts_that_were_cut_have_their_cost_on_it(
    api: str, upstream: Upstream, heard: Heard, awaited: bool
) -> None:
    """The SDK wraps the transport's error, and the wrapped one tells."""
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    upstream.cut(after_chunks=0, times=2)
    with pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)) as error:
        asked(api, upstream, fuse, awaited=awaited, retries=1)
    receipt = failure_receipt_of(error.value)
    assert receipt is not None
    assert [attempt.cost for attempt in receipt.failed] == [f.cost for f in heard.of(Failed)]
    assert len(receipt.failed) == 2
    assert receipt.spent == fuse.receipt().spent == fuse.receipt().spent_on_failures > 0


def test_an_answer_after_retries_names_those_that_failed(
    api: str, upstream: Upstream, heard: Heard, awaited: bool
) -> None:
    """And no call is told as given up, as the SDK did not give up."""
    fuse = Fuse("$1", spend_book=False, listeners=[heard])
    upstream.fail(500, times=2, retry_after=0.01)
    asked(api, upstream, fuse, awaited=awaited)
    (receipt,) = heard.of(Receipt)
    assert [attempt.kind for attempt in receipt.failed] == ["server_error"] * 2
    assert receipt.attempts == receipt.attempt == 3
    assert heard.of(FailureReceipt) == []


def test_a_retry_that_is_refused_tells_what_came_before(
    api: str, upstream: Upstream, awaited: bool
) -> None:
    budget = "$0.0010" if api == "anthropic" else "$0.00056"
    fuse = Fuse(budget, spend_book=False)
    upstream.cut(after_chunks=0, times=99)
    with pytest.raises(BudgetExceeded) as stop:
        asked(api, upstream, fuse, awaited=awaited, retries=99)
    receipt = failure_receipt_of(stop.value)
    assert receipt is not None
    assert receipt.attempts == upstream.calls > 0
    assert receipt.spent == stop.value.receipt.spent > 0


def test_another_calls_attempts_are_not_counted(upstream: Upstream) -> None:
    """Two calls in one thread: each error tells of its own."""
    fuse = Fuse("$1", spend_book=False)
    for _ in range(2):
        upstream.fail(500, times=2, retry_after=0.01)
        with pytest.raises(openai.InternalServerError) as error:
            asked("openai", upstream, fuse, awaited=False, retries=1)
        receipt = failure_receipt_of(error.value)
        assert receipt is not None
        assert receipt.attempts == 2
