"""The first promise: spend never passes a limit, whoever asks, and however their streams end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from agentfuse import BudgetExceeded, Fuse, acompletion, completion
from agentfuse.money import budget_of
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLERS = 50
BUDGET = "$0.10"
# gpt-4o at $2.50 and $10 a million: 2,000 output tokens are two cents, so that five fit at once.
ASKED = {"model": "gpt-4o", "max_tokens": 1_990}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A simulated provider that answers at length after 200 ms."""
    with Upstream(answer_tokens=1_900) as provider:
        provider.slow(latency=0.2)
        yield provider


@pytest.fixture(autouse=True)
def _forgotten(upstream: Upstream) -> None:
    upstream.wait_idle(10)
    upstream.reset()
    upstream.slow(latency=0.2)


def where(upstream: Upstream) -> dict[str, str]:
    """Say where the provider is."""
    return {"base_url": upstream.openai_url, "api_key": "sk-upstream"}


def question(number: int) -> list[dict[str, str]]:
    """Ask something nobody else asks."""
    return [{"role": "user", "content": f"Tell me all about the number {number}."}]


def billed_by(upstream: Upstream) -> int:
    """Price what the provider says it served, in nanodollars, call by call."""
    book = PriceBook()
    return sum(
        book.cost(
            UsageReport(items=(BilledUsage(model=served.model, usage=served.billed),)), "openai"
        ).nanodollars
        for served in upstream.requests
    )


def test_fifty_threads_never_pass_ten_cents(upstream: Upstream) -> None:
    """Whoever does not fit is refused before a byte is sent."""
    fuse = Fuse(BUDGET)

    def ask(number: int) -> bool:
        try:
            completion(**ASKED, messages=question(number), fuse=fuse, **where(upstream))
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        served = sum(pool.map(ask, range(CALLERS)))
    assert 0 < served < CALLERS
    assert upstream.calls == served
    assert fuse.receipt().refusals == CALLERS - served
    assert fuse.receipt().spent == billed_by(upstream) <= budget_of(BUDGET)
    assert fuse.open_leases() == ()


async def test_fifty_tasks_never_pass_ten_cents(upstream: Upstream) -> None:
    """The same law holds for tasks of one loop."""
    fuse = Fuse(BUDGET)

    async def ask(number: int) -> bool:
        try:
            await acompletion(**ASKED, messages=question(number), fuse=fuse, **where(upstream))
        except BudgetExceeded:
            return False
        return True

    served = sum(await asyncio.gather(*(ask(number) for number in range(CALLERS))))
    assert 0 < served < CALLERS
    assert upstream.calls == served
    assert fuse.receipt().spent == billed_by(upstream) <= budget_of(BUDGET)
    assert fuse.open_leases() == ()


def test_fifty_threads_of_streams_a_third_abandoned(upstream: Upstream) -> None:
    """A stream nobody reads to its end is settled at what it had said."""
    fuse = Fuse(BUDGET)

    def ask(number: int) -> bool:
        try:
            stream = completion(
                **ASKED, messages=question(number), stream=True, fuse=fuse, **where(upstream)
            )
        except BudgetExceeded:
            return False
        with stream:
            for seen, _ in enumerate(stream):
                if number % 3 == 0 and seen == 100:
                    break
        return True

    with ThreadPoolExecutor(CALLERS) as pool:
        served = sum(pool.map(ask, range(CALLERS)))
    assert 0 < served < CALLERS
    assert upstream.calls == served
    assert 0 < fuse.receipt().spent <= budget_of(BUDGET)
    assert fuse.open_leases() == ()


async def test_fifty_tasks_of_streams_a_third_abandoned(upstream: Upstream) -> None:
    """The same for tasks; an abandoned stream's connection is closed, and the server sees it."""
    fuse = Fuse(BUDGET)

    async def ask(number: int) -> bool:
        try:
            stream = await acompletion(
                **ASKED, messages=question(number), stream=True, fuse=fuse, **where(upstream)
            )
        except BudgetExceeded:
            return False
        async with stream:
            seen = 0
            async for _ in stream:
                seen += 1
                if number % 3 == 0 and seen == 100:
                    break
        return True

    served = sum(await asyncio.gather(*(ask(number) for number in range(CALLERS))))
    assert 0 < served < CALLERS
    assert upstream.calls == served
    assert 0 < fuse.receipt().spent <= budget_of(BUDGET)
    assert fuse.open_leases() == ()


