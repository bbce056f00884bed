"""A router's choice goes over the wire from the Agents SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, Runner

from agentfuse import Fuse
from agentfuse.pricing import PriceBook
from agentfuse.routing import CHEAPEST_FIRST, Cascade, Router
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.usage import BilledUsage, UsageReport
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


async def test_each_answer_of_a_cascade_is_billed_as_its_own(
    bare_of: Any, up: Upstream, api: str
) -> None:
    """Both are asked at once, and what was overheard of one is not read as the other's."""
    cascade = Cascade(first=("gpt-4o-mini", "gpt-4.1-nano"), strong="gpt-4o")
    fuse = Fuse("$1", spend_book=False, route=cascade)
    up.script([Say("yes"), Say("no " * 60), Say("certainly")])
    agent = Agent(name="judge", model=AgentFuseModel(bare_of(api), fuse=fuse))
    result = await Runner.run(agent, "Is it so?")
    assert result.final_output == "certainly"
    book = PriceBook()
    items = [BilledUsage(model=each.model, usage=each.billed) for each in up.requests]
    costs = [book.cost(UsageReport(items=(each,)), "openai").nanodollars for each in items]
    assert len(costs) == 3
    assert fuse.receipt().spent == sum(costs)
    assert fuse.open_leases() == ()
