"""The way of one call of an LLM: hooks, leave, the provider's class, the bill. Written once."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crewai.hooks.dispatch import HookAborted, InterceptionPoint
from crewai.llms.base_llm import BaseLLM, LLMCallBlockedError

from agentfuse.errors import AgentFuseError, BudgetExceeded
from agentfuse.tickets import Admitted
from agentfuse_crewai.codec import LLMCodec
from agentfuse_crewai.course import Course
from agentfuse_crewai.errors import in_crewais_words
from agentfuse_crewai.events import deny, replay
from agentfuse_crewai.grants import (
    Grant,
    dispatching,
    granted,
    has_hooks,
    own_fuse_of,
    passing,
    were_dispatched,
)
from agentfuse_crewai.requests import bare_class_of, request_of
from agentfuse_crewai.rewriting import asked_for, target_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse import Fuse
    from agentfuse.messages import Reply, Request
    from agentfuse.tickets import Ticket
    from agentfuse_crewai.requests import Asked


@dataclass(frozen=True, slots=True)
class Blocking:
    """How a blocking call meets the fuse."""

    async def begin(self, fuse: Fuse, request: Request) -> Ticket:
        """Answer from memory, or set the money aside."""
        return fuse.begin(request)

    async def finish(
        self, course: Course, reply: Reply, error: BaseException | None = None
    ) -> None:
        """Settle; an ``error`` that broke the answer off hears of it."""
        course.fuse.finish(course.ticket, reply, error)

    async def fail(self, course: Course, error: BaseException, *, final: bool) -> Admitted | None:
        """Give the money back."""
        return course.fuse.fail(course.ticket, error, final=final)

    async def ask(self, llm: Any, asked: Asked) -> Any:
        """Let the provider's class do its work."""
        return bare_class_of(llm).call(llm, asked.messages, **asked.given)

    async def hang_up(self, stream: Any) -> None:
        """End a stream at once."""
        stream.close()

    def heard(self, llm: Any, asked: Asked, result: Any) -> Any:
        """Run the user's after-hooks on a hit, where CrewAI runs them: on blocking text answers."""
        if not isinstance(result, str) or not has_hooks(InterceptionPoint.POST_MODEL_CALL):
            return result
        from_agent = asked.get("from_agent")
        return llm._invoke_after_llm_call_hooks(asked.listed, result, from_agent)  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Awaited:
    """How an awaited call meets the fuse."""

    async def begin(self, fuse: Fuse, request: Request) -> Ticket:
        """Answer from memory, or set the money aside."""
        return await fuse.abegin(request)

    async def finish(
        self, course: Course, reply: Reply, error: BaseException | None = None
    ) -> None:
        """Settle; an ``error`` that broke the answer off hears of it."""
        await course.fuse.afinish(course.ticket, reply, error)

    async def fail(self, course: Course, error: BaseException, *, final: bool) -> Admitted | None:
        """Give the money back."""
        return await course.fuse.afail(course.ticket, error, final=final)

    async def ask(self, llm: Any, asked: Asked) -> Any:
        """Let the provider's class do its work."""
        return await bare_class_of(llm).acall(llm, asked.messages, **asked.given)

    async def hang_up(self, stream: Any) -> None:
        """End a stream at once."""
        await stream.close()

    def heard(self, _llm: Any, _asked: Asked, result: Any) -> Any:
        """Leave the answer as it is: CrewAI runs no after-hooks on awaited calls."""
        return result


Way = Blocking | Awaited


async def conduct(llm: Any, asked: Asked, way: Way) -> Any:
    """Ask once through the fuse that pays for it; a call that none pays for goes its own way."""
    asked, paying = _paid(llm, asked)
    if paying is None:
        with passing(llm):
            return await way.ask(llm, asked)
    request = request_of(llm, asked)
    codec = LLMCodec(llm, asked)
    ticket = await _admitted(llm, asked, way, request, paying)
    while isinstance(ticket, Admitted):
        course = Course(paying.fuse, ticket, llm, codec)
        try:
            return await _asked_of_provider(course, asked, way, request)
        except BaseException as error:
            again = await abandon(course, error, way, paying)
            if again is None:
                raise
            ticket = again
    return way.heard(llm, asked, replay(llm, asked, ticket.reply, codec))


