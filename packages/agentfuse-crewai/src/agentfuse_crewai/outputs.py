"""What a crew had done when it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crewai.crews.crew_output import CrewOutput

if TYPE_CHECKING:
    from crewai import Crew


def partial_output(crew: Crew) -> CrewOutput:
    """Give the finished tasks' outputs as CrewAI gives a whole crew's; ``raw`` is the last one's.

    A crew that has finished nothing has empty ``raw`` and no ``tasks_output``.
    """
    done = [task.output for task in crew.tasks if task.output is not None]
    usage = crew.calculate_usage_metrics()
    if not done:
        return CrewOutput(token_usage=usage)
    last = done[-1]
    return CrewOutput(
        raw=last.raw,
        pydantic=last.pydantic,
        json_dict=last.json_dict,
        tasks_output=done,
        token_usage=usage,
    )
