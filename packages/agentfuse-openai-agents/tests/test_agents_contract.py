"""The shared contract of adapters, through runs of the SDK over both of OpenAI's APIs."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import pytest
from agents import Agent, Model, Runner, function_tool
from agents.items import ToolCallItem
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.testing import AdapterContract, Upstream
from agentfuse_openai_agents import AgentFuseModel

ALONE = {"Connection": "close"}


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@function_tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: see there"


async def streamed(agent: Agent, question: str) -> Any:
    result = Runner.run_streamed(agent, question)
    async for _ in result.stream_events():
        pass
    return result


async def closing(client: AsyncOpenAI, run: Any) -> Any:
    """Run in a loop of its own, and leave nothing open there."""
    async with client:
        try:
            return await run
        finally:
            await asyncio.sleep(0)


def run_at_once(agent: Agent, question: str, client: AsyncOpenAI) -> Any:
    """Run without an event loop in sight; the one that run_sync leaves open is closed."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return Runner.run_sync(agent, question)
    finally:
        loop.run_until_complete(closing(client, asyncio.sleep(0)))
        asyncio.set_event_loop(None)
        loop.close()


class AgentsContract(AdapterContract):
    missing: ClassVar[dict[str, str]] = {
        "stream": "the SDK streams in an event loop only: Runner.run_streamed has no blocking twin"
    }
    forwarded = ("model", "_client", "_supports_default_prompt_cache_key", "_get_client")
    bare_class: type[Any]

    def bare(self, upstream: Upstream) -> Model:
        client = AsyncOpenAI(
            api_key="sk-upstream",
            base_url=upstream.openai_url,
            max_retries=0,
            default_headers=ALONE,
        )
        return self.bare_class("gpt-4o", client)

    def run(self, shape: str, fuse: Fuse, upstream: Upstream, question: str, **words: Any) -> Any:
        model = AgentFuseModel(self.bare(upstream), fuse=fuse)
        agent = Agent(name="assistant", model=model, **words)
        client = model._client
        match shape:
            case "call":
                return run_at_once(agent, question, client)
            case "acall":
                return asyncio.run(closing(client, Runner.run(agent, question)))
            case _:
                return asyncio.run(closing(client, streamed(agent, question)))

    def ask(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> str:
        return str(self.run(shape, fuse, upstream, question).final_output)

    def call_tool(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> list[str]:
        result = self.run(shape, fuse, upstream, question, tools=[look_up])
        calls = [item for item in result.new_items if isinstance(item, ToolCallItem)]
        return [call.raw_item.name for call in calls]

    def extract(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> Person:
        result = self.run(shape, fuse, upstream, question, output_type=Person)
        assert isinstance(result.final_output, Person)
        return result.final_output

    def wrapped(self, fuse: Fuse, upstream: Upstream) -> tuple[object, object]:
        bare = self.bare(upstream)
        return bare, AgentFuseModel(bare, fuse=fuse)

    def abandon(self, shape: str, fuse: Fuse, upstream: Upstream, question: str) -> None:
        model = AgentFuseModel(self.bare(upstream), fuse=fuse)
        agent = Agent(name="assistant", model=model)
        asyncio.run(closing(model._client, self.abandon_awaited(agent, question)))

    async def abandon_awaited(self, agent: Agent, question: str) -> None:
        result = Runner.run_streamed(agent, question)
        deltas = 0
        async for event in result.stream_events():
            deltas += event.type == "raw_response_event" and event.data.type.endswith(".delta")
            if deltas == 3:
                result.cancel()
        deadline = time.monotonic() + 5
        while agent.model.fuse.open_leases() and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        # The SDK closes a cancelled stream in a task of its own.
        await asyncio.sleep(0.2)


class TestOverResponses(AgentsContract):
    bare_class = OpenAIResponsesModel


class TestOverChat(AgentsContract):
    bare_class = OpenAIChatCompletionsModel


@pytest.mark.parametrize("kind", [TestOverResponses, TestOverChat])
def test_only_the_blocking_stream_is_missing(kind: type[AdapterContract]) -> None:
    assert set(kind.missing) == {"stream"}
