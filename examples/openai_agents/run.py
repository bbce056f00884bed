"""A support desk of two agents answers its mail under one small budget.

python examples/openai_agents/run.py

It asks a simulated provider on this machine: no key is needed, and nothing is spent.
"""

from __future__ import annotations

import asyncio

from agents import OpenAIProvider, RunConfig, Runner, set_tracing_disabled
from openai import AsyncOpenAI
from shop import MAILS, MODEL, simulated_model, support_desk

from agentfuse import Fuse
from agentfuse_openai_agents import AgentFuseModelProvider, BudgetStop

BUDGET = "$0.0055"


async def main() -> None:
    set_tracing_disabled(disabled=True)
    with simulated_model() as upstream:
        print(f"Asking a simulated {MODEL} on {upstream.openai_url}.\n")
        async with AsyncOpenAI(base_url=upstream.openai_url, api_key="sk-upstream") as client:
            # A refund is an act, not an answer: what asks for one is decided anew each time.
            fuse = Fuse(BUDGET, name="support desk", side_effect_tools=["refund"], spend_book=False)
            inner = OpenAIProvider(openai_client=client)
            provider = AgentFuseModelProvider(inner, fuse=fuse)
            await answer_mails(RunConfig(model_provider=provider), fuse)
        print(f"\nThe provider was asked {upstream.calls} times.")
        print(fuse.receipt())


async def answer_mails(config: RunConfig, fuse: Fuse) -> None:
    """Answer one mail after the other; a run that is stopped goes on once there is money."""
    for mail in MAILS:
        print(f"> {mail}")
        given = [{"role": "user", "content": mail}]
        try:
            answer = await streamed(given, config)
        except BudgetStop as stop:
            done = [item.to_input_item() for item in stop.run_data.new_items]
            print(f"  {stop}")
            print(f"  done until then: {[item.type for item in stop.run_data.new_items]}")
            fuse.top_up("$0.01")
            answer = await streamed([*given, *done], config, stop.run_data.last_agent)
        print(f"  {answer}\n  ({fuse.receipt()})")


async def streamed(given: list, config: RunConfig, agent: object = None) -> str:
    """Run the desk, or the agent that had the mail, and name each tool as it is called."""
    result = Runner.run_streamed(agent or support_desk(), given, run_config=config)
    async for event in result.stream_events():
        if event.type == "run_item_stream_event" and event.name == "tool_called":
            print(f"  ... {event.item.raw_item.name} {event.item.raw_item.arguments}")
    return str(result.final_output)


if __name__ == "__main__":
    asyncio.run(main())
