"""A fused agent does on the wire and in its results what the bare one does, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from agentfuse import Fuse
from agentfuse.testing.upstream import Call, Say
from agentfuse_langchain import AgentFuseChatModel
from agentfuse_langchain.answers import MARK

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
    # LangGraph's newest way to stream calls itself experimental.
    pytest.mark.filterwarnings("ignore:The v3 streaming protocol"),
]
BareOf = Callable[..., BaseChatModel]
WAYS = ("invoke", "ainvoke", "stream", "astream", "stream_events", "astream_events")
MODES = ["values", "updates", "messages", "custom", "tasks"]
CONFIG: Any = {
    "configurable": {"thread_id": "1"},
    "tags": ["t"],
    "metadata": {"a": "b"},
}
TURNS = ("What is the weather in Rome and Oslo?", "Thank you, and is it late?")
ROME, OSLO = (
    Call("get_weather", {"city": "Rome"}),
    Call("get_weather", {"city": "Oslo", "days": 2}),
)
LAST = (
    Say("", [Call("get_time", {})]),
    Say("It is sunny in both, at five o'clock: café, naïve, 東京."),
    Say("It is not late at all."),
)
SIDE_BY_SIDE = (Say("Let me see.", [ROME, OSLO]), *LAST)
ONE_BY_ONE = (Say("Let me see.", [ROME]), Say("", [OSLO]), *LAST)

# What is invented anew in every run: ids of runs, messages, answers, tool calls and tasks, the
# provider's clock, and Anthropic's and OpenAI's headers about this very connection.
INVENTED = re.compile(
    r"(?:lc_run-|run-)?-?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-\d+)?"
    r"|(?:call_|toolu_01|chatcmpl-|msg_01|resp_|fc_|msg_|rs_)[0-9a-f]{16,}"
)
PASSING = {"at", "created", "created_at", "completed_at", "timestamp", "host", "date", "aborted"}


@tool
def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather in a city for some days."""
    return f"sunny in {city} for {days}"


@tool
def get_time() -> str:
    """Tell the time."""
    return "five o'clock"


def plain(value: Any) -> Any:
    """Write what LangChain gives as JSON, with the type of each message."""
    if isinstance(value, BaseMessage):
        return {"is": type(value).__name__, **plain(value.model_dump())}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items() if name not in PASSING}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return type(value).__name__


def renumbered(value: Any) -> Any:
    """Number invented ids in order of appearance."""
    ids: dict[str, str] = {}
    text = json.dumps(plain(value), sort_keys=True)
    text = INVENTED.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text)
    return json.loads(text)


def answers_for(way: str) -> tuple[Say, ...]:
    """Give the provider's answers; in streams, events of tools side by side come in any order."""
    return SIDE_BY_SIDE if way.endswith("invoke") else ONE_BY_ONE


async def run(model: BaseChatModel, way: str) -> list[Any]:
    """Have a conversation of two turns, and give all that comes out of it."""
    agent: Any = create_agent(
        model,
        [get_weather, get_time],
        system_prompt="Be brief.",
        checkpointer=InMemorySaver(),
    )
    out: list[Any] = []
    for turn in TURNS:
        asked = {"messages": [{"role": "user", "content": turn}]}
        match way:
            case "invoke":
                out.append(agent.invoke(asked, CONFIG))
            case "ainvoke":
                out.append(await agent.ainvoke(asked, CONFIG))
            case "stream":
                out += agent.stream(asked, CONFIG, stream_mode=MODES)
            case "astream":
                out += [e async for e in agent.astream(asked, CONFIG, stream_mode=MODES)]
            case "stream_events":
                out += agent.stream_events(asked, CONFIG, version="v3")
            case _:
                out += [e async for e in agent.astream_events(asked, CONFIG, version="v2")]
    return out


def wire_of(up: Upstream) -> list[Any]:
    """Give each request with what became of it, in the order of its text."""
    assert up.wait_idle()
    return renumbered([{"request": asdict_of(request)} for request in up.requests])


def asdict_of(request: Any) -> dict[str, Any]:
    fields = {name: getattr(request, name) for name in request.__slots__}
    return {**fields, "billed": asdict(request.billed), "headers": dict(request.headers)}


def marked_as_live(value: Any) -> Any:
    """Take the marks of a hit away."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in {MARK, "total_cost"}}
        return {name: marked_as_live(each) for name, each in kept.items()}
    return [marked_as_live(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(params=["openai", "anthropic", "responses"])
def bare(request: pytest.FixtureRequest, bare_of: BareOf) -> BaseChatModel:
    """A model that asks for its usage on streams itself, so that nothing has to be added."""
    if request.param == "anthropic":
        return bare_of("anthropic", max_tokens=300)
    api = {"use_responses_api": True} if request.param == "responses" else {}
    return bare_of("openai", max_tokens=300, stream_usage=True, **api)


@pytest.mark.parametrize("fused_with", [{}, {"cache": False, "budget": "$1000"}])
@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_does_as_the_bare_one(
    bare: BaseChatModel, up: Upstream, way: str, fused_with: dict[str, Any]
) -> None:
    answers = answers_for(way)
    up.script(answers)
    wanted_out, wanted_wire = await run(bare, way), wire_of(up)
    up.reset()
    up.script(answers)
    fuse = Fuse(**fused_with, spend_book=False)
    out, wire = await run(AgentFuseChatModel(inner=bare, fuse=fuse), way), wire_of(up)
    assert wire == wanted_wire
    assert renumbered(out) == renumbered(wanted_out)
    assert len(wire) == len(answers)
    receipt = fuse.receipt()
    assert (receipt.answers, receipt.exact, receipt.estimated) == (len(answers), 0, 0)
    assert fuse.open_leases() == ()


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_run_needs_no_provider_and_says_the_same(
    bare: BaseChatModel, up: Upstream, fuse: Fuse, way: str
) -> None:
    model = AgentFuseChatModel(inner=bare, fuse=fuse)
    answers = answers_for(way)
    up.script(answers)
    first = await run(model, way)
    asked = up.calls
    second = await run(model, way)
    assert up.calls == asked == len(answers)
    assert fuse.receipt().exact == len(answers)
    assert kinds_of(second) == kinds_of(first)
    assert said_in(second) == said_in(first)


def kinds_of(out: list[Any]) -> list[Any]:
    """Name what came, in its order; how many chunks a text is cut into is nobody's promise."""
    kinds = [kind_of(each) for each in out]
    return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]


def kind_of(event: Any) -> Any:
    if isinstance(event, tuple):  # (mode, what it says)
        mode, said = event
        node = said[1]["langgraph_node"] if mode == "messages" else sorted(said)
        return (mode, type(said[0]).__name__ if mode == "messages" else "", node)
    if "event" in event:
        return (event["event"], event["name"])
    return (event.get("method", ""), *sorted(event)) if "method" in event else sorted(event)


def said_in(out: list[Any]) -> str:
    """Join all that the models and the tools said at the end."""
    final = next(filter(None, map(messages_in, reversed(out))))
    return "\n".join(f"{message.type}: {message.text}" for message in final)


def messages_in(event: Any) -> Any:
    match event:
        case (
            ("values", {"messages": messages})
            | {"method": "values", "params": {"data": {"messages": messages}}}
            | {"event": "on_chain_end", "data": {"output": {"messages": messages}}}
            | {"messages": messages}
        ):
            return messages
        case _:
            return None
