"""A crew that goes round in circles is stopped before the money is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from crewai import LLM, Agent, Crew, Task

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse_crewai import AgentFuseLLM, BudgetStop, register_agentfuse

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "sk-upstream"

pytestmark = pytest.mark.filterwarnings("ignore:.*reasoning.*:DeprecationWarning")


def reasoning_crew(llm: Any) -> Crew:
    """Make an agent that plans first, with a model that never says that it is ready."""
    agent = Agent(role="Thinker", goal="Think", backstory="You think.", llm=llm, reasoning=True)
    task = Task(description="Say something about fuses.", expected_output="A line.", agent=agent)
    return Crew(agents=[agent], tasks=[task])


@pytest.fixture
def undecided() -> Iterator[Upstream]:
    """A model that never makes the plan it is asked for."""
    with Upstream(lambda _: Say("Let me think about it some more.")) as provider:
        yield provider


def llm_at(provider: Upstream, **params: Any) -> Any:
    words = {"model": "gpt-4o", "base_url": provider.openai_url, "api_key": KEY, **params}
    return LLM(**words)


def most_alike(provider: Upstream) -> int:
    """How often the very same was asked."""
    asked = [str(sorted(request.body.items())) for request in provider.requests]
    return max(map(asked.count, asked))


def test_a_plan_that_is_never_ready_runs_away(undecided: Upstream) -> None:
    """CrewAI asks for the same plan again without bound; here its budget ends it."""
    fuse = Fuse("$0.02", spend_book=False, cache=False, loops=None)
    with pytest.raises(BudgetStop):
        reasoning_crew(AgentFuseLLM(llm_at(undecided, max_tokens=50), fuse=fuse)).kickoff()
    assert most_alike(undecided) > 10


@pytest.mark.parametrize("cache", [False, True])
def test_it_is_stopped_within_five_repeats(undecided: Upstream, *, cache: bool) -> None:
    fuse = Fuse("$5", spend_book=False, cache=cache, loops="stop")
    with pytest.raises(BudgetStop, match="loop detected") as stop:
        reasoning_crew(AgentFuseLLM(llm_at(undecided), fuse=fuse)).kickoff()
    assert most_alike(undecided) == 4
    assert stop.value.loop is not None
    assert stop.value.loop.what == "requests"
    assert stop.value.loop.times == 4
    assert stop.value.results


def test_a_registered_crew_is_stopped_as_well(undecided: Upstream) -> None:
    crew = reasoning_crew(llm_at(undecided))
    register_agentfuse(crew, "$5", spend_book=False, cache=False, loops="stop")
    with pytest.raises(BudgetStop, match="loop detected"):
        crew.kickoff()
    assert most_alike(undecided) <= 5


def test_by_default_it_is_told(undecided: Upstream) -> None:
    told: list[Any] = []
    fuse = Fuse("$0.02", spend_book=False, cache=False, on_alert=told.append, alert_at=())
    with pytest.raises(BudgetStop):
        reasoning_crew(AgentFuseLLM(llm_at(undecided, max_tokens=50), fuse=fuse)).kickoff()
    assert told[0].loop.what == "requests"
    assert told[0].action == "warn"
