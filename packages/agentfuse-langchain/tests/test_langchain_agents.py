"""Agents on a fused model: turns, streams and middlewares as ever, and a stop that holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware
from langchain_core.exceptions import LangChainException
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphBubbleUp
from pydantic import BaseModel

from agentfuse import BudgetExceeded, Fuse
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]
QUESTION = {"messages": [("user", "What is the weather in 'Rome'?")]}
SPENT_OUT = "$0.0000001"


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Forecast(BaseModel):
    """The weather to come."""

    city: str
    degrees: int


def gist(state: Any) -> list[tuple[str, str, int]]:
    return [
        (message.type, message.text, len(getattr(message, "tool_calls", [])))
        for message in state["messages"]
    ]


async def test_an_agent_does_as_with_the_bare_model_and_its_repeat_is_free(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    bare = bare_of(vendor, max_tokens=200)
    wanted = gist(create_agent(bare, [get_weather]).invoke(QUESTION))
    agent = create_agent(AgentFuseChatModel(inner=bare, fuse=fuse), [get_weather])
    up.reset()
    assert gist(agent.invoke(QUESTION)) == wanted
    assert up.calls == 2
    billed = up.usage_served()
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.estimated) == (2, 0)
    assert receipt.models[0].input_tokens == billed.input_tokens
    assert gist(agent.invoke(QUESTION)) == wanted
    assert gist(await agent.ainvoke(QUESTION)) == wanted
    assert up.calls == 2
    assert fuse.receipt().exact == 4


@pytest.mark.parametrize("warm", [False, True])
async def test_an_agents_tokens_are_streamed_live_and_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str, *, warm: bool
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=200), fuse=fuse)
    agent = create_agent(model, [get_weather])
    if warm:
        agent.invoke(QUESTION)
    chunks = [chunk for chunk, _ in agent.stream(QUESTION, stream_mode="messages")]
    awaited = [chunk async for chunk, _ in agent.astream(QUESTION, stream_mode="messages")]
    for said in (chunks, awaited):
        assert len([chunk for chunk in said if chunk.type == "AIMessageChunk"]) > 6
        assert "".join(c.text for c in said if c.type == "AIMessageChunk").strip()
        assert any(getattr(chunk, "tool_call_chunks", None) for chunk in said)
    assert up.calls == 2
    assert fuse.receipt().estimated == 0


def test_structured_answers_of_agents_are_remembered(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=200), fuse=fuse)
    agent = create_agent(model, [], response_format=Forecast)
    first, second = (agent.invoke({"messages": [("user", "Rome?")]}) for _ in range(2))
    assert isinstance(first["structured_response"], Forecast)
    assert second["structured_response"] == first["structured_response"]
    assert up.calls == 1
    assert fuse.receipt().exact == 1


def test_equal_answers_in_one_thread_are_two_messages(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    answers = [model.invoke("hello"), model.invoke("hello")]
    assert answers[0].id != answers[1].id


def test_the_stop_is_of_every_kind_it_has_to_be() -> None:
    for kind in (BudgetExceeded, LangChainException, GraphBubbleUp):
        assert issubclass(BudgetStop, kind)
    assert BudgetStop.is_retryable is False


def test_a_stop_is_not_repeated_or_swallowed_by_retries(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), budget=SPENT_OUT, spend_book=False)
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0)
    with pytest.raises(BudgetStop) as stop:
        create_agent(model, [get_weather], middleware=[retry]).invoke(QUESTION)
    assert isinstance(stop.value.__cause__, BudgetExceeded)
    assert stop.value.refusal is not None
    assert model.fuse.receipt().refusals == 1
    assert up.calls == 0


async def test_a_stop_does_not_escape_to_a_fallback_model(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    model = AgentFuseChatModel(inner=bare_of(vendor), budget=SPENT_OUT, spend_book=False)
    agent = create_agent(
        model, [get_weather], middleware=[ModelFallbackMiddleware(bare_of(vendor))]
    )
    with pytest.raises(BudgetStop):
        agent.invoke(QUESTION)
    with pytest.raises(BudgetStop):
        await agent.ainvoke(QUESTION)
    with pytest.raises(BudgetStop):
        list(agent.stream(QUESTION, stream_mode="messages"))
    assert up.calls == 0


def test_a_true_failure_still_falls_back(bare_of: BareOf, up: Upstream, fuse: Fuse) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai", max_retries=0), fuse=fuse)
    spare = AgentFuseChatModel(inner=bare_of("anthropic", max_tokens=200), fuse=fuse)
    up.fail(500)
    agent = create_agent(model, [get_weather], middleware=[ModelFallbackMiddleware(spare)])
    assert agent.invoke(QUESTION)["messages"][-1].text
    receipt = fuse.receipt()
    assert receipt.failures == 1
    assert receipt.answers == up.calls - 1


def test_a_stop_surfaces_from_a_tool_that_asks_a_model(bare_of: BareOf, up: Upstream) -> None:
    fuse = Fuse("$1", spend_book=False)
    poor = AgentFuseChatModel(inner=bare_of("openai"), budget=SPENT_OUT, spend_book=False)

    @tool
    def ask_expert(question: str) -> str:
        """Ask the expert."""
        return poor.invoke(question).text

    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    up.script([Say("", [Call("ask_expert", {"question": "why?"})])])
    with pytest.raises(BudgetStop):
        create_agent(model, [ask_expert]).invoke(QUESTION)
    assert up.calls == 1


def test_a_checkpointed_run_goes_on_after_a_top_up(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False, cache=False)
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=200), fuse=fuse)

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        fuse.allow(SPENT_OUT)  # the money runs out between the turns
        return f"sunny in {city}"

    agent = create_agent(model, [get_weather], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    with pytest.raises(BudgetStop) as stop:
        agent.invoke(QUESTION, config)
    assert up.calls == 1
    assert stop.value.receipt.answers == 1
    state = agent.get_state(config)
    assert state.next == ("model",)
    assert [message.type for message in state.values["messages"]] == ["human", "ai", "tool"]
    fuse.top_up("$1")
    answer = agent.invoke(None, config)
    assert up.calls == 2
    assert [message.type for message in answer["messages"]] == ["human", "ai", "tool", "ai"]
    assert answer["messages"][-1].text


def test_answers_keep_what_a_budget_stopped_run_had(bare_of: BareOf, up: Upstream) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), budget="$1", spend_book=False)
    said = model.invoke("hello").text
    model.fuse.allow(SPENT_OUT)
    results = model.batch(["one", "two"], return_exceptions=True)
    assert all(isinstance(result, BudgetStop) for result in results)
    assert results[0].results == (said,)
    assert up.calls == 1
