"""A router's choice goes over the wire from CrewAI, through the LLM and through hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crewai.hooks import register_after_llm_call_hook, register_before_llm_call_hook

from agentfuse import Fuse
from agentfuse.routing import CHEAPEST_FIRST, Router
from agentfuse_crewai import AgentFuseLLM, create_agentfuse_hooks

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
STRONG = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


def routed(vendor: str = "openai") -> Fuse:
    router = Router([CHEAPER[vendor], STRONG[vendor]], strategy=CHEAPEST_FIRST)
    return Fuse("$1", spend_book=False, route=router)


def test_the_wire_shows_the_routed_model(bare_of: Any, up: Upstream, vendor: str) -> None:
    AgentFuseLLM(bare_of(vendor), fuse=routed(vendor)).call("What is a fuse?")
    assert [request.model for request in up.requests] == [CHEAPER[vendor]]


def test_hooks_ask_the_routed_model(bare_of: Any, crew_of: Any, up: Upstream) -> None:
    before, after = create_agentfuse_hooks(fuse=routed())
    register_before_llm_call_hook(before)
    register_after_llm_call_hook(after)
    crew_of(bare_of()).kickoff(inputs={"topic": "electricity"})
    assert {request.model for request in up.requests} == {CHEAPER["openai"]}