def _paid(llm: Any, asked: Asked) -> tuple[Asked, Grant | None]:
    """Find who pays, letting the user's hooks say their word where no executor has asked them."""
    own = own_fuse_of(llm)
    found = None
    if were_dispatched():
        found = granted()
    elif has_hooks() and llm.fires_hooks():
        with dispatching(llm):
            asked = _hooked(llm, asked)
        found = granted()
    if own is not None:
        return asked, Grant(own, _crew_of(asked) or (found.crew if found else None))
    return asked, found


def _crew_of(asked: Asked) -> Any:
    return getattr(asked.get("from_agent"), "crew", None)


def _hooked(llm: Any, asked: Asked) -> Asked:
    """Run the hooks as CrewAI's classes do within their call, before anything is settled.

    What a hook changes is part of the question, so the hooks come first; the messages go on as they
    came unless one was changed.
    """
    messages, before = asked.listed, asked.listed
    crewais: Any = BaseLLM
    try:
        crewais._invoke_before_llm_call_hooks(llm, messages, asked.get("from_agent"))  # noqa: SLF001
    except (HookAborted, LLMCallBlockedError) as denial:
        deny(llm, asked, denial)
        raise
    return asked if messages == before else replace(asked, messages=messages)


async def _admitted(llm: Any, asked: Asked, way: Way, request: Request, paying: Grant) -> Ticket:
    """Begin; a refusal is told to CrewAI's listeners, and raised in its terms."""
    try:
        return await way.begin(paying.fuse, request)
    except AgentFuseError as error:
        stop = in_crewais_words(error, paying.crew)
    deny(llm, asked, stop)
    raise stop


async def _asked_of_provider(course: Course, asked: Asked, way: Way, request: Request) -> Any:
    """Send what the policy has left of the request, and settle what comes back."""
    sent = course.ticket.request
    with target_for(course.llm, request, sent) as target:
        course.llm = target
        with course:
            course.said.result = await way.ask(target, asked_for(asked, request, sent))
    reply = course.codec.reply_of(course.said)
    await way.finish(course, reply)
    return course.codec.answer_of(course.said)


async def abandon(course: Course, error: BaseException, way: Way, paying: Grant) -> Any:
    """End a call that broke off: what was billed or streamed is booked, the rest given back."""
    if isinstance(error, BudgetExceeded):
        for stream in streams_in(error):
            await way.hang_up(stream)
    if course.said.bills:
        course.said.result = None
        await way.finish(course, course.codec.reply_of(course.said), error)
    elif course.texts:
        await way.finish(course, course.codec.joined(course.texts), error)
    else:
        return await way.fail(course, told_by(error), final=isinstance(error, HookAborted))
    if isinstance(error, BudgetExceeded):
        paying.fuse.stopped(error)
        error.crew = paying.crew  # type: ignore[attr-defined]  # a BudgetStop, as Course raises it
    return None


def streams_in(error: BaseException) -> Iterator[Any]:
    """Find the SDK's stream that CrewAI's provider was reading when it was stopped.

    CrewAI does not close it, and it holds itself, so the connection would wait for the garbage
    collector: the provider would go on speaking, and billing.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).startswith("crewai.ll"):
            for value in list(frame.f_locals.values()):
                if hasattr(value, "close") and (
                    hasattr(value, "__next__") or hasattr(value, "__anext__")
                ):
                    yield value


def told_by(error: BaseException) -> BaseException:
    """Give the SDK's own error, which tells what was billed, where CrewAI has wrapped it.

    CrewAI writes ``raise e from e``: an error may be its own cause.
    """
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen:
        if isinstance(getattr(each, "status_code", None), int):
            return each
        seen.append(each)
        each = each.__cause__
    return error
