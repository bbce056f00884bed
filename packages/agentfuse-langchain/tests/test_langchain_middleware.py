"""What the middleware adds to an agent: a graceful end, tools that cost, the account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from agentfuse import ConfigurationError, Fuse
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]
Billed = Callable[[str], int]
FinalOf = Callable[..., Awaitable[Any]]
QUESTION: Any = {"messages": [("user", "What is the weather in 'Rome'?")]}
SPENT_OUT = "$0.0000001"


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Forecast(BaseModel):
    """The weather to come."""

    city: str
    degrees: int


def drained(fuse: Fuse) -> Any:
    """Make a tool after which the money is gone."""

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        fuse.allow(SPENT_OUT)
        return f"sunny in {city}"

    return get_weather


async def test_a_stopped_run_ends_with_what_it_has(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, final_of: FinalOf
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, cache=False)
    agent = create_agent(bare_of(vendor, max_tokens=200), [drained(guard.fuse)], middleware=[guard])
    final = await final_of(agent)
    assert [message.type for message in final["messages"]] == ["human", "ai", "tool", "ai"]
    account = final["agentfuse"]
    assert account["stopped"] == final["messages"][-1].text
    assert "nothing was sent" in account["stopped"]
    assert account["receipt"] == guard.fuse.receipt().to_dict()
    assert account["receipt"]["refusals"] == 1
    assert up.calls == 1
    assert guard.fuse.receipt().spent == billed(vendor) > 0


async def test_a_stop_surfaces_where_that_is_wanted(
    bare_of: BareOf, up: Upstream, vendor: str, final_of: FinalOf
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, on_stop="raise")
    agent = create_agent(bare_of(vendor, max_tokens=200), [drained(guard.fuse)], middleware=[guard])
    with pytest.raises(BudgetStop) as stop:
        await final_of(agent)
    assert stop.value.receipt.answers == up.calls == 1


@pytest.mark.parametrize("place", ["first", "last"])
async def test_retries_and_fallbacks_do_not_stand_in_the_way(
    bare_of: BareOf, up: Upstream, final_of: FinalOf, place: str
) -> None:
    guard = AgentFuseMiddleware(SPENT_OUT, spend_book=False)
    others = [
        ModelRetryMiddleware(max_retries=2, initial_delay=0.0),
        ModelFallbackMiddleware(bare_of("anthropic", max_tokens=50)),
    ]
    chain = [guard, *others] if place == "first" else [*others, guard]
    agent = create_agent(bare_of("openai"), [get_weather], middleware=chain)
    final = await final_of(agent)
    assert final["agentfuse"]["stopped"]
    assert up.calls == 0
    assert guard.fuse.receipt().refusals == 1


async def test_a_stopped_conversation_goes_on_as_if_nothing_was(
    bare_of: BareOf, up: Upstream, vendor: str, final_of: FinalOf
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, cache=False)
    agent = create_agent(
        bare_of(vendor, max_tokens=200), middleware=[guard], checkpointer=InMemorySaver()
    )
    config = {"configurable": {"thread_id": "1"}}
    await final_of(agent, {"messages": [("user", "one")]}, config)
    guard.fuse.allow(SPENT_OUT)
    stopped = await final_of(agent, {"messages": [("user", "two")]}, config)
    assert stopped["agentfuse"]["stopped"]
    guard.fuse.allow("$1")
    final = await final_of(agent, {"messages": [("user", "three")]}, config)
    assert final["agentfuse"]["stopped"] == ""
    assert [message.type for message in final["messages"]] == ["human", "ai"] * 3
    assert up.calls == 2
    asked = up.requests[-1].body["messages"]
    assert [message["role"] for message in asked].count("assistant") == 1
    assert all(word in str(asked) for word in ("one", "two", "three"))
    assert "nothing was sent" not in str(asked)


def test_a_stream_cut_by_its_lease_keeps_what_it_said(bare_of: BareOf, up: Upstream) -> None:
    guard = AgentFuseMiddleware("$0.002", spend_book=False)
    up.script([Say("word " * 2_000, overlong=True)])
    agent = create_agent(bare_of("openai"), middleware=[guard])
    said = list(agent.stream(QUESTION, stream_mode=["messages", "values"]))
    final = said[-1][1]
    assert final["messages"][-1].text.startswith("word word")
    assert final["messages"][-1].text.endswith(final["agentfuse"]["stopped"])
    assert (guard.fuse.receipt().estimated, guard.fuse.open_leases()) == (1, ())


class Counting(AgentMiddleware):
    """Has hooks after the model, as many middlewares do."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.called = name
        self.steps = 0

    @property
    def name(self) -> str:
        return self.called

    def after_model(self, state: Any, runtime: Any) -> None:
        self.steps += 1


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("tools", [[], [get_weather]])
def test_a_stop_ends_an_agent_that_owes_a_structured_answer(
    bare_of: BareOf, up: Upstream, place: int, tools: list[Any]
) -> None:
    guard = AgentFuseMiddleware(SPENT_OUT, spend_book=False)
    chain: list[Any] = [Counting("a"), Counting("b"), Counting("c")]
    chain.insert(place, guard)
    agent = create_agent(
        bare_of("openai"), tools, middleware=chain, response_format=ToolStrategy(Forecast)
    )
    final = agent.invoke(QUESTION, {"recursion_limit": 30})
    assert final["agentfuse"]["stopped"]
    assert final.get("structured_response") is None
    assert guard.fuse.receipt().refusals == 1
    assert up.calls == 0


