"""What a fuse costs a LangChain agent: one step of it, bare, on a miss and on a hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adding import added_shares, client_words, rounds, tools_made
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from measure import figure_of

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from adding import Provider, Questions
    from measure import Figure

KEY = "sk-upstream"
ASKED = {"messages": [{"role": "user", "content": "What is Python? Answer in one word."}]}
ASKS, HITS = 40, 200


@tool
def look_up(word: str) -> str:
    """Look a word up in the dictionary."""
    return word


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def figures() -> dict[str, Any]:
    """Measure one step: CPU microseconds of the agent's own thread, and shares of the bare one's.

    The simulated provider answers over loopback HTTP, in threads of its own that are not counted.
    """
    with Upstream() as upstream:
        bare = ChatOpenAI(model="gpt-4o", base_url=upstream.openai_url, api_key=KEY, max_retries=0)
        found = agent_figures(bare)
    one = found["bare"].median
    return added_shares(call_of, late_call_of, run_of) | {
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


def model_of(url: str, instant: Provider, fuse: Fuse | None) -> Any:
    """Give the model: answered at once or over loopback, fused or bare."""
    model: Any = ChatOpenAI(model="gpt-4o", base_url=url, api_key=KEY, **client_words(instant))
    return model if fuse is None else AgentFuseChatModel(inner=model, fuse=fuse)


def call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the model, with the tool that an agent gives it."""
    model = model_of(url, instant, fuse).bind_tools([get_weather])
    return lambda: model.invoke([("system", "Be brief."), ("user", str(questions))])


def late_call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the model by an agent under way, which sends the same messages again."""
    model, behind = model_of(url, instant, fuse).bind_tools(tools_made(tool)), history()
    system = SystemMessage("Be brief.")
    return lambda: model.invoke([system, HumanMessage(str(questions)), *behind])


def history() -> list[BaseMessage]:
    """Write what an agent has done so far."""
    said: list[BaseMessage] = []
    for each in rounds():
        call: Any = {"name": each.tool, "args": each.arguments, "id": each.id}
        said.append(AIMessage("I look that up.", tool_calls=[call]))
        said.append(ToolMessage(each.result, tool_call_id=each.id))
    return said


def run_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give an agent's run of two calls with a tool between them."""
    agent: Any = create_agent(
        model_of(url, instant, fuse), [get_weather], system_prompt="Be brief."
    )
    return lambda: agent.invoke({"messages": [("user", str(questions))]})


def asking(model: Any) -> Callable[[], object]:
    """Give a plain call of a model."""
    return lambda: model.invoke("What is Python?")


if __name__ == "__main__":
    import json

    print(json.dumps(figures(), indent=2))
