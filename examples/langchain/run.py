"""A research desk under one small budget: an agent whose model, search and calculator all cost.

python examples/langchain/run.py     asks a local, simulated provider: no key, no network
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware

if TYPE_CHECKING:
    from agentfuse.testing.upstream import Asked

BUDGET = "$0.06"
SYSTEM_PROMPT = (
    "You are a careful research assistant. Search before you answer, convert with the calculator,"
    " name your sources, and keep every answer under a hundred words."
)
QUESTIONS = (
    "How long is the Rhine, in miles?",
    "How high is Mont Blanc, in feet?",
    "How long is the Rhine, in miles?",  # again: from memory
    "How deep is Lake Constance, in feet?",
    "How long is the Danube, in miles?",
    "How high is the Zugspitze, in feet?",
)
FACTS = {
    "Rhine": (1_233, "km"),
    "Mont Blanc": (4_806, "m"),
    "Lake Constance": (251, "m"),
    "Danube": (2_850, "km"),
    "Zugspitze": (2_962, "m"),
}
FACTORS = {"km": 0.621371, "m": 3.28084}


@tool
def web_search(topic: str) -> str:
    """Search the web; each call costs a cent."""
    amount, unit = FACTS[topic]
    return f"{topic}: {amount} {unit} (a gazetteer). " + "More about its history. " * 40


@tool
def convert(amount: float, unit: str) -> str:
    """Convert kilometres to miles, or metres to feet."""
    return f"{amount * FACTORS[unit]:.0f}"


def researcher(asked: Asked) -> Say | None:
    """Play the model: search, convert, answer; it stands in for a real one."""
    topic = next(name for name in FACTS if name in asked.text)
    amount, unit = FACTS[topic]
    if not asked.answered:
        return Say("Let me look that up.", [Call("web_search", {"topic": topic})])
    if "convert" not in asked.answered and "was not run" not in str(asked.messages[-1]):
        return Say("", [Call("convert", {"amount": amount, "unit": unit})])
    if "convert" not in asked.answered:
        return Say(f"I could not pay for a search about {topic}, so I will not guess.")
    return Say(f"{topic}: {amount * FACTORS[unit]:.0f}, says the gazetteer.")


def main() -> int:
    """Ask until the questions or the money end, then print the receipt."""
    with Upstream(responder=researcher) as upstream:
        print(f"Asking a simulated gpt-4o at {upstream.openai_url}: no key needed.\n")
        model = ChatOpenAI(model="gpt-4o", base_url=upstream.openai_url, api_key="sk-upstream")
        fuse = Fuse(BUDGET, spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
        agent = create_agent(
            AgentFuseChatModel(inner=model, fuse=fuse),
            tools=[web_search, convert],
            system_prompt=SYSTEM_PROMPT,
            middleware=[AgentFuseMiddleware(fuse=fuse, tool_costs={"web_search": "$0.01"})],
            checkpointer=InMemorySaver(),
        )
        for number, question in enumerate(QUESTIONS):
            ask(agent, question, number)
        print("\n--- Receipt (simulated provider, real list prices) ---")
        print(fuse.receipt().table())
        print(f"The provider was asked {upstream.calls} times.")
    return 0


def ask(agent: Any, question: str, number: int) -> None:
    """Ask in a conversation of its own, on behalf of a user, and print what came of it."""
    config = {
        "configurable": {"thread_id": f"question-{number}"},
        "metadata": {"agentfuse_user": "ann"},
    }
    asked = {"messages": [{"role": "user", "content": question}]}
    for mode, said in agent.stream(asked, config, stream_mode=["custom", "values"]):
        if mode == "custom":
            print(f"  ! {said['agentfuse']['alert']} of the budget is spent")
    state = agent.get_state(config).values
    receipt = state["agentfuse"]["receipt"]
    print(f"{question}\n  {state['messages'][-1].text}")
    print(f"  {receipt['spent_usd']} of {receipt['budget_usd']} dollars spent")


if __name__ == "__main__":
    sys.exit(main())
