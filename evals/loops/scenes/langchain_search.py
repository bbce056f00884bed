"""A LangChain agent that searches for the same again and again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.errors import GraphRecursionError

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel


@tool
def search(query: str) -> str:
    """Search the archive."""
    return f"nothing found for {query}"


def stubborn(asked: Any) -> Say:
    tries = sum(len(turn.calls) for turn in asked.turns)
    return Say(f"Let me try again ({tries}).", [Call("search", {"query": "fuse"})])


if __name__ == "__main__":
    with Upstream(stubborn) as upstream:
        bare = ChatOpenAI(model="gpt-4o", base_url=upstream.openai_url, api_key="sk-upstream")
        model = AgentFuseChatModel(inner=bare, fuse=Fuse("$1", spend_book=False))
        asked: Any = {"messages": [("user", "What is a fuse?")]}
        with suppress(GraphRecursionError):
            create_agent(model, [search]).invoke(asked, {"recursion_limit": 24})