async def test_a_bare_model_is_fused_and_a_fused_one_only_read(
    bare_of: BareOf, up: Upstream, billed: Billed, fuse: Fuse, vendor: str, final_of: FinalOf
) -> None:
    bare = bare_of(vendor, max_tokens=200)
    for model in (bare, AgentFuseChatModel(inner=bare, fuse=fuse)):
        guard = AgentFuseMiddleware(fuse=fuse)
        agent = create_agent(model, [get_weather], middleware=[guard])
        final = await final_of(agent)
        assert final["messages"][-1].text
        assert final["agentfuse"]["receipt"] == fuse.receipt().to_dict()
    assert up.calls == 2
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.exact) == (4, 2)
    assert receipt.spent == billed(vendor)


def test_a_model_is_fused_once_and_anew_when_its_settings_change(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    bare: Any = bare_of("openai")
    guard = AgentFuseMiddleware(fuse=fuse)
    agent = create_agent(bare, middleware=[guard])
    agent.invoke(QUESTION)
    (first,) = guard._models.values()
    agent.invoke(QUESTION)
    assert list(guard._models.values()) == [first]
    assert up.calls == 1
    bare.temperature = 0.25
    agent.invoke(QUESTION)
    assert up.requests[-1].body["temperature"] == 0.25
    assert len(guard._models) == 1


async def test_a_model_with_another_fuse_is_a_clear_error(
    bare_of: BareOf, up: Upstream, fuse: Fuse, final_of: FinalOf
) -> None:
    model = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse)
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0)
    guard = AgentFuseMiddleware("$1", spend_book=False)
    agent = create_agent(model, middleware=[retry, guard])
    with pytest.raises(ConfigurationError, match=r"AgentFuseMiddleware\(fuse=model.fuse\)"):
        await final_of(agent)
    assert up.calls == 0


def test_a_models_name_is_enough(
    up: Upstream, billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    monkeypatch.setenv("OPENAI_BASE_URL", up.openai_url)
    guard = AgentFuseMiddleware("$1", spend_book=False)
    agent = create_agent("openai:gpt-4o", [get_weather], middleware=[guard])
    assert agent.invoke(QUESTION)["agentfuse"]["receipt"]["answers"] == up.calls == 2
    assert guard.fuse.receipt().spent == billed("openai")


async def test_a_tools_cost_is_booked_on_the_same_budget(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, final_of: FinalOf
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, tool_costs={"get_weather": "$0.01"})
    agent = create_agent(bare_of(vendor, max_tokens=200), [get_weather], middleware=[guard])
    final = await final_of(agent)
    receipt = guard.fuse.receipt()
    assert receipt.spent == billed(vendor) + 10_000_000
    assert receipt.tool_calls == 1
    assert final["agentfuse"]["receipt"] == receipt.to_dict()


async def test_a_tool_that_does_not_fit_is_not_run_and_the_model_is_told(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str, final_of: FinalOf
) -> None:
    ran: list[str] = []

    @tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        ran.append(city)
        return f"sunny in {city}"

    up.script([Say("", [Call("get_weather", {"city": city}) for city in ("Rome", "Oslo", "Bern")])])
    guard = AgentFuseMiddleware("$0.05", spend_book=False, tool_costs={"get_weather": "$0.02"})
    agent = create_agent(bare_of(vendor, max_tokens=200), [get_weather], middleware=[guard])
    final = await final_of(agent)
    told = [message for message in final["messages"] if message.type == "tool"]
    assert len(ran) == 2
    assert sorted(message.status for message in told) == ["error", "success", "success"]
    (unrun,) = (message.text for message in told if message.status == "error")
    assert "the tool get_weather costs $0.02: it was not run" in unrun
    assert up.calls == 2
    assert guard.fuse.receipt().spent == billed(vendor) + 40_000_000


async def test_a_tool_that_does_not_fit_stops_where_stops_surface(
    bare_of: BareOf, up: Upstream, final_of: FinalOf
) -> None:
    guard = AgentFuseMiddleware(
        "$0.05", spend_book=False, on_stop="raise", tool_costs={"get_weather": "$0.06"}
    )
    agent = create_agent(bare_of("openai", max_tokens=200), [get_weather], middleware=[guard])
    with pytest.raises(BudgetStop, match="the tool get_weather costs") as stop:
        await final_of(agent)
    assert stop.value.receipt.answers == up.calls == 1


async def test_a_tool_whose_own_model_is_stopped_is_told_to_the_agent(
    bare_of: BareOf, up: Upstream, fuse: Fuse, final_of: FinalOf
) -> None:
    poor = AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse.session("expert", SPENT_OUT))

    @tool
    def ask_expert(question: str) -> str:
        """Ask the expert."""
        return poor.invoke(question).text

    up.script([Say("", [Call("ask_expert", {"question": "why?"})])])
    agent = create_agent(
        bare_of("openai", max_tokens=99), [ask_expert], middleware=[AgentFuseMiddleware(fuse=fuse)]
    )
    final = await final_of(agent)
    assert [message.type for message in final["messages"]] == ["human", "ai", "tool", "ai"]
    assert "run 'expert' has" in final["messages"][2].text
    assert up.calls == 2


