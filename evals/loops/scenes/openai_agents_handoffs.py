"""Two agents of the OpenAI Agents SDK that hand a question back and forth."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from agents import Agent, OpenAIProvider, RunConfig, Runner, set_tracing_disabled
from agents.exceptions import MaxTurnsExceeded
from openai import AsyncOpenAI

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_openai_agents import AgentFuseModelProvider


def passed_on(asked: Any) -> Say:
    return Say("", [Call(asked.tools[0].name, {})])


async def main() -> None:
    set_tracing_disabled(disabled=True)
    sales, support = (Agent(name=name, model="gpt-4o") for name in ("sales", "support"))
    sales.handoffs, support.handoffs = [support], [sales]
    with Upstream(passed_on) as upstream:
        async with AsyncOpenAI(base_url=upstream.openai_url, api_key="sk-upstream") as client:
            inner = OpenAIProvider(openai_client=client)
            provider = AgentFuseModelProvider(inner, fuse=Fuse("$1", spend_book=False))
            with suppress(MaxTurnsExceeded):
                await Runner.run(
                    sales,
                    "Whose is this?",
                    max_turns=14,
                    run_config=RunConfig(model_provider=provider),
                )


if __name__ == "__main__":
    asyncio.run(main())
