"""A router's choice goes over the wire from the Agents SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, Runner

from agentfuse import Fuse
from agentfuse.routing import CHEAPEST_FIRST, Router
from agentfuse_openai_agents import AgentFuseModel

if TYPE_CHECKING:
    from agentfuse.testing import Upstream


async def test_the_wire_shows_the_routed_model(bare_of: Any, up: Upstream, api: str) -> None:
    router = Router(["gpt-4o-mini", "gpt-4o"], strategy=CHEAPEST_FIRST)
    fuse = Fuse("$1", spend_book=False, route=router)
    agent = Agent(name="reader", model=AgentFuseModel(bare_of(api), fuse=fuse))
    await Runner.run(agent, "What is a fuse?")
    async for _ in Runner.run_streamed(agent, "And a lamp?").stream_events():
        pass
    assert [request.model for request in up.requests] == ["gpt-4o-mini"] * 2
