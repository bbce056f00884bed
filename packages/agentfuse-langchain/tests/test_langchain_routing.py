"""A router's choice goes over the wire, whichever way LangChain asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse import Fuse
from agentfuse.routing import CHEAPEST_FIRST, Cascade, Router
from agentfuse_langchain import AgentFuseChatModel

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
STRONG = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


async def test_the_wire_shows_the_routed_model(
    bare_of: Any, up: Upstream, vendor: str, ask: Any
) -> None:
    router = Router([CHEAPER[vendor], STRONG[vendor]], strategy=CHEAPEST_FIRST)
    fuse = Fuse("$1", spend_book=False, route=router)
    await ask(AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse), "What is a fuse?")
    assert [request.model for request in up.requests] == [CHEAPER[vendor]]
    decision = fuse.decisions()[0]
    assert (decision.asked, decision.model) == (STRONG[vendor], CHEAPER[vendor])


def test_a_cascade_asks_two_cheap_models_first(bare_of: Any, up: Upstream) -> None:
    cascade = Cascade(
        first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o", canonical=lambda reply: reply.text
    )
    fuse = Fuse("$1", spend_book=False, route=cascade)
    answer = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse).invoke("What is a fuse?")
    assert answer.text == "Answer to: What is a fuse?"
    assert [request.model for request in up.requests] == ["gpt-4o-mini", "gpt-4.1-nano"]
    assert fuse.open_leases() == ()
