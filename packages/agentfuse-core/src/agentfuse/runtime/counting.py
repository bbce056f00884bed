"""Count a request for the policy: at once, or on a thread where an event loop would be held up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Request
    from agentfuse.ports import Teller
    from agentfuse.tokens import TokenCounter, TokenEstimate

    Count = Callable[[Request], Awaitable[TokenEstimate]]


def counting(counter: TokenCounter, tell: Teller, *, blocking: bool) -> Count:
    """Give what the policy counts with.

    The rules take microseconds and count where they are called. A user's counters may load a
    vocabulary or ask a provider, so an event loop has them on a thread.
    """
    if blocking or not counter.counters:

        async def count(request: Request) -> TokenEstimate:
            return counter.count(request, tell)

        return count

    async def count_off_the_loop(request: Request) -> TokenEstimate:
        import asyncio  # whoever awaits has it; blocking callers save 30 ms

        return await asyncio.to_thread(counter.count, request, tell)

    return count_off_the_loop
