"""Retry storms: a provider that fails, resets and garbles gets no more than the stated attempts.

Over Upstream (simulated): 16 threads or tasks at once, in each of the four call shapes.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from agentfuse import AgentFuseError, BudgetExceeded, Fuse, acompletion, completion
from agentfuse.policy.retry_budget import FLOOR
from agentfuse.runtime.now import run_now
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Failed, Receipt, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.tickets import Entry, Event

Shape = Literal["call", "acall", "stream", "astream"]
SHAPES: tuple[Shape, ...] = ("call", "acall", "stream", "astream")
WORKERS = 16
CALLS = 32
RETRIES = 2
CHAIN = {"gpt-4o": ["gpt-4o-mini", "anthropic/claude-haiku-4-5"]}
BOUND = 1 + RETRIES + len(CHAIN["gpt-4o"])
FOREVER = 10_000


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=2)


FAULTS: dict[str, Callable[[Upstream, int], None]] = {
    "500": lambda upstream, times: upstream.fail(500, times=times),
    "429 in seconds": lambda upstream, times: upstream.fail(429, times=times, retry_after=3),
    "429 as a date": lambda upstream, times: upstream.fail(429, times=times, retry_after=soon()),
    "529": lambda upstream, times: upstream.fail(529, times=times),
    "reset": lambda upstream, times: upstream.cut(times=times),
    "reset after headers": lambda upstream, times: upstream.cut(after_chunks=0, times=times),
    "malformed": lambda upstream, times: upstream.garble(times=times),
}


class StillClock(FrozenClock):
    """Time stands, so that all that happens falls into one window of the retry budget."""

    async def sleep(self, seconds: float) -> None:
        """Wait for nothing."""


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
        yield provider


def asked(number: int) -> dict[str, Any]:
    question = f"Question {number}: what is a fuse?"
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": question}]}


def once(shape: Shape, fuse: Fuse, number: int) -> None:
    """Ask in a blocking shape, and let failures pass."""
    try:
        if shape == "stream":
            list(completion(**asked(number), fuse=fuse, stream=True))
        else:
            completion(**asked(number), fuse=fuse)
    except AgentFuseError:
        return


async def aonce(shape: Shape, fuse: Fuse, number: int) -> None:
    """Do as ``once``, awaited."""
    try:
        if shape == "astream":
            async for _ in await acompletion(**asked(number), fuse=fuse, stream=True):
                pass
        else:
            await acompletion(**asked(number), fuse=fuse)
    except AgentFuseError:
        return


def storm(shape: Shape, fuse: Fuse, calls: int = CALLS) -> None:
    """Make the calls, sixteen at a time."""
    if shape in {"call", "stream"}:
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda number: once(shape, fuse, number), range(calls)))
        return

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(WORKERS)

        async def one(number: int) -> None:
            async with gate:
                await aonce(shape, fuse, number)

        await asyncio.gather(*map(one, range(calls)))

    asyncio.run(all_of_them())


def settled(fuse: Fuse) -> list[Entry]:
    """Give what the ledger's trail has booked."""
    return [entry for entry in run_now(fuse.ledger.trail(FOREVER)) if entry.what == "settle"]


