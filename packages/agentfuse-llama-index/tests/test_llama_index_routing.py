"""A router's choice goes over the wire from LlamaIndex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.llms import ChatMessage

from agentfuse import Fuse
from agentfuse.routing import CHEAPEST_FIRST, Router
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
STRONG = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


async def test_the_wire_shows_the_routed_model(bare_of: Any, up: Upstream, vendor: str) -> None:
    router = Router([CHEAPER[vendor], STRONG[vendor]], strategy=CHEAPEST_FIRST)
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=Fuse("$1", spend_book=False, route=router))
    asked = [[ChatMessage(content=f"Question {n}?")] for n in range(3)]
    llm.chat(asked[0])
    await llm.achat(asked[1])
    list(llm.stream_chat(asked[2]))
    assert [request.model for request in up.requests] == [CHEAPER[vendor]] * 3
