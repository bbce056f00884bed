"""What a fuse costs a LangChain agent: one step of it, bare, on a miss and on a hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from measure import figure_of

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from measure import Figure

KEY = "sk-upstream"
ASKED = {"messages": [{"role": "user", "content": "What is Python? Answer in one word."}]}
ASKS, HITS = 40, 200


@tool
def look_up(word: str) -> str:
    """Look a word up in the dictionary."""
    return word


def figures() -> dict[str, Any]:
    """Measure one step: CPU microseconds of the agent's own thread, and shares of the bare one's.

    The simulated provider answers over loopback HTTP, in threads of its own that are not counted.
    """
    with Upstream() as upstream:
        bare = ChatOpenAI(model="gpt-4o", base_url=upstream.openai_url, api_key=KEY, max_retries=0)
        found = agent_figures(bare)
    one = found["bare"].median
    return {
        "unit": "CPU microseconds of one agent step",
        "figures": {name: figure.as_dict() for name, figure in found.items()},
        "miss_over_bare": found["miss"].median / one,
        "miss_with_middleware_over_bare": found["miss, middleware"].median / one,
        "bare_over_hit": one / found["hit"].median,
    }


def agent_figures(bare: ChatOpenAI) -> dict[str, Figure]:
    """Measure the same agent over each kind of model."""
    missing = Fuse("$1000", cache=False, spend_book=False)
    remembering = Fuse("$1000", spend_book=False)
    guarded = Fuse("$1000", cache=False, spend_book=False)
    return {
        "bare": figure_of(step_of(bare), ASKS),
        "miss": figure_of(step_of(AgentFuseChatModel(inner=bare, fuse=missing)), ASKS),
        "miss, middleware": figure_of(step_of(bare, AgentFuseMiddleware(fuse=guarded)), ASKS),
        "hit": figure_of(step_of(AgentFuseChatModel(inner=bare, fuse=remembering)), HITS),
        "bare model, no agent": figure_of(lambda: bare.invoke("What is Python?"), ASKS),
        "hit, no agent": figure_of(asking(AgentFuseChatModel(inner=bare, fuse=remembering)), HITS),
    }


def step_of(model: Any, *middleware: AgentFuseMiddleware) -> Callable[[], object]:
    """Give an agent's run of one step."""
    agent: Any = create_agent(model, [look_up], middleware=middleware)
    return lambda: agent.invoke(ASKED)


def asking(model: Any) -> Callable[[], object]:
    """Give a plain call of a model."""
    return lambda: model.invoke("What is Python?")


if __name__ == "__main__":
    import json

    print(json.dumps(figures(), indent=2))