def require_whole_books(fuse: Fuse, heard: Heard, upstream: Upstream) -> None:
    """Every attempt that was billed has a booking of its own, and the sums agree."""
    bookings = settled(fuse)
    costs = [e.cost for e in heard.events if isinstance(e, Receipt | Failed) and e.cost]
    billed = [request for request in upstream.requests if request.status == 200]
    assert len({entry.lease for entry in bookings}) == len(bookings) == len(costs)
    assert sorted(entry.amount.nanodollars for entry in bookings) == sorted(costs)
    assert len(bookings) >= len(billed)
    assert fuse.receipt().spent == sum(costs)
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_attempts_never_exceed_the_bound(upstream: Upstream, shape: Shape, fault: str) -> None:
    heard = Heard()
    clock = StillClock(time.time())
    fuse = Fuse(
        "$50",
        max_retries=RETRIES,
        fallbacks=CHAIN,
        retry_budget=100.0,
        breaker=False,
        cache=False,
        clock=clock,
        listeners=[heard],
        spend_book=False,
    )
    FAULTS[fault](upstream, FOREVER)
    storm(shape, fuse)
    assert upstream.calls == CALLS * BOUND, "nothing ever worked, so all attempts were made"
    failed = [event for event in heard.events if isinstance(event, Failed)]
    assert max(event.attempt for event in failed) == BOUND
    require_whole_books(fuse, heard, upstream)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_passing_storm_is_weathered(upstream: Upstream, shape: Shape, fault: str) -> None:
    heard = Heard()
    fuse = Fuse(
        "$50",
        max_retries=RETRIES,
        fallbacks=CHAIN,
        retry_budget=100.0,
        cache=False,
        clock=StillClock(time.time()),
        listeners=[heard],
        spend_book=False,
    )
    FAULTS[fault](upstream, CALLS // 2)
    storm(shape, fuse)
    receipts = [event for event in heard.events if isinstance(event, Receipt)]
    assert upstream.calls <= CALLS * BOUND
    assert all(receipt.attempts <= BOUND for receipt in receipts)
    assert sum(len(receipt.failed) for receipt in receipts) <= CALLS // 2
    require_whole_books(fuse, heard, upstream)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_calls_together_retry_no_more_than_a_share(upstream: Upstream, shape: Shape) -> None:
    """Without it 32 calls would make 64 retries."""
    fuse = Fuse(
        max_retries=RETRIES,
        cache=False,
        clock=StillClock(),
        retry_budget=0.2,
        spend_book=False,
    )
    upstream.fail(503, times=FOREVER)
    storm(shape, fuse)
    assert fuse.receipt().retries <= FLOOR + 0.2 * CALLS + 1
    assert upstream.calls == CALLS + fuse.receipt().retries


@pytest.mark.parametrize("fault", ["reset after headers", "malformed"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_budget_stops_the_storm(upstream: Upstream, shape: Shape, fault: str) -> None:
    """Attempts that may have been billed use the budget up, and the calls end with a refusal."""
    heard = Heard()
    fuse = Fuse(
        "$0.02",
        max_retries=FOREVER,
        retry_budget=float(FOREVER),
        cache=False,
        clock=StillClock(),
        listeners=[heard],
        spend_book=False,
    )
    question = {"role": "user", "content": "What is a fuse? " * 100}
    FAULTS[fault](upstream, FOREVER)

    async def awaited() -> None:
        stream = shape == "astream"
        answer = await acompletion("gpt-4o", [question], fuse=fuse, max_tokens=50, stream=stream)
        if stream:
            async for _ in answer:
                pass

    def blocking() -> None:
        stream = shape == "stream"
        answer: Any = completion("gpt-4o", [question], fuse=fuse, max_tokens=50, stream=stream)
        if stream:
            list(answer)

    ask = blocking if shape in {"call", "stream"} else lambda: asyncio.run(awaited())
    with pytest.raises(BudgetExceeded) as stopped:
        ask()
    assert 3 < upstream.calls < 50
    assert stopped.value.receipt.spent <= 20_000_000
    require_whole_books(fuse, heard, upstream)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_budget_stops_the_storm_of_many(upstream: Upstream, shape: Shape) -> None:
    """Sixteen at once, each of which would try for ever, stop where the money does."""
    heard = Heard()
    fuse = Fuse(
        "$0.02",
        max_retries=FOREVER,
        retry_budget=float(FOREVER),
        cache=False,
        clock=StillClock(),
        listeners=[heard],
        spend_book=False,
    )
    FAULTS["reset after headers"](upstream, FOREVER)
    storm(shape, fuse)
    assert any(isinstance(event, Refused) for event in heard.events)
    assert 0 < fuse.receipt().spent <= 20_000_000
    require_whole_books(fuse, heard, upstream)
