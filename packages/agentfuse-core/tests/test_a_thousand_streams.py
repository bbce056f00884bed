"""A thousand streams on one budget, a third of them dropped and a third cut by the provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentfuse import BudgetExceeded, Fuse, ProviderFailed, acompletion
from agentfuse.money import budget_of
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = 1_000
# gpt-4o at $10 a million: 200 output tokens are a fifth of a cent, so that some 700 fit at once.
BUDGET = "$1.50"
FEW = 3
ALMOST_ALL = 30


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=40) as provider:
        provider.slow(per_chunk=0.4)
        yield provider


@pytest.mark.timeout(240)
def test_a_thousand_streams_never_pass_a_budget_and_leave_nothing_open(upstream: Upstream) -> None:
    fuse = Fuse(BUDGET, cache=False, spend_book=False)
    upstream.cut(after_chunks=10, times=STREAMS // 3)
    ends = asyncio.run(all_at_once(fuse, upstream))
    assert upstream.wait_idle(60)
    served = [request for request in upstream.requests if request.status == 200]
    assert ends.count("refused") == STREAMS - upstream.calls > 0
    assert ends.count("dropped") > 0
    assert ends.count("cut") > 0
    assert ends.count("whole") > 0
    assert len(served) == len(ends) - ends.count("refused")
    assert fuse.receipt().spent <= budget_of(BUDGET)
    assert fuse.open_leases() == ()
    # The provider worked to the end on what was taken whole, and on nothing else: it saw the others
    # hang up, unless it had cut them itself.
    to_the_end = [request for request in served if request.chunks_sent > ALMOST_ALL]
    assert len(to_the_end) == ends.count("whole")
    assert sum(request.aborted for request in served) > ends.count("dropped") // 2


async def all_at_once(fuse: Fuse, upstream: Upstream) -> list[str]:
    return await asyncio.gather(*(one(fuse, upstream, number) for number in range(STREAMS)))


async def one(fuse: Fuse, upstream: Upstream, number: int) -> str:
    """Ask, and take all of the answer or only the beginning; say how it ended."""
    try:
        stream = await acompletion(
            model="gpt-4o",
            messages=[{"role": "user", "content": f"Tell me about the number {number}."}],
            max_tokens=200,
            stream=True,
            fuse=fuse,
            base_url=upstream.openai_url,
            api_key="sk-upstream",
            timeout=120,
        )
        async with stream:
            taken = 0
            async for _ in stream:
                taken += 1
                if number % 3 == 0 and taken == FEW:
                    return "dropped"
    except BudgetExceeded:
        return "refused"
    except ProviderFailed:
        return "cut"
    return "whole"
