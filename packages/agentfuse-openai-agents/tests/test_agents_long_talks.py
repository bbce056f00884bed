"""A long run of the Agents SDK goes out short and valid, and a loop of its agents is stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool
from long_talks import PROMPT, Heard, order_of, questions, result_of, tracking_of
from openai import AsyncOpenAI

from agentfuse import Fuse
from agentfuse.lengths import Compressed
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_openai_agents import AgentFuseModelProvider, BudgetStop

KEY = "sk-upstream"


@function_tool
def get_order(order: str) -> str:
    """Look an order up."""
    return result_of(int(order.removeprefix("A-")) - 1000)


async def test_a_long_run_is_short_and_valid() -> None:
    heard = Heard()
    fuse = Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress="keep_recent",
        compress_above=3_000,
    )
    agent = Agent(name="desk", instructions=PROMPT, model="gpt-4o", tools=[get_order])
    with Upstream() as up:
        async with AsyncOpenAI(base_url=up.openai_url, api_key=KEY) as client:
            provider = AgentFuseModelProvider(OpenAIProvider(openai_client=client), fuse=fuse)
            config = RunConfig(model_provider=provider, tracing_disabled=True)
            items: list[Any] = []
            for question in [*questions(20), f"Which parcel number has {order_of(3)}?"]:
                given = [*items, {"role": "user", "content": question}]
                items = (await Runner.run(agent, given, run_config=config)).to_input_list()
        assert {request.status for request in up.requests} == {200}
        last = json.dumps(up.requests[-1].body)
        assert PROMPT in last
        assert tracking_of(3) in last
        assert max(event.after for event in heard.of(Compressed)) <= 3_000


async def test_agents_that_hand_over_for_ever_are_stopped() -> None:
    sales: Agent[Any] = Agent(name="sales", model="gpt-4o")
    support: Agent[Any] = Agent(name="support", model="gpt-4o", handoffs=[sales])
    sales.handoffs = [support]
    fuse = Fuse("$5", spend_book=False, cache=False, loops="stop")
    with Upstream(lambda asked: Say("", [Call(asked.tools[0].name, {})])) as up:
        async with AsyncOpenAI(base_url=up.openai_url, api_key=KEY) as client:
            provider = AgentFuseModelProvider(OpenAIProvider(openai_client=client), fuse=fuse)
            config = RunConfig(model_provider=provider, tracing_disabled=True)
            with pytest.raises(BudgetStop, match="loop detected") as stop:
                await Runner.run(sales, "Whose is this?", max_turns=30, run_config=config)
        assert up.calls <= 8
    assert stop.value.loop is not None
    assert stop.value.loop.times == 3
