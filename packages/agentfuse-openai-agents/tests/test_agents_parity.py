"""Whole runs, bare and fused: the same requests on the wire, the same results, the same events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    Model,
    ModelSettings,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_provider import OpenAIProvider
from agents.models.openai_responses import OpenAIResponsesModel
from openai import AsyncOpenAI
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse_openai_agents import AgentFuseModel, AgentFuseModelProvider

CLASSES = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}
SHAPES = ("sync", "async", "streamed")
# When it was made, which differs between any two runs.
CLOCKS = frozenset({"created_at", "completed_at"})
# Where it went, which differs between two providers.
PLACES = frozenset({"host"})


class Trip(BaseModel):
    """A trip."""

    city: str
    nights: int


@function_tool
def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city} for {days} days"


@function_tool
def find_hotel(city: str) -> str:
    """Find a hotel in a city."""
    return f"Hotel {city}"


@input_guardrail
async def is_polite(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="polite", tripwire_triggered=False)


@output_guardrail
async def is_short(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="short", tripwire_triggered=False)


def triage_of(model: Any) -> Agent:
    """Two tools at once, a handoff, a tool of the other agent's, and an answer."""
    booker = Agent(
        name="booker",
        handoff_description="Books hotels.",
        instructions="Book.",
        model=model,
        tools=[find_hotel],
        output_guardrails=[is_short],
    )
    return Agent(
        name="triage",
        instructions="Plan trips.",
        model=model,
        tools=[get_weather, find_hotel],
        handoffs=[booker],
        input_guardrails=[is_polite],
        model_settings=ModelSettings(temperature=0.2, max_tokens=400, parallel_tool_calls=True),
    )


def planner_of(model: Any) -> Agent:
    """One typed answer, with a tool before it."""
    return Agent(name="planner", model=model, tools=[get_weather], output_type=Trip)


TRIAGE = (
    Say(
        "Let me see.",
        [Call("get_weather", {"city": "Rome", "days": 3}), Call("find_hotel", {"city": "Rome"})],
    ),
    Say("", [Call("transfer_to_booker", {})]),
    Say("", [Call("find_hotel", {"city": "Rome"})], reasoning="A hotel is needed first."),
    Say("It is booked: Hotel Rome, three sunny days."),
)
PLAN = (
    Say("", [Call("get_weather", {"city": "Oslo"})]),
    Say('{"city": "Oslo", "nights": 2}'),
)
CHAT = (Say("Hello Ann."), Say("You are Ann."))


@dataclass(frozen=True)
class Flow:
    """Questions to an agent, one after the other, and what the provider says to them."""

    agent_of: Callable[[Any], Agent]
    script: tuple[Say, ...]
    questions: tuple[str, ...] = ("Plan a trip to 'Rome', please.",)
    remembers: bool = False


FLOWS = {
    "tools and a handoff": Flow(triage_of, TRIAGE),
    "typed output": Flow(planner_of, PLAN),
    "a session": Flow(
        lambda model: Agent(name="chat", model=model), CHAT, ("I am Ann.", "Who am I?"), True
    ),
}


@dataclass
class Trail:
    """What a run left: on the wire, and with its caller."""

    wire: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def note(self, result: Any) -> None:
        self.results.append(
            {
                "final": result.final_output,
                "agent": result.last_agent.name,
                "items": [(type(item).__name__, plain(item.raw_item)) for item in result.new_items],
                "input": plain(result.to_input_list()),
                "responses": [plain(response) for response in result.raw_responses],
                "usage": plain(result.context_wrapper.usage),
                "guardrails": [
                    each.output.output_info
                    for each in (*result.input_guardrail_results, *result.output_guardrail_results)
                ],
            }
        )

    @property
    def kinds(self) -> list[str]:
        """The types of the events, each run of equal ones as one."""
        kinds = [kind for kind, _ in self.events]
        return [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]


def plain(value: Any) -> Any:
    """Give a value as JSON, but for clocks."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    elif hasattr(value, "__dataclass_fields__"):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in CLOCKS}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def settled(event: Any) -> Any:
    """Drop what the SDK goes on writing into an event after it was given out: chat's thinking."""
    if event["type"] == "response.output_item.added" and event["item"]["type"] == "reasoning":
        event["item"]["summary"] = None
    return event


def same_wire(request: Any) -> Any:
    headers = {name: each for name, each in request.headers.items() if name not in PLACES}
    return request.path, headers, request.body


async def run(shape: str, agent: Agent, question: str, trail: Trail, **words: Any) -> None:
    if shape == "streamed":
        result = Runner.run_streamed(agent, question, **words)
        async for event in result.stream_events():
            if event.type == "raw_response_event":
                trail.events.append((event.data.type, settled(plain(event.data))))
            else:
                trail.events.append((getattr(event, "name", event.type), None))
    elif shape == "sync":
        result = await off_the_loop(lambda: Runner.run_sync(agent, question, **words))
    else:
        result = await Runner.run(agent, question, **words)
    trail.note(result)


