"""The pair of hooks for LLMs that nobody wrapped: they hand each call to a fuse, or stop it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM

from agentfuse.errors import AgentFuseError, ConfigurationError
from agentfuse.providers.reach import require_reach
from agentfuse.runtime.fuses import fuse_of
from agentfuse.tickets import Admitted
from agentfuse_crewai.codec import LLMCodec
from agentfuse_crewai.course import Course, let_loose
from agentfuse_crewai.errors import in_crewais_words
from agentfuse_crewai.grants import grant, is_dispatching
from agentfuse_crewai.llm import AgentFuseLLM
from agentfuse_crewai.requests import UNKEYED, Asked, bare_class_of, request_of
from agentfuse_crewai.taps import equip, settled_course_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from crewai import Crew
    from crewai.hooks import LLMCallHookContext

    from agentfuse import Fuse
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

    Hook = Callable[[LLMCallHookContext], None]

_PAYS = "agentfuse_pays"


def create_agentfuse_hooks(
    budget: Dollars | None = None, *, fuse: Fuse | None = None, **options: Unpack[Options]
) -> tuple[Hook, Hook]:
    """Make a before- and an after-hook that put every call they are run for under one fuse.

    Register them with ``register_before_llm_call_hook`` and ``register_after_llm_call_hook``, or in
    a ``scoped_hooks`` block. Give a ``budget`` (dollars) with the options of ``Fuse``, or a
    ``fuse``. The LLM that a hook meets is equipped on the spot, so that its calls are answered from
    memory, stepped down and settled at their true price; a direct call that was under way when its
    LLM was first met is budgeted and settled, and not answered from memory. An LLM with a fuse of
    its own keeps to that one. Raises ConfigurationError for words that are off.
    """
    paying = fuse_of(budget, fuse, options)

    def before(context: LLMCallHookContext) -> None:
        hold(context, paying, crew_of(context))

    def after(context: LLMCallHookContext) -> None:
        settled_course_of(context.llm)

    return before, after


def crew_of(context: Any) -> Crew | None:
    """Give the crew that a hook's context tells of."""
    crew: Crew | None = context.crew or getattr(context.agent, "crew", None)
    return crew


def hold(context: Any, fuse: Fuse, crew: Crew | None) -> None:
    """Put the call that a hook is asked about under a fuse.

    CrewAI swallows whatever a hook raises but a HookAborted, so everything that goes wrong here is
    one: an error of ours never switches a budget off.
    """
    stop: Exception | None = None
    try:
        _hold(context, fuse, crew)
    except HookAborted:
        raise
    except AgentFuseError as error:
        stop = in_crewais_words(error, crew)
    except Exception as error:  # noqa: BLE001 - see above
        stop = in_crewais_words(AgentFuseError(f"the hook of AgentFuse failed: {error!r}"), crew)
    if stop is not None:  # raised here, so that no cause is chained to it
        raise stop


def _hold(context: Any, fuse: Fuse, crew: Crew | None) -> None:
    llm = context.llm
    if isinstance(llm, AgentFuseLLM):  # its own fuse pays, and is told for whom
        grant(llm.fuse, crew)
        return
    if not isinstance(llm, BaseLLM):
        raise ConfigurationError(f"no budget can hold {llm!r}: give the agent an LLM(model=...)")
    if context.__dict__.setdefault(_PAYS, fuse) is not fuse:
        raise ConfigurationError(
            "two pairs of AgentFuse hooks meet in one call, each with a fuse of its own: register"
            " one, and hold both budgets with fuse.session(...)"
        )
    equip(llm)
    if context.executor is not None or is_dispatching(llm):
        grant(fuse, crew)
    else:
        _begin(context, fuse)


def _begin(context: Any, fuse: Fuse) -> None:
    """Set money aside for a direct call that had begun before anybody could take it in hand.

    A hook can let it go on or stop it, but not answer in its place: so it is not looked up.
    """
    settled_course_of(context.llm)
    asked = Asked(context.messages, {"from_agent": context.agent})
    request = request_of(context.llm, asked)
    request = replace(request, params={**request.params, "under_way": UNKEYED})
    ticket = fuse.begin(request)
    if not isinstance(ticket, Admitted):  # pragma: no cover - a request without a key has no answer
        raise ConfigurationError("an answer was found for a call that had no key")
    course = Course(fuse, ticket, context.llm, LLMCodec(context.llm, asked), loose=True)
    changed = replace(ticket.request, params=request.params) != request
    if changed and not hasattr(bare_class_of(context.llm), "_prepare_completion_params"):
        fuse.fail(ticket, ConfigurationError("out of reach"), final=True)
        raise ConfigurationError(
            f"a hook cannot change a direct call of {type(context.llm).__name__} that is under way:"
            " wrap this LLM in AgentFuseLLM"
        )
    require_reach(request, ticket.request, "a direct call that is under way")
    let_loose(course)
