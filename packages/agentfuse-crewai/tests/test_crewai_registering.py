"""A whole crew under one fuse with one line, and out of it again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.tasks.llm_guardrail import LLMGuardrail
from crewai.tools import tool

from agentfuse import ConfigurationError, Fuse
from agentfuse_crewai import (
    AgentFuseLLM,
    BudgetStop,
    register_agentfuse,
    unregister_agentfuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.testing import Upstream

    BareOf = Callable[..., Any]
    Billed = Callable[..., int]
    CrewOf = Callable[..., Crew]

TOPIC = {"topic": "electricity"}


def test_a_registered_crew_is_held_and_remembered(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    llm = bare_of()
    crew = crew_of(llm)
    fuse = register_agentfuse(crew, "$1", spend_book=False)
    assert crew.agents[0].llm is crew.agents[1].llm
    first = crew.kickoff(inputs=TOPIC).raw
    assert fuse.receipt().spent == billed(up) > 0
    asked = up.calls
    again = crew_of(bare_of())
    assert register_agentfuse(again, fuse=fuse) is fuse
    assert again.kickoff(inputs=TOPIC).raw == first
    assert up.calls == asked


def test_registering_twice_is_registering_once(bare_of: BareOf, crew_of: CrewOf) -> None:
    crew = crew_of(bare_of())
    fuse = register_agentfuse(crew, "$1", spend_book=False)
    assert register_agentfuse(crew) is fuse
    assert register_agentfuse(crew, fuse=fuse) is fuse
    with pytest.raises(ConfigurationError, match="under a fuse already"):
        register_agentfuse(crew, "$2")


def test_unregistering_puts_the_users_llms_back(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream
) -> None:
    llm, other = bare_of(), bare_of()
    crew = crew_of(llm, writers=other)
    fuse = register_agentfuse(crew, "$0.0000001", spend_book=False)
    with pytest.raises(BudgetStop) as stop:
        crew.kickoff(inputs=TOPIC)
    assert stop.value.crew is crew
    unregister_agentfuse(crew)
    assert [agent.llm for agent in crew.agents] == [llm, other]
    assert crew.agents[0].llm is llm
    assert crew.kickoff(inputs=TOPIC).raw
    assert fuse.receipt().answers == 0


def test_an_llm_with_its_own_fuse_keeps_it(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    own = AgentFuseLLM(bare_of(), budget="$1", spend_book=False)
    crew = crew_of(bare_of(), writers=own)
    fuse = register_agentfuse(crew, "$1", spend_book=False)
    crew.kickoff(inputs=TOPIC)
    assert crew.agents[1].llm is own
    assert own.fuse.receipt().spent + fuse.receipt().spent == billed(up)
    assert own.fuse.receipt().spent > 0
    with pytest.raises(ConfigurationError, match="fuse of its own"):
        register_agentfuse(crew_of(own), "$1")


def test_what_comes_up_while_it_runs_is_held_by_a_hook(
    bare_of: BareOf, up: Upstream, billed: Billed
) -> None:
    expert = bare_of()

    @tool("ask_expert")
    def ask_expert(question: str) -> str:
        """Ask the expert."""
        return expert.call(f"Expert, {question}")

    agent = Agent(role="Clerk", goal="Ask", backstory="Asks", llm=bare_of(), tools=[ask_expert])
    task = Task(
        description="ask_expert 'what is a fuse'",
        expected_output="an answer",
        agent=agent,
        guardrail=LLMGuardrail(description="is polite", llm=bare_of()),
        guardrail_max_retries=0,
    )
    crew = Crew(agents=[agent], tasks=[task])
    fuse = register_agentfuse(crew, "$5", spend_book=False)
    with suppress(Exception):  # what the simulated guardrail says is no verdict
        crew.kickoff()
    assert up.calls >= 4
    assert fuse.receipt().spent == billed(up)
    asked = up.calls
    expert.call("nobody pays for this one")
    assert fuse.receipt().answers == asked == up.calls - 1


def test_a_managers_llm_given_by_name_is_held(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", up.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    crew = crew_of(bare_of(), process=Process.hierarchical, manager_llm="gpt-4o-mini")
    for task in crew.tasks:
        task.agent = None
    fuse = register_agentfuse(crew, "$1", spend_book=False)
    assert crew.kickoff(inputs=TOPIC).raw
    assert {request.model for request in up.requests} >= {"gpt-4o-mini"}
    assert fuse.receipt().spent == billed(up)


def test_a_planner_is_held(bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed) -> None:
    planner = bare_of(model="gpt-4o-mini")
    crew = crew_of(bare_of(), planning=True, planning_llm=planner)
    fuse = register_agentfuse(crew, "$1", spend_book=False)
    crew.kickoff(inputs=TOPIC)
    assert "gpt-4o-mini" in {request.model for request in up.requests}
    assert fuse.receipt().spent == billed(up)


def test_crews_for_each_input_are_held(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    crew = crew_of(bare_of())
    fuse = register_agentfuse(crew, "$1", cache=False, spend_book=False)
    crew.kickoff_for_each(inputs=[{"topic": "air"}, {"topic": "fire"}])
    asyncio.run(crew.kickoff_for_each_async(inputs=[{"topic": "water"}, {"topic": "earth"}]))
    assert fuse.receipt().answers == up.calls
    assert fuse.receipt().spent == billed(up)


def test_the_memorys_llm_is_held(bare_of: BareOf, up: Upstream, billed: Billed) -> None:
    from crewai.memory.unified_memory import Memory

    def embed(texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0] for text in texts]

    agent = Agent(role="Clerk", goal="Remember", backstory="Remembers", llm=bare_of())
    task = Task(description="Remember the fuse.", expected_output="a note", agent=agent)
    memory = Memory(llm=bare_of(model="gpt-4o-mini"), embedder=embed)
    crew = Crew(agents=[agent], tasks=[task], memory=memory)
    fuse = register_agentfuse(crew, "$5", spend_book=False)
    crew.kickoff()
    memory.close()
    assert "gpt-4o-mini" in {request.model for request in up.requests}
    assert fuse.receipt().spent == billed(up)


def test_one_fuse_holds_crews_side_by_side(
    bare_of: BareOf, crew_of: CrewOf, up: Upstream, billed: Billed
) -> None:
    first, second = crew_of(bare_of()), crew_of(bare_of())
    fuse = Fuse("$1", spend_book=False)
    register_agentfuse(first, fuse=fuse)
    other = register_agentfuse(second, "$1", spend_book=False)
    first.kickoff(inputs=TOPIC)
    second.kickoff(inputs=TOPIC)
    assert fuse.receipt().answers == other.receipt().answers > 0
    assert fuse.receipt().spent + other.receipt().spent == billed(up)
