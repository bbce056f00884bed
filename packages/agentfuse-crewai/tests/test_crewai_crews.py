"""Real crews, wrapped: on the wire they are the bare ones, and their budget holds."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.agent.planning_config import PlanningConfig
from crewai.events import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent
from crewai.flow import Flow, listen, start
from crewai.hooks import HookAborted
from pydantic import BaseModel

from agentfuse import Fuse
from agentfuse.money import budget_of
from agentfuse_crewai import AgentFuseLLM, BudgetStop, partial_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.testing import Upstream

    BareOf = Callable[..., Any]
    Billed = Callable[..., int]
    CrewOf = Callable[..., Crew]

TOPIC = {"topic": "electricity"}
# CrewAI names its tools' calls anew in each run where a provider's stream leaves that to it, and
# writes no two runs' time alike.
WAYS = ("kickoff", "streamed", "awaited", "threaded")


async def awaited(crew: Crew) -> Any:
    return await crew.akickoff(inputs=TOPIC)


async def threaded(crew: Crew) -> Any:
    return await crew.kickoff_async(inputs=TOPIC)


def run(crew: Crew, way: str) -> str:
    match way:
        case "kickoff":
            return crew.kickoff(inputs=TOPIC).raw
        case "streamed":
            crew.stream = True
            streaming = crew.kickoff(inputs=TOPIC)
            assert "".join(chunk.content for chunk in streaming)
            return streaming.result.raw
        case "awaited":
            return asyncio.run(awaited(crew)).raw
        case _:
            return asyncio.run(threaded(crew)).raw


def sent_to(up: Upstream) -> list[Any]:
    """What was sent: each request's path and body, tool calls' ids numbered as they came up."""
    ids: dict[str, str] = {}

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: numbered(v) for k, v in value.items()}
        if isinstance(value, list):
            return [numbered(each) for each in value]
        if isinstance(value, str) and re.fullmatch(r"(call|toolu|fc)_\w+", value):
            return ids.setdefault(value, f"id {len(ids)}")
        return value

    return [(request.path, request.model, numbered(dict(request.body))) for request in up.requests]


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_an_unlimited_crew_is_the_bare_one(
    bare_of: BareOf,
    crew_of: CrewOf,
    up: Upstream,
    billed: Billed,
    *,
    vendor: str,
    way: str,
    cache: bool,
) -> None:
    wanted = run(crew_of(bare_of(vendor)), way)
    bare = sent_to(up)
    up.reset()
    fuse = Fuse(cache=cache, spend_book=False)
    assert run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), way) == wanted
    ours = sent_to(up)
    assert len(ours) == len(bare) > 2
    for mine, theirs in zip(ours, bare, strict=True):
        assert mine == theirs
    assert fuse.receipt().spent == billed(up, vendor) > 0
    assert fuse.receipt().estimated == 0


@pytest.mark.parametrize("way", WAYS)
def test_the_second_run_asks_nobody(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, vendor: str, way: str
) -> None:
    fuse = Fuse(spend_book=False)
    first = run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), way)
    asked, spent = up.calls, fuse.receipt().spent
    assert run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), way) == first
    assert up.calls == asked
    assert fuse.receipt().spent == spent
    assert fuse.receipt().exact == asked


def test_a_streamed_run_is_served_to_a_whole_one(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse(spend_book=False)
    first = run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), "streamed")
    asked = up.calls
    assert run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), "kickoff") == first
    assert run(crew_of(AgentFuseLLM(bare_of(vendor), fuse=fuse)), "streamed") == first
    assert up.calls == asked


@pytest.mark.parametrize("way", WAYS)
def test_a_small_budget_stops_a_crew_before_the_call_that_would_pass_it(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed, way: str
) -> None:
    whole = Fuse(spend_book=False, cache=False)
    llm = bare_of(max_tokens=100)
    run(crew_of(AgentFuseLLM(llm, fuse=whole)), way)
    calls = up.calls
    up.reset()
    fuse = Fuse(whole.receipt().spent_usd * 9 / 10, spend_book=False, cache=False)
    crew = crew_of(AgentFuseLLM(llm, fuse=fuse))
    with pytest.raises(BudgetStop) as stop:
        run(crew, way)
    assert 0 < up.calls < calls
    receipt = stop.value.receipt
    assert receipt.spent == fuse.receipt().spent == billed(up) <= budget_of(receipt.budget_usd)
    assert receipt.refusals == 1
    assert fuse.open_leases() == ()
    assert stop.value.refusal.left < stop.value.refusal.needed
    assert isinstance(stop.value, HookAborted)
    done = [task.output.raw for task in crew.tasks if task.output]
    assert [output.raw for output in stop.value.partial_output.tasks_output] == done
    assert stop.value.results


def test_the_stop_carries_the_finished_tasks(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream
) -> None:
    fuse = Fuse("$1", spend_book=False)
    writer = AgentFuseLLM(bare_of(), fuse=Fuse("$0.0000001", spend_book=False))
    crew = crew_of(AgentFuseLLM(bare_of(), fuse=fuse), writers=writer)
    with pytest.raises(BudgetStop) as stop:
        crew.kickoff(inputs=TOPIC)
    output = stop.value.partial_output
    assert output.raw == crew.tasks[0].output.raw != ""
    assert len(output.tasks_output) == 1
    assert output.token_usage.successful_requests > 0
    assert partial_output(crew) == output


def test_a_crew_that_has_done_nothing_has_an_empty_output(bare_of: BareOf, crew_of: CrewOf) -> None:
    output = partial_output(crew_of(bare_of()))
    assert output.raw == ""
    assert output.tasks_output == []


def test_a_stopped_crew_stays_stopped_until_it_is_topped_up(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream
) -> None:
    llm = AgentFuseLLM(bare_of(), budget="$0.0000001", spend_book=False)
    crew = crew_of(llm)
    for _ in range(2):
        with pytest.raises(BudgetStop):
            crew.kickoff(inputs=TOPIC)
    assert up.calls == 0
    llm.fuse.top_up("$1")
    assert crew.kickoff(inputs=TOPIC).raw


def test_a_downgrade_is_seen_on_the_wire_mid_run(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", up.anthropic_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-upstream")
    fuse = Fuse("$1", downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"}, spend_book=False)
    crew = crew_of(AgentFuseLLM(bare_of(max_tokens=300), fuse=fuse))
    crew.tasks[0].callback = lambda _: fuse.record_tool_call("search", "$0.85")
    assert crew.kickoff(inputs=TOPIC).raw
    models = [request.model for request in up.requests]
    assert models[0] == "gpt-4o"
    assert models[-1] == "claude-haiku-4-5"
    assert up.requests[-1].body["max_tokens"] == 300
    assert fuse.receipt().downgrades >= 1


def test_tools_go_on_after_a_downgrade_to_another_provider(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", up.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    fuse = Fuse("$1", downgrade={"claude-sonnet-4-6": "openai/gpt-4o-mini"}, spend_book=False)
    crew = crew_of(AgentFuseLLM(bare_of("anthropic"), fuse=fuse))
    fuse.record_tool_call("search", "$0.85")
    assert crew.kickoff(inputs=TOPIC).raw
    assert {
        request.model for request in up.requests if request.api != "anthropic.count_tokens"
    } == {"gpt-4o-mini"}
    assert any(request.finish == "tool_calls" for request in up.requests)


def test_a_hierarchical_crew_is_held(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    fuse = Fuse("$1", cache=False, spend_book=False)
    llm = AgentFuseLLM(bare_of(), fuse=fuse)

    def managed() -> Crew:
        crew = crew_of(llm, process=Process.hierarchical, manager_llm=llm)
        for task in crew.tasks:
            task.agent = None
        return crew

    assert managed().kickoff(inputs=TOPIC).raw
    assert fuse.receipt().spent == billed(up) > 0
    fuse.allow("$0.0000001")
    with pytest.raises(BudgetStop):
        managed().kickoff(inputs=TOPIC)


def test_crews_for_each_input_share_one_budget(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    fuse = Fuse("$1", cache=False, spend_book=False)
    crew = crew_of(AgentFuseLLM(bare_of(), fuse=fuse))
    outputs = crew.kickoff_for_each(inputs=[{"topic": name} for name in ("air", "fire")])
    again = asyncio.run(all_awaited(crew, ["earth", "water"]))
    assert len({output.raw for output in [*outputs, *again]}) == 4
    assert fuse.receipt().spent == billed(up)
    assert fuse.receipt().answers == up.calls


async def all_awaited(crew: Crew, names: list[str]) -> list[Any]:
    return await crew.kickoff_for_each_async(inputs=[{"topic": name} for name in names])


class Verdict(BaseModel):
    """What was found."""

    word: str
    letters: int


def test_a_pydantic_output_is_remembered_as_one(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    fuse = Fuse("$1", spend_book=False)

    def kick() -> Any:
        llm = AgentFuseLLM(bare_of(vendor), fuse=fuse)
        agent = Agent(role="Judge", goal="Judge", backstory="Fair", llm=llm)
        task = Task(
            description="Judge the word 'fuse' with 4 letters.",
            expected_output="a verdict",
            agent=agent,
            output_pydantic=Verdict,
        )
        return Crew(agents=[agent], tasks=[task]).kickoff().pydantic

    first = kick()
    asked = up.calls
    assert isinstance(first, Verdict)
    assert kick() == first
    assert up.calls == asked


def test_a_flow_is_held(bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed) -> None:
    fuse = Fuse("$1", cache=False, spend_book=False)
    llm = AgentFuseLLM(bare_of(), fuse=fuse)

    class Studio(Flow):
        @start()
        def ask(self) -> str:
            return llm.call("What is a fuse?")

        @listen(ask)
        def crew(self, _: str) -> str:
            return crew_of(llm).kickoff(inputs=TOPIC).raw

    assert Studio().kickoff()
    assert fuse.receipt().spent == billed(up) > 0
    fuse.allow(fuse.receipt().spent_usd)
    with pytest.raises(BudgetStop):
        Studio().kickoff()


def test_a_plan_that_is_never_good_enough_is_ended_by_the_budget(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    fuse = Fuse("$0.01", cache=False, spend_book=False)
    llm = AgentFuseLLM(bare_of(max_tokens=60), fuse=fuse)
    agent = Agent(
        role="Planner", goal="Plan", backstory="Slow", llm=llm, planning_config=PlanningConfig()
    )
    task = Task(description="Plan a party.", expected_output="a plan", agent=agent)
    with pytest.raises(BudgetStop) as stop:
        Crew(agents=[agent], tasks=[task]).kickoff()
    assert up.calls > 3
    assert stop.value.receipt.spent == billed(up) <= budget_of("$0.01")


def test_listeners_hear_of_every_call_on_a_hit(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream
) -> None:
    fuse = Fuse(spend_book=False)
    heard: list[Any] = []
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(LLMCallCompletedEvent)
        def hear(source: Any, event: LLMCallCompletedEvent) -> None:
            heard.append((event.model, event.call_type, event.finish_reason, event.usage))

        crew_of(AgentFuseLLM(bare_of(), fuse=fuse)).kickoff(inputs=TOPIC)
        crewai_event_bus.flush()
        live, heard = heard, []
        crew_of(AgentFuseLLM(bare_of(), fuse=fuse)).kickoff(inputs=TOPIC)
        crewai_event_bus.flush()
    assert [each[:3] for each in heard] == [each[:3] for each in live]
    assert all(each[3]["total_tokens"] == 0 for each in heard)
