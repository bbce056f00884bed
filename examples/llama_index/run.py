"""A travel desk on LlamaIndex: an agent with a handbook and two tools, under one small budget.

python examples/llama_index/run.py      asks a local, simulated provider: no key, no network
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing.upstream import Asked

BUDGET = "$0.018"
HANDBOOK = (
    "A hotel night in Lisbon may cost up to 140 euros, breakfast included.",
    "A hotel night in Oslo may cost up to 210 euros; taxis from the airport are not refunded.",
    "A trip above 1,500 euros is approved by the head of the department.",
)
CITIES = ("Lisbon", "Oslo", "Lisbon", "Porto", "Turin", "Vienna", "Ghent")
RATES = {"NOK": 11.7, "USD": 1.1, "EUR": 1.0}


async def exchange_rate(currency: str) -> str:
    """Tell how much of a currency one euro buys."""
    return f"1 EUR is {RATES.get(currency, 1.0)} {currency}"


async def book_room(city: str, nights: int) -> str:
    """Book a hotel room for a number of nights."""
    return f"booked {nights} nights in {city}"


def question_about(city: str) -> str:
    return f"Book two nights in {city} within our limit, and tell me the limit in dollars."


def said_by(asked: Asked) -> Say:
    """Speak as a model would: it looks the limit up, converts it, books, and then reports."""
    city = next(name for name in CITIES if name in asked.text.rpartition("Query:")[2])
    if not asked.tools:  # the handbook asks, with its rules around the question
        return Say(next((rule for rule in HANDBOOK if city in rule), "There is no limit for it."))
    steps = (
        Say("", [Call("handbook", {"input": f"the hotel limit in {city}"})]),
        Say("", [Call("exchange_rate", {"currency": "USD"})]),
        Say("", [Call("book_room", {"city": city, "nights": 2})]),
        Say(f"Two nights in {city} are booked, within the limit of the handbook."),
    )
    return steps[sum(turn.role == "tool" for turn in asked.turns)]


def travel_desk(llm: AgentFuseLLM) -> FunctionAgent:
    """Make the agent; its handbook asks the same fused LLM."""
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in HANDBOOK], embed_model=MockEmbedding(embed_dim=8)
    )
    handbook = QueryEngineTool.from_defaults(
        index.as_query_engine(llm=llm, similarity_top_k=3),
        name="handbook",
        description="Answers questions about the travel rules.",
    )
    return FunctionAgent(
        tools=[handbook, exchange_rate, book_room],
        llm=llm,
        system_prompt="You are the travel desk. Look up the limit before you book.",
    )


async def work(llm: AgentFuseLLM) -> None:
    """Book for one traveller after the other, until the money is used up."""
    desk = travel_desk(llm)
    for city in CITIES:
        before = llm.fuse.receipt()
        try:
            answer = await desk.run(user_msg=question_about(city))
        except BudgetStop as stop:
            print(f"{city}: stopped. {stop}")
            print(f"{len(stop.results)} answers were received before; the last of them:")
            print(f"  {[text for text in stop.results if text][-1]}")
            return
        after = llm.fuse.receipt()
        cost = (after.spent - before.spent) / 1e9
        print(f"{city}: ${cost:.6f}, {after.exact - before.exact} answers from memory. {answer}")


def main() -> None:
    with Upstream(said_by) as provider:
        print(f"Asking a SIMULATED gpt-4o on {provider.openai_url}: no key, no bill.")
        bare = OpenAI(
            model="gpt-4o", max_tokens=100, api_base=provider.openai_url, api_key="sk-upstream"
        )
        fuse = Fuse(BUDGET, name="travel desk", spend_book=False)
        asyncio.run(work(AgentFuseLLM(inner=bare, fuse=fuse)))
        print(fuse.receipt())
        print(f"The simulated provider served {provider.calls} calls.")


if __name__ == "__main__":
    main()
