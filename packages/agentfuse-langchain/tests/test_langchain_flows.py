"""LangChain's own middlewares over fused models: each does as ever, and all it asks is booked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
    dynamic_prompt,
)
from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentfuse import Fuse
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel, AgentFuseMiddleware, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

BareOf = Callable[..., BaseChatModel]
Billed = Callable[[str], int]
Flow = Callable[[BaseChatModel], list[Any]]
ROME, OSLO = (Say("", [Call("get_weather", {"city": city})]) for city in ("Rome", "Oslo"))
LONG: Any = {
    "messages": [
        ("user", "first " * 40),
        ("ai", "fine " * 40),
        ("user", "second " * 40),
        ("ai", "good " * 40),
        ("user", "What is the weather? Write to ann@example.org."),
    ]
}


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city} " * 5


@tool
def get_time() -> str:
    """Tell the time."""
    return "five o'clock"


@dynamic_prompt
def prompt_for(request: Any) -> str:
    return f"There are {len(request.messages)} messages."


def summing_up(model: BaseChatModel) -> SummarizationMiddleware:
    return SummarizationMiddleware(model, trigger=("messages", 4), keep=("messages", 2))


class Colder(AgentMiddleware):
    """Asks with settings of its own."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(request.override(model_settings={"temperature": 0.1}))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(request.override(model_settings={"temperature": 0.1}))


FLOWS: dict[str, tuple[Flow, list[Say]]] = {
    "summarization": (
        lambda model: [summing_up(model)],
        [Say("They talked."), ROME, Say("Sunny.")],
    ),
    "context editing": (
        lambda _: [ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=20, keep=1)])],
        [ROME, OSLO, Say("Sunny.")],
    ),
    "tool selection": (
        lambda model: [LLMToolSelectorMiddleware(model=model, max_tools=1)],
        [],  # what the provider makes up by itself fits
    ),
    "tool emulation": (
        lambda model: [LLMToolEmulator(tools=["get_weather"], model=model)],
        [ROME, Say("It rains in Rome."), Say("Rain.")],
    ),
    "call limit": (lambda _: [ModelCallLimitMiddleware(run_limit=2)], [ROME, OSLO, Say("Sunny.")]),
    "tool limit": (
        lambda _: [ToolCallLimitMiddleware(run_limit=1)],
        [ROME, OSLO, Say("Sunny.")],
    ),
    "privacy": (lambda _: [PIIMiddleware("email", apply_to_output=True)], [ROME, Say("a@b.org!")]),
    "retries": (
        lambda _: [ModelRetryMiddleware(initial_delay=0.0), ToolRetryMiddleware()],
        [ROME, Say("Sunny.")],
    ),
    "todos": (
        lambda _: [TodoListMiddleware()],
        [
            Say("", [Call("write_todos", {"todos": [{"content": "a", "status": "pending"}]})]),
            Say("Done."),
        ],
    ),
    "prompt": (lambda _: [prompt_for], [ROME, Say("Sunny.")]),
    "settings": (lambda _: [Colder()], [ROME, Say("Sunny.")]),
}


@pytest.fixture(params=FLOWS)
def flow(request: pytest.FixtureRequest) -> tuple[Flow, list[Say]]:
    return FLOWS[request.param]


def gist(state: Any) -> list[tuple[str, str, int]]:
    return [
        (message.type, message.text, len(getattr(message, "tool_calls", [])))
        for message in state["messages"]
    ]


def bodies(up: Upstream) -> str:
    """Give what was asked, but for the ids of tool calls, which are new in each run."""
    assert up.wait_idle()
    text = repr([request.body for request in up.requests])
    ids = [call for request in up.requests for call in called_in(request.body["messages"])]
    for number, call_id in enumerate(dict.fromkeys(ids)):
        text = text.replace(call_id, f"call {number}")
    return text