def test_alerts_are_told_once_on_the_custom_stream(bare_of: BareOf, up: Upstream) -> None:
    guard = AgentFuseMiddleware(
        "$1", spend_book=False, cache=False, tool_costs={"get_weather": "$0.85"}
    )
    agent = create_agent(
        bare_of("openai", max_tokens=200),
        [get_weather],
        middleware=[guard],
        checkpointer=InMemorySaver(),
    )
    config: Any = {"configurable": {"thread_id": "1"}}
    first = list(agent.stream(QUESTION, config, stream_mode="custom"))
    assert [each["agentfuse"]["alert"] for each in first] == ["60%", "80%"]
    assert first[0]["agentfuse"]["used"] == guard.fuse.used()
    assert agent.get_state(config).values["agentfuse"]["alerts"] == ["60%", "80%"]
    again = list(agent.stream({"messages": [("user", "thanks")]}, config, stream_mode="custom"))
    assert again == []
    guard.fuse.record_tool_call("search", "$0.06")
    later = list(agent.stream({"messages": [("user", "bye")]}, config, stream_mode="custom"))
    assert [each["agentfuse"]["alert"] for each in later] == ["90%"]


def test_the_account_cannot_be_written_from_outside(bare_of: BareOf, up: Upstream) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False)
    agent = create_agent(bare_of("openai"), middleware=[guard])
    assert "agentfuse" not in agent.get_input_jsonschema()["properties"]
    assert "agentfuse" in agent.get_output_jsonschema()["properties"]


@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy, lambda kind: kind])
async def test_structured_answers_come_back_as_such(
    bare_of: BareOf, up: Upstream, vendor: str, final_of: FinalOf, strategy: Any
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False)
    agent = create_agent(
        bare_of(vendor, max_tokens=200), middleware=[guard], response_format=strategy(Forecast)
    )
    first = await final_of(agent)
    asked = up.calls
    second = await final_of(agent)
    assert isinstance(first["structured_response"], Forecast)
    assert second["structured_response"] == first["structured_response"]
    assert up.calls == asked == 1
    assert guard.fuse.receipt().exact == 1


def test_the_conversation_is_shortened_near_the_limit(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    long = [("user", "first"), ("ai", "word " * 400), ("user", "second"), ("ai", "fine")]
    asked: Any = {"messages": [*long, ("user", "third")]}
    bodies = []
    for at, spent in ((0.9, "$0.50"), (0.9, "$0.91"), (None, "$0.91")):
        guard = AgentFuseMiddleware("$1", spend_book=False, shorten_at=at)
        guard.fuse.record_tool_call("search", spent)
        agent = create_agent(
            bare_of(vendor, max_tokens=50), system_prompt="Be brief.", middleware=[guard]
        )
        final = agent.invoke(asked)
        assert len(final["messages"]) == 6
        bodies.append(up.requests[-1].body)
    whole, short, unlimited = (str(body) for body in bodies)
    assert whole == unlimited
    assert "word word" in whole
    assert "word word" not in short
    assert all(word in short for word in ("Be brief.", "second", "third"))
    assert "first" not in short


def test_words_that_are_off_are_clear_errors(fuse: Fuse) -> None:
    for words in (
        {"on_stop": "wait"},
        {"shorten_at": 0},
        {"shorten_at": 90},
        {"tool_costs": {"search": "cheap"}},
        {"fuse": fuse, "budget": "$1"},
        {"fuse": "$1"},
        {"no_such_option": 1},
    ):
        with pytest.raises(ConfigurationError):
            AgentFuseMiddleware(**words)


def test_a_models_answer_is_streamed_from_memory_too(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False)
    agent = create_agent(bare_of(vendor, max_tokens=200), [get_weather], middleware=[guard])
    cold, warm = (
        [(type(chunk), chunk.text) for chunk, _ in agent.stream(QUESTION, stream_mode="messages")]
        for _ in range(2)
    )
    assert up.calls == 2
    assert {kind for kind, _ in cold} == {kind for kind, _ in warm}
    assert "".join(text for _, text in cold) == "".join(text for _, text in warm)
    assert len(warm) > 8
