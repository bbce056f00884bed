"""Our errors in CrewAI's terms: it passes on a HookAborted, and swallows or repeats the rest."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from crewai.hooks.dispatch import HookAborted

from agentfuse.courses import handed_on
from agentfuse.errors import AgentFuseError, BudgetExceeded, ProviderFailed
from agentfuse_crewai.outputs import partial_output

if TYPE_CHECKING:
    from collections.abc import Generator

    from crewai import Crew
    from crewai.crews.crew_output import CrewOutput

# CrewAI repeats a call whose error says one of these (crewai.llms.retry), and a run's name may.
_REPEATED = re.compile(
    r"rate[ -]limit|too many requests|throttled|resource exhausted", re.IGNORECASE
)
_SOFT_HYPHEN = "\u00ad"

SOURCE = "agentfuse"
"""Whom CrewAI's traces name as the one who aborted."""


class BudgetStop(BudgetExceeded, HookAborted):
    """A call would pass a limit, so it was stopped: nothing was sent, or its stream was cut.

    It is a BudgetExceeded with all that one carries (``refusal``, ``partial_text``, ``results``,
    ``receipt``), and a HookAborted, which CrewAI neither repeats nor swallows: it comes out of
    ``kickoff`` and its kin, and out of a flow, as it is. ``crew`` is the crew that was stopped, as
    far as the call told.
    """

    def __init__(self, message: str, *, crew: Crew | None = None, **carried: Any) -> None:
        super().__init__(_unrepeated(message), **carried)
        self.reason = str(self)
        self.source: Any = SOURCE
        self.crew = crew

    @property
    def partial_output(self) -> CrewOutput | None:
        """What the crew's finished tasks came to; None where no crew is known."""
        return None if self.crew is None else partial_output(self.crew)

    @classmethod
    def of(cls, stop: BudgetExceeded, crew: Crew | None = None) -> BudgetStop:
        """Say the same in CrewAI's terms."""
        told = cls.saying(stop, crew=crew)
        handed_on(told, stop)  # there will be no cause to find it by
        return told


@contextmanager
def in_crewais_terms(crew: Crew | None = None) -> Generator[None]:
    """Raise any error of ours that comes up within as a HookAborted that it is, too.

    A provider's failure stays as it is. What is raised has no cause: CrewAI reads the whole chain
    for words it would repeat a call for.
    """
    ours = None
    try:
        yield
    except HookAborted:
        raise
    except ProviderFailed:
        raise
    except AgentFuseError as error:
        ours = error
    if ours is not None:
        raise in_crewais_words(ours, crew).with_traceback(ours.__traceback__)


def in_crewais_words(error: AgentFuseError, crew: Crew | None = None) -> AgentFuseError:
    """Give an error of ours as one that is a HookAborted, with all it carries."""
    if isinstance(error, HookAborted):
        return error
    if isinstance(error, BudgetExceeded):
        return BudgetStop.of(error, crew)
    kind: Any = type(error)
    aborted: Any = _aborted_class_of(kind)
    copy = aborted.__new__(aborted)
    copy.__dict__.update(error.__dict__)
    copy.args = (_unrepeated(str(error)), *error.args[1:])
    copy.reason = str(copy)
    copy.source = SOURCE
    return cast("AgentFuseError", copy)


@lru_cache(maxsize=64)
def _aborted_class_of(kind: Any) -> Any:
    """Give a class that is both: ``except UnknownPrice`` catches it, CrewAI lets it through."""
    return type(
        kind.__name__, (kind, HookAborted), {"__module__": __name__, "__doc__": kind.__doc__}
    )


def _unrepeated(message: str) -> str:
    """Break the words CrewAI repeats a call for, in a way no reader sees."""
    return _REPEATED.sub(lambda found: found[0][0] + _SOFT_HYPHEN + found[0][1:], message)
