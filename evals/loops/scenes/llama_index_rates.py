"""A LlamaIndex agent that asks two tools in turn, and never has enough."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.workflow.errors import WorkflowRuntimeError
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM


async def rate_of(currency: str) -> str:
    """Tell a rate."""
    return f"no rate of {currency} today"


async def bank_of(currency: str) -> str:
    """Name a bank."""
    return f"ask for the rate of {currency}"


def undecided(asked: Any) -> Say:
    number = sum(len(turn.calls) for turn in asked.turns)
    return Say("", [Call(("rate_of", "bank_of")[number % 2], {"currency": "USD"})])


async def main() -> None:
    with Upstream(undecided) as upstream:
        bare = OpenAI(model="gpt-4o", api_base=upstream.openai_url, api_key="sk-upstream")
        llm = AgentFuseLLM(bare, fuse=Fuse("$1", spend_book=False))
        agent = FunctionAgent(tools=[rate_of, bank_of], llm=llm)
        with suppress(WorkflowRuntimeError):
            await agent.run("What is a dollar?", max_iterations=12)


if __name__ == "__main__":
    asyncio.run(main())
