"""What keeps like prompts together at OpenAI reaches it from the Agents SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import Agent, ModelSettings, Runner

from agentfuse import Fuse
from agentfuse_openai_agents import AgentFuseModel

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

RULES = "You know all about fuses."


async def test_openai_is_given_a_key(bare_of: Any, up: Upstream, api: str) -> None:
    fuse = Fuse("$1", spend_book=False, prompt_caching=True)
    agent = Agent(name="a", instructions=RULES, model=AgentFuseModel(bare_of(api), fuse=fuse))
    await Runner.run(agent, "One?")
    async for _ in Runner.run_streamed(agent, "Two?").stream_events():
        pass
    keys = [request.body["prompt_cache_key"] for request in up.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert keys[0].startswith("agentfuse-")


async def test_a_key_of_ones_own_is_left_alone(bare_of: Any, up: Upstream, api: str) -> None:
    fuse = Fuse("$1", spend_book=False, prompt_caching=True)
    settings = ModelSettings(extra_args={"prompt_cache_key": "mine"})
    model = AgentFuseModel(bare_of(api), fuse=fuse)
    agent = Agent(name="a", instructions=RULES, model=model, model_settings=settings)
    await Runner.run(agent, "One?")
    assert up.requests[0].body["prompt_cache_key"] == "mine"