def test_a_call_without_a_maximum_is_clamped_to_what_is_left(upstream: Upstream) -> None:
    """The model's own maximum would not fit, so less is asked for; the wire shows it."""
    fuse = Fuse("$0.02")
    completion("gpt-4o", question(1), fuse=fuse, **where(upstream))
    (asked,) = upstream.requests
    assert 1_900 < asked.body["max_completion_tokens"] <= 2_000
    assert fuse.receipt().spent == billed_by(upstream) <= budget_of("$0.02")


def test_a_clamped_call_leaves_room_for_its_neighbours(upstream: Upstream) -> None:
    """One call with a long default maximum does not hold the whole budget while it runs."""
    fuse = Fuse("$0.15")

    def ask(number: int) -> bool:
        return bool(completion("gpt-4o", question(number), fuse=fuse, **where(upstream)).choices)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == [True, True]
    first, second = sorted(asked.body["max_completion_tokens"] for asked in upstream.requests)
    assert 0 < first <= second == 8_192
    assert fuse.receipt().spent == billed_by(upstream) <= budget_of("$0.15")


def test_a_maximum_the_caller_set_is_never_changed(upstream: Upstream) -> None:
    """Whoever asked for a length gets it or a refusal."""
    fuse = Fuse("$0.02")
    with pytest.raises(BudgetExceeded) as stop:
        completion("gpt-4o", question(1), max_tokens=4_000, fuse=fuse, **where(upstream))
    assert upstream.calls == 0
    assert stop.value.refusal is not None
    assert stop.value.refusal.left == budget_of("$0.02")
    assert "$0.02" in str(stop.value)


def test_clamping_can_be_switched_off(upstream: Upstream) -> None:
    """Without it a call whose worst case does not fit is refused."""
    with pytest.raises(BudgetExceeded):
        completion("gpt-4o", question(1), fuse=Fuse("$0.02", clamp=False), **where(upstream))
    assert upstream.calls == 0


def test_a_session_is_held_by_its_parents_budget_too(upstream: Upstream) -> None:
    """A child with a large budget cannot spend what its parent does not have."""
    parent = Fuse("$0.0001")
    child = parent.session("child", "$5")
    with pytest.raises(BudgetExceeded) as stop:
        completion(**ASKED, messages=question(1), fuse=child, **where(upstream))
    assert stop.value.refusal is not None
    assert stop.value.refusal.limit.amount == budget_of("$0.0001")
    assert upstream.calls == 0


def test_a_top_up_lets_a_stopped_run_go_on(upstream: Upstream) -> None:
    """More money, and the same fuse answers again."""
    fuse = Fuse("$0.0001")
    with pytest.raises(BudgetExceeded):
        completion(**ASKED, messages=question(1), fuse=fuse, **where(upstream))
    fuse.top_up("$1")
    assert completion(**ASKED, messages=question(1), fuse=fuse, **where(upstream)).choices


def test_a_stop_carries_what_was_done(upstream: Upstream) -> None:
    """The answers so far and the receipt are in the error."""
    fuse = Fuse("$0.03")
    completion(**ASKED, messages=question(1), fuse=fuse, **where(upstream))
    with pytest.raises(BudgetExceeded) as stop:
        completion(**ASKED, messages=question(2), fuse=fuse, **where(upstream))
    assert len(stop.value.results) == 1
    assert stop.value.results[0].startswith("Answer to: Tell me all about the number 1")
    assert stop.value.receipt.spent == fuse.receipt().spent
    assert stop.value.receipt.refusals == 1


def test_a_provider_that_ignores_the_maximum_is_stopped_mid_stream(upstream: Upstream) -> None:
    """When more comes than was paid for, the line is cut and the partial text kept."""
    fuse = Fuse("$1")
    upstream.script([Say("It never ends. " * 400, overlong=True)])
    stream = completion(
        "gpt-4o", question(3), max_tokens=200, stream=True, fuse=fuse, **where(upstream)
    )
    with pytest.raises(BudgetExceeded) as stop:
        list(stream)
    assert stop.value.partial_text.startswith("It never ends.")
    assert stop.value.receipt.spent == fuse.receipt().spent > 0
    assert upstream.wait_idle(10)
    assert upstream.requests[0].aborted
    assert fuse.open_leases() == ()
