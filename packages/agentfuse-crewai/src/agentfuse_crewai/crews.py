"""A whole crew under one fuse: its LLMs wrapped where they stand, and a hook for the others."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from crewai import LLM
from crewai.hooks.dispatch import InterceptionPoint, get_hooks, register
from crewai.llms.base_llm import BaseLLM

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.fuses import fuse_of
from agentfuse_crewai.hooks import crew_of, hold
from agentfuse_crewai.llm import AgentFuseLLM, fused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from crewai import Crew

    from agentfuse import Fuse
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

_OF_A_CREW = ("manager_llm", "planning_llm", "function_calling_llm", "chat_llm")
_OF_AN_AGENT = ("llm", "function_calling_llm")


def register_agentfuse(
    crew: Crew,
    budget: Dollars | None = None,
    *,
    fuse: Fuse | None = None,
    **options: Unpack[Options],
) -> Fuse:
    """Put a crew under a fuse, and give the fuse.

    The LLMs of its agents, of its manager, planner, chat, memory and function calls are wrapped
    where they stand; those that come up while it runs (a guardrail's, a tool's) are held by a hook.
    An LLM that has a fuse of its own keeps it. Give a ``budget`` (dollars) with the options of
    ``Fuse``, or a ``fuse``. Registering again changes nothing, and ``unregister_agentfuse`` takes
    it back. Raises ConfigurationError for words that are off, for a crew that is under another fuse
    and for one without an LLM to hold.
    """
    known = fuse_in(crew)
    if known is not None:
        if budget is None and not options and fuse in {None, known}:
            return known
        raise ConfigurationError("this crew is under a fuse already: unregister_agentfuse(crew)")
    paying = fuse_of(budget, fuse, options)
    twins: dict[int, AgentFuseLLM] = {}
    for place in _places_of(crew):
        place.fuse(paying, twins)
    if not twins:
        raise ConfigurationError("no LLM of this crew can be wrapped: each has a fuse of its own")
    _watch()
    return paying


def unregister_agentfuse(crew: Crew) -> None:
    """Put back the LLMs that ``register_agentfuse`` has wrapped; what was spent stays spent."""
    for place in _places_of(crew):
        llm = place.llm
        if isinstance(llm, AgentFuseLLM) and llm.origin is not None:
            place.put(llm.origin)


def fuse_in(crew: Crew) -> Fuse | None:
    """Give the fuse a crew, or the crew it was copied from, was registered with."""
    for place in _places_of(crew):
        llm = place.llm
        if isinstance(llm, AgentFuseLLM) and llm.origin is not None:
            return llm.fuse
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """A field that holds an LLM, or the name of one."""

    holder: Any
    field: str

    @property
    def llm(self) -> Any:
        """What stands there; read past pydantic, which warns of CrewAI's deprecated fields."""
        private: dict[str, Any] = self.holder.__pydantic_private__ or {}
        return self.holder.__dict__.get(self.field) or private.get(self.field)

    def put(self, llm: BaseLLM | str) -> None:
        """Set the field."""
        setattr(self.holder, self.field, llm)

    def fuse(self, fuse: Fuse, twins: dict[int, AgentFuseLLM]) -> None:
        """Wrap what stands there; one LLM in many places stays one."""
        llm = self.llm
        if isinstance(llm, AgentFuseLLM) or not isinstance(llm, BaseLLM | str):
            return
        if id(llm) not in twins:
            inner = LLM(model=llm) if isinstance(llm, str) else llm
            twins[id(llm)] = fused(inner, fuse, origin=llm)
        self.put(twins[id(llm)])


def _places_of(crew: Crew) -> Iterator[Place]:
    """Give each once; lazily, since a hook finds the fuse of a crew in the first of them."""
    seen = {id(None)}
    for agent in chain(crew.agents, (crew.manager_agent,), (task.agent for task in crew.tasks)):
        if id(agent) not in seen:
            seen.add(id(agent))
            yield from (Place(agent, name) for name in _OF_AN_AGENT)
    yield from (Place(crew, name) for name in _OF_A_CREW)
    memory = getattr(crew, "_memory", None)
    if memory is not None:
        yield Place(memory, "_llm_instance")


@dataclass(frozen=True, slots=True)
class Running:
    """A registered crew that runs in this context, inside another perhaps."""

    crew: Crew
    fuse: Fuse
    outer: Running | None


_running: ContextVar[Running | None] = ContextVar("agentfuse_crewai_running", default=None)


def _watch() -> None:
    """Hear of every crew and call of this process, once; for others than ours nothing is done."""
    for point, hook in (
        (InterceptionPoint.EXECUTION_START, _enter),
        (InterceptionPoint.EXECUTION_END, _leave),
        (InterceptionPoint.PRE_MODEL_CALL, _before),
    ):
        if hook not in get_hooks(point):
            register(point, hook)


def _enter(context: Any) -> None:
    crew: Crew | None = context.crew
    fuse = None if crew is None else fuse_in(crew)
    if crew is not None and fuse is not None:
        _running.set(Running(crew, fuse, _running.get()))


def _leave(context: Any) -> None:
    running = _running.get()
    if running is not None and running.crew is context.crew:
        _running.set(running.outer)


def _before(context: Any) -> None:
    crew, running = crew_of(context), _running.get()
    fuse = None if crew is None else fuse_in(crew)
    if fuse is not None:
        hold(context, fuse, crew)
    elif running is not None:
        hold(context, running.fuse, running.crew)