def called_in(messages: Any) -> Any:
    for message in messages:
        yield from (call["id"] for call in message.get("tool_calls") or ())
        if isinstance(message["content"], list):
            calls = (block for block in message["content"] if block["type"] == "tool_use")
            yield from (block["id"] for block in calls)


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_flow_does_as_over_the_bare_model(
    bare_of: BareOf,
    up: Upstream,
    billed: Billed,
    vendor: str,
    flow: tuple[Flow, list[Say]],
    guarded: bool,
) -> None:
    middlewares, script = flow
    bare = bare_of(vendor, max_tokens=300)
    fuse = Fuse("$10", cache=False, spend_book=False)
    fused = AgentFuseChatModel(inner=bare, fuse=fuse)
    guard = [AgentFuseMiddleware(fuse=fuse)] if guarded else []
    runs = []
    for model, more in ((bare, []), (fused, guard)):
        up.reset()
        up.script(script)
        chain = [*middlewares(model), *more]
        agent = create_agent(model, [get_weather, get_time], middleware=chain)
        said = [gist(agent.invoke(LONG))]
        up.script(script)
        runs.append((*said, gist(await agent.ainvoke(LONG)), bodies(up)))
    assert runs[1] == runs[0]
    assert fuse.receipt().answers == up.calls
    assert fuse.receipt().spent == billed(vendor) > 0
    assert (fuse.receipt().estimated, fuse.open_leases()) == (0, ())


def test_a_flow_repeated_is_free(
    bare_of: BareOf, up: Upstream, fuse: Fuse, vendor: str, flow: tuple[Flow, list[Say]]
) -> None:
    middlewares, script = flow
    model = AgentFuseChatModel(inner=bare_of(vendor, max_tokens=300), fuse=fuse)
    agent = create_agent(model, [get_weather, get_time], middleware=middlewares(model))
    up.script(script)
    first = gist(agent.invoke(LONG))
    asked = up.calls
    assert gist(agent.invoke(LONG)) == first
    assert up.calls == asked


def test_a_stop_while_summarising_surfaces(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    fuse = Fuse("$0.0000001", spend_book=False)
    model = AgentFuseChatModel(inner=bare_of(vendor), fuse=fuse)
    chain = [summing_up(model), AgentFuseMiddleware(fuse=fuse)]
    agent = create_agent(model, [], middleware=chain)
    with pytest.raises(BudgetStop):
        agent.invoke(LONG)
    assert up.calls == 0


def test_a_fallback_model_is_fused_by_a_middleware_listed_last(
    bare_of: BareOf, up: Upstream
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False)
    spare = bare_of("anthropic", max_tokens=100)
    up.fail(500)
    agent = create_agent(
        bare_of("openai", max_retries=0),
        middleware=[ModelFallbackMiddleware(spare), guard],
    )
    assert agent.invoke(LONG)["messages"][-1].text
    receipt = guard.fuse.receipt()
    assert (receipt.failures, receipt.answers) == (1, 1)
    assert [spend.model for spend in receipt.models if spend.calls] == ["claude-sonnet-4-6"]


def test_a_person_may_decide_between_two_calls(
    bare_of: BareOf, up: Upstream, billed: Billed, vendor: str
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, tool_costs={"get_weather": "$0.01"})
    agent: Any = create_agent(
        bare_of(vendor, max_tokens=200),
        [get_weather],
        middleware=[HumanInTheLoopMiddleware({"get_weather": True}), guard],
        checkpointer=InMemorySaver(),
    )
    config = {"configurable": {"thread_id": "1"}}
    up.script([ROME, Say("Sunny.")])
    asked = agent.invoke(LONG, config)
    assert asked["__interrupt__"]
    assert guard.fuse.receipt().tool_calls == 0
    final = agent.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
    assert final["messages"][-1].text == "Sunny."
    receipt = guard.fuse.receipt()
    assert (receipt.answers, receipt.tool_calls) == (up.calls, 1)
    assert receipt.spent == billed(vendor) + 10_000_000


def test_anthropics_prompt_caching_reaches_the_wire_and_the_bill(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    guard = AgentFuseMiddleware("$1", spend_book=False, cache=False)
    agent = create_agent(
        bare_of("anthropic", max_tokens=50),
        system_prompt="Be brief. " * 800,
        middleware=[AnthropicPromptCachingMiddleware(), guard],
    )
    for _ in range(2):
        agent.invoke(LONG)
    assert "cache_control" in str(up.requests[0].body)
    assert up.usage_served().cache_read_tokens > 0
    assert guard.fuse.receipt().spent == billed("anthropic")
