"""LangGraph over fused models: state, every way to stream, subgraphs, resuming, stepping down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent
from langgraph.warnings import LangGraphDeprecatedSinceV10

from agentfuse import ConfigurationError, Fuse
from agentfuse.money import budget_of
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]
Billed = Callable[[str], int]
FinalOf = Callable[..., Awaitable[Any]]
QUESTION: Any = {"messages": [("user", "What is the weather in 'Rome'?")]}
SPENT_OUT = "$0.0000001"
CHEAPER = {"gpt-4o": "gpt-4o-mini", "claude-sonnet-4-6": "claude-haiku-4-5"}


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def graph_of(*models: Any, checkpointer: Any = None) -> Any:
    """Make a graph whose second half is a graph of its own."""

    def asking(model: Any) -> Any:
        async def aask(state: MessagesState) -> Any:
            return {"messages": [await model.ainvoke(state["messages"])]}

        def ask(state: MessagesState) -> Any:
            return {"messages": [model.invoke(state["messages"])]}

        return RunnableLambda(ask, aask)

    inner = StateGraph(MessagesState)
    inner.add_node("critic", asking(models[1]))
    inner.add_edge(START, "critic")
    outer = StateGraph(MessagesState)
    outer.add_node("writer", asking(models[0]))
    outer.add_node("review", inner.compile())
    outer.add_edge(START, "writer")
    outer.add_edge("writer", "review")
    outer.add_edge("review", END)
    return outer.compile(checkpointer=checkpointer)


async def test_a_graph_and_its_subgraphs_share_a_budget(
    bare_of: BareOf, up: Upstream, fuse: Fuse, final_of: FinalOf
) -> None:
    models = [
        AgentFuseChatModel(inner=bare_of(vendor, max_tokens=50), fuse=fuse)
        for vendor in ("openai", "anthropic")
    ]
    final = await final_of(graph_of(*models))
    assert [message.type for message in final["messages"]] == ["human", "ai", "ai"]
    assert up.calls == fuse.receipt().answers == 2
    assert {spend.model for spend in fuse.receipt().models} == {"gpt-4o", "claude-sonnet-4-6"}


async def test_a_stop_in_a_subgraph_surfaces_and_the_run_resumes_there(
    bare_of: BareOf, up: Upstream, fuse: Fuse, final_of: FinalOf
) -> None:
    writer = AgentFuseChatModel(inner=bare_of("openai", max_tokens=50), fuse=fuse)
    poor = fuse.session("critic", SPENT_OUT)
    critic = AgentFuseChatModel(inner=bare_of("anthropic", max_tokens=50), fuse=poor)
    graph = graph_of(writer, critic, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    with pytest.raises(BudgetStop, match="'critic'"):
        await final_of(graph, config=config)
    state = graph.get_state(config)
    assert state.next == ("review",)
    assert [message.type for message in state.values["messages"]] == ["human", "ai"]
    assert up.calls == 1
    poor.allow("$1")
    final = await final_of(graph, None, config)
    assert [message.type for message in final["messages"]] == ["human", "ai", "ai"]
    assert up.calls == 2


MODES = ("values", "updates", "messages", "custom", "debug", "tasks", "checkpoints")


@pytest.mark.parametrize("mode", MODES)
async def test_every_way_to_stream_a_graph_works_live_and_from_memory(
    bare_of: BareOf, up: Upstream, fuse: Fuse, mode: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai", max_tokens=200), fuse=fuse)
    agent: Any = create_agent(model, [get_weather], checkpointer=InMemorySaver())
    runs = []
    for thread in ("live", "again", "awaited"):
        config = {"configurable": {"thread_id": thread}}
        if thread == "awaited":
            stream = agent.astream(QUESTION, config, stream_mode=mode, subgraphs=True)
            runs.append([each[0] async for each in stream])
        else:
            stream = agent.stream(QUESTION, config, stream_mode=mode, subgraphs=True)
            runs.append([each[0] for each in stream])
    assert up.calls == 2
    if mode != "messages":  # where a text is cut into chunks is nobody's promise
        assert runs[0] == runs[1] == runs[2]
    assert bool(runs[0]) is bool(runs[1]) is bool(runs[2]) is (mode != "custom")


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_run_steps_down_to_the_cheaper_model_at_once(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, final_of: FinalOf
) -> None:
    fuse = Fuse("$1", cache=False, spend_book=False, downgrade=CHEAPER)

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        fuse.record_tool_call("get_weather", "$0.80")
        return f"sunny in {city}"

    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    up.script([Say("", [Call("get_weather", {"city": "Rome"})]), Say("Sunny."), Say("Bye.")])
    agent = create_agent(model, [get_weather], middleware=[AgentFuseMiddleware(fuse=fuse)])
    final = await final_of(agent)
    await final_of(agent, {"messages": [*final["messages"], ("user", "Thanks")]})
    strong, *cheap = (request.model for request in up.requests)
    assert cheap == [CHEAPER[strong]] * 2
    assert len(final["messages"]) == 4
    receipt = fuse.receipt()
    assert (receipt.downgrades, receipt.estimated) == (2, 0)
    assert receipt.spent == billed(vendor) + budget_of("$0.80")


def repeated(tokens: int) -> Any:
    """Make a provider whose model never ends: it looks the weather up again and again."""
    return [Say("word " * tokens, [Call("get_weather", {"city": f"Town {n}"})]) for n in range(200)]


@pytest.mark.parametrize("on_stop", ["end", "raise", None])
async def test_five_cents_stop_an_endless_agent_before_the_call_that_would_pass_them(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, final_of: FinalOf, on_stop: Any
) -> None:
    fuse = Fuse("$0.05", spend_book=False)
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=300), fuse=fuse)
    guards = [AgentFuseMiddleware(fuse=fuse, on_stop=on_stop)] if on_stop else []
    agent = create_agent(model, [get_weather], middleware=guards)
    up.script(repeated(100))
    if on_stop == "end":
        final = await final_of(agent)
        assert final["agentfuse"]["stopped"]
        answers, told = len(final["messages"]) // 2 - 1, final["agentfuse"]["receipt"]
    else:
        with pytest.raises(BudgetStop) as stop:
            await final_of(agent)
        answers, told = len(stop.value.results), stop.value.receipt.to_dict()
    receipt = fuse.receipt()
    assert receipt.to_dict() == told
    assert receipt.answers == answers == up.calls > 3
    assert receipt.spent == billed(vendor) <= budget_of("$0.05")
    assert receipt.refusals == 1
    assert fuse.open_leases() == ()


@pytest.mark.filterwarnings("ignore::langgraph.warnings.LangGraphDeprecatedSinceV10")
async def test_langgraphs_older_agent_is_covered_too(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str, final_of: FinalOf
) -> None:
    assert LangGraphDeprecatedSinceV10  # the warning that is filtered here
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=200), fuse=fuse)
    for given in (model, model.bind_tools([get_weather])):
        final = await final_of(create_react_agent(given, [get_weather]))
        assert [message.type for message in final["messages"]] == ["human", "ai", "tool", "ai"]
    assert up.calls == 2
    assert fuse.receipt().exact == 2


def test_a_model_made_by_its_name_is_fused(
    up: Upstream, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    monkeypatch.setenv("OPENAI_BASE_URL", up.openai_url)
    model: Any = AgentFuseChatModel(inner=init_chat_model("openai:gpt-4o"), fuse=fuse)
    assert model.invoke("hello").text
    chosen = model.configurable_fields(model_name=ConfigurableField(id="model"))
    chosen.invoke("hello", {"configurable": {"model": "gpt-4o-mini"}})
    other = AgentFuseChatModel(inner=init_chat_model("openai:gpt-4.1"), fuse=fuse)
    choice = model.configurable_alternatives(ConfigurableField(id="which"), other=other)
    choice.with_config(configurable={"which": "other"}).invoke("hello")
    assert [request.model for request in up.requests] == ["gpt-4o", "gpt-4o-mini", "gpt-4.1"]
    assert fuse.receipt().answers == 3


@pytest.mark.parametrize("words", [{}, {"model": "openai:gpt-4o", "configurable_fields": "any"}])
def test_a_model_chosen_for_each_call_is_a_clear_error(
    words: Any, fuse: Fuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")  # some versions make the default at once
    inner: Any = init_chat_model(**words)
    with pytest.raises(ConfigurationError, match="Fuse one that it makes"):
        AgentFuseChatModel(inner=inner, fuse=fuse)
