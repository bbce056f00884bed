"""A reworded question is answered from memory through CrewAI's LLM, and through hooks."""

from __future__ import annotations

from typing import Any

from crewai import Agent, Crew, Task

from agentfuse import Fuse, scope
from agentfuse_crewai import AgentFuseLLM

KEPT = "How do I reset my password?"
ASKED = "How can I reset my password?"
OTHER = "How do I reset my router?"


def test_a_reworded_question_is_answered(up, bare_of, vendor) -> None:
    fuse = Fuse("$1", semantic=True, spend_book=False)
    llm = AgentFuseLLM(bare_of(vendor), fuse=fuse)
    first = llm.call(KEPT)
    assert llm.call(ASKED) == first
    assert fuse.receipt().semantic == 1
    with scope(cache="exact"):
        llm.call("How could I reset my password?")
    llm.call(OTHER)
    assert up.calls == 3


def test_a_crews_task_is_part_of_what_is_compared(up, bare_of) -> None:
    """CrewAI writes the task into the last message, so that other tasks are other questions."""
    fuse = Fuse("$1", semantic=True, spend_book=False)

    def run(task: str) -> Any:
        agent = Agent(
            role="clerk",
            goal="answer",
            backstory="You know the manual.",
            llm=AgentFuseLLM(bare_of(), fuse=fuse),
        )
        work = Task(description=task, expected_output="an answer", agent=agent)
        return Crew(agents=[agent], tasks=[work]).kickoff().raw

    first = run(KEPT)
    calls = up.calls
    assert run(KEPT) == first
    assert up.calls == calls
    run(OTHER)
    assert up.calls > calls