async def off_the_loop(blocking: Callable[[], Any]) -> Any:
    """Call what must not find a loop, in a thread with a loop that is closed again."""

    def call() -> Any:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return blocking()
        finally:
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            loop.close()

    return await asyncio.to_thread(call)


async def follow(flow: Flow, shape: str, model: Any, up: Upstream, **words: Any) -> Trail:
    """Go through a flow, and note what it left."""
    trail = Trail()
    up.script(flow.script)
    before = up.calls
    session = SQLiteSession("one") if flow.remembers else None
    for question in flow.questions:
        await run(shape, flow.agent_of(model), question, trail, session=session, **words)
    if session is not None:
        session.close()
    trail.wire = [same_wire(request) for request in up.requests[before:]]
    return trail


@asynccontextmanager
async def speaking(api: str) -> AsyncIterator[tuple[Upstream, Model]]:
    """Start a provider of our own, whose ids begin anew, and a bare model that speaks to it."""
    with Upstream() as up:
        alone = {"Connection": "close"}
        client = AsyncOpenAI(
            api_key="sk-upstream", base_url=up.openai_url, max_retries=0, default_headers=alone
        )
        async with client:
            yield up, CLASSES[api]("gpt-4o", client)


def asked_for_usage(trail: Trail) -> Trail:
    """Take what is added to a chat stream off the wire again: its usage, and nothing else."""
    for _, headers, body in trail.wire:
        assert body.pop("stream_options") == {"include_usage": True}
        headers.pop("content-length")
    return trail


@pytest.fixture(params=FLOWS)
def flow(request: pytest.FixtureRequest) -> Flow:
    return FLOWS[request.param]


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("cache", [False, True], ids=["without a cache", "with a cache"])
async def test_a_fused_run_is_the_bare_run(
    flow: Flow, shape: str, api: str, *, cache: bool
) -> None:
    async with speaking(api) as (up, bare):
        wanted = await follow(flow, shape, bare, up)
    async with speaking(api) as (up, bare):
        fuse = Fuse(cache=cache, spend_book=False)
        given = await follow(flow, shape, AgentFuseModel(bare, fuse=fuse), up)
    if api == "chat" and shape == "streamed":
        given = asked_for_usage(given)
        for _, headers, _ in wanted.wire:
            headers.pop("content-length")
    assert given.wire == wanted.wire
    assert given.results == wanted.results
    assert given.events == wanted.events
    assert len(given.wire) == len(flow.script)
    assert fuse.receipt().answers == len(flow.script)
    assert fuse.receipt().exact == 0


async def test_a_fused_provider_gives_the_bare_run(shape: str, api: str) -> None:
    flow = FLOWS["tools and a handoff"]
    trails = []
    for fused in (False, True):
        async with speaking(api) as (up, bare):
            inner = OpenAIProvider(openai_client=bare._client, use_responses=api == "responses")
            provider = AgentFuseModelProvider(inner, "$1", spend_book=False) if fused else inner
            config = RunConfig(model_provider=provider, tracing_disabled=True)
            trails.append(await follow(flow, shape, "gpt-4o", up, run_config=config))
    wanted, given = trails
    if api == "chat" and shape == "streamed":
        given = asked_for_usage(given)
        for _, headers, _ in wanted.wire:
            headers.pop("content-length")
    assert given.wire == wanted.wire
    assert given.results == wanted.results
    assert given.events == wanted.events


async def test_a_repeated_run_asks_nobody(flow: Flow, shape: str, api: str) -> None:
    async with speaking(api) as (up, bare):
        fuse = Fuse("$1", spend_book=False)
        first = await follow(flow, shape, AgentFuseModel(bare, fuse=fuse), up)
        up.reset()
        again = await follow(flow, shape, AgentFuseModel(bare, fuse=fuse), up)
        assert up.calls == 0
    for one, other in zip(first.results, again.results, strict=True):
        for name in ("final", "agent", "items", "input", "guardrails"):
            assert other[name] == one[name], name
        said = [response["output"] for response in one["responses"]]
        assert [response["output"] for response in other["responses"]] == said
        ids = [response["response_id"] for response in one["responses"]]
        assert [response["response_id"] for response in other["responses"]] == ids
        assert other["usage"]["requests"] == other["usage"]["total_tokens"] == 0
    assert again.kinds == first.kinds
    receipt = fuse.receipt()
    assert receipt.exact == len(flow.script)
    assert receipt.saved == receipt.spent > 0


async def test_what_was_streamed_is_remembered_for_plain_runs_and_back(
    flow: Flow, api: str
) -> None:
    async with speaking(api) as (up, bare):
        for one, other in (("async", "streamed"), ("streamed", "async")):
            fuse = Fuse("$1", spend_book=False)
            first = await follow(flow, one, AgentFuseModel(bare, fuse=fuse), up)
            up.reset()
            again = await follow(flow, other, AgentFuseModel(bare, fuse=fuse), up)
            assert up.calls == 0
            for left, right in zip(first.results, again.results, strict=True):
                assert right["final"] == left["final"]
