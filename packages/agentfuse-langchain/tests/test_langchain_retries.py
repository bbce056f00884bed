"""A fuse that tries again around LangChain's models: fallbacks, and one owner of retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentfuse import Fuse
from agentfuse.testing import FrozenClock
from agentfuse_langchain import AgentFuseChatModel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain_core.language_models import BaseChatModel

    from agentfuse.testing import Upstream

CHAINS = {
    "gpt-4o": ["gpt-4o-mini"],
    "claude-sonnet-4-6": ["claude-haiku-4-5"],
}


async def test_every_way_falls_back_to_the_vendors_next_model(
    bare_of: Callable[..., BaseChatModel],
    up: Upstream,
    vendor: str,
    ask: Callable[..., Awaitable[None]],
) -> None:
    bare = bare_of(vendor, max_retries=0, max_tokens=200)
    fuse = Fuse("$1", max_retries=1, fallbacks=CHAINS, clock=FrozenClock(), spend_book=False)
    up.fail(500, times=2)
    await ask(AgentFuseChatModel(inner=bare, fuse=fuse), "What is a fuse?")
    assert [request.status for request in up.requests] == [500, 500, 200]
    assert up.requests[-1].model in {"gpt-4o-mini", "claude-haiku-4-5"}
    receipt = fuse.receipt()
    assert (receipt.failures, receipt.retries, receipt.fallbacks) == (2, 1, 1)
    assert fuse.open_leases() == ()


def test_a_fallback_out_of_reach_is_passed_over(
    bare_of: Callable[..., BaseChatModel], up: Upstream
) -> None:
    chain = {"gpt-4o": ["anthropic/claude-haiku-4-5", "gpt-4o-mini"]}
    fuse = Fuse("$1", fallbacks=chain, spend_book=False)
    up.fail(503)
    AgentFuseChatModel(inner=bare_of("openai", max_retries=0), fuse=fuse).invoke("Hi")
    assert [request.model for request in up.requests] == ["gpt-4o", "gpt-4o-mini"]


def test_two_owners_of_retries_are_warned_of(
    bare_of: Callable[..., BaseChatModel], up: Upstream
) -> None:
    fuse = Fuse("$1", max_retries=2, spend_book=False)
    with pytest.warns(UserWarning, match="may be made 9 times"):
        AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    AgentFuseChatModel(inner=bare_of("openai", max_retries=0), fuse=fuse)
    assert up.calls == 0
