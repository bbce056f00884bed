"""A cascade's three calls as one: reserved together, asked in order or at once, settled as used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from agentfuse.decisions import Decision, Routed
from agentfuse.runtime.asking import Asking
from agentfuse.runtime.sending import UNREADABLE, told
from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream
from agentfuse.scopes import routed_by
from agentfuse.tickets import Admitted, Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Reply, Request
    from agentfuse.ports import Codec, Teller
    from agentfuse.routing.cascade import Cascade
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.tickets import Ticket

    AnyCodec = Codec[Any, Any, Any, Any]


@dataclass(slots=True, eq=False)
class Asked:
    """One cheap call: its ticket, and what came of it."""

    ticket: Ticket
    result: Any = None
    answer: Any = None
    reply: Reply | None = None
    error: Exception | None = None
    sent: bool = False


@dataclass(slots=True, eq=False)
class Course:
    """One cascade under way.

    ``release`` gives a ticket's money back, ``answer`` asks for what is left of a call: both
    are blocking or awaited, as the fuse is asked.
    """

    fuse: Fuse
    cascade: Cascade
    requests: tuple[Request, Request, Request]
    codec: AnyCodec
    release: Callable[[Admitted], Any]
    answer: Callable[..., Any]
    tell: Teller
    strong: Ticket = field(init=False)
    cheap: list[Asked] = field(default_factory=list[Asked])
    id: str = field(default_factory=lambda: uuid4().hex)
    replays: Callable[[Any], Any] | None = None

    def streamed(self, *, blocking: bool) -> Course:
        """Give the cascade of a stream: the cheap models are asked for whole answers.

        Which of the answers the caller gets is known once both are there, so there is nothing to
        show before; the chosen one is given out in chunks. The strong model's is a live stream.
        """
        *cheap, strong = self.requests
        first, second = (replace(request, stream=False) for request in cheap)
        self.requests = (first, second, strong)
        self.replays = (MeteredStream if blocking else AsyncMeteredStream)[Any, Any].replayed
        return self

    def given(self, reply: Reply) -> Any:
        """Give a reply in the caller's own type, or as a stream of it."""
        if self.replays is None:
            return self.codec.result_of(reply)
        return self.replays(self.codec.chunks_of(reply))

    def agreed(self) -> str:
        """Give what both said, or nothing."""
        return self.cascade.agreed([asked.reply for asked in self.cheap])

    def decided(self, ticket: Admitted, form: str) -> Admitted:
        """Write on a ticket what the cascade came to."""
        names = " and ".join(self.cascade.first)
        reason = f"{names} agree" if form else f"{names} do not agree"
        decision = Decision(
            id=self.id,
            model=ticket.request.model,
            provider=ticket.request.provider,
            asked=self.strong_request.model,
            reason=reason,
            policy_id="cascade",
        )
        return replace(ticket, decision=decision)

    @property
    def strong_request(self) -> Request:
        """What the strong model is, or would be, asked."""
        return cast("Admitted", self.strong).request

    def announce(self, form: str) -> None:
        """Tell which model's answer the caller gets."""
        chosen = self.cheap[0].ticket if form else self.strong
        if isinstance(chosen, Admitted):
            decision = self.decided(chosen, form).decision
            if decision is not None:
                self.tell(Routed(id=chosen.id, decision=decision))

    def shown(self) -> Any:
        """Give the first cheap answer in the caller's own type."""
        first = self.cheap[0]
        if isinstance(first.ticket, Answered):
            return self.given(told(self.codec, first.ticket))
        return self.given(cast("Reply", first.reply)) if self.replays else first.answer


def cascaded(course: Course, send: Callable[[Request], Any]) -> Any:
    """Run a cascade; raises BudgetExceeded before anything is sent if all three do not fit.

    A blocking caller's cheap calls go out one after the other: no thread is started for them.
    """
    fuse, (*cheap, strong) = course.fuse, course.requests
    with routed_by(route=False):
        course.strong = fuse.begin(strong)
        if isinstance(course.strong, Answered):
            return course.given(told(course.codec, course.strong))
        try:
            for request in cheap:
                course.cheap.append(Asked(fuse.begin(request)))
            for asked in course.cheap:
                _put(asked, send, course.codec)
        except BaseException as error:
            _drop(course, error)
            raise
        form = _judged(course)
        if form:
            course.release(course.strong)
            return course.shown()
        return course.answer(fuse, course.decided(course.strong, ""), send, course.codec)


async def acascaded(course: Course, send: Callable[[Request], Awaitable[Any]]) -> Any:
    """Do as ``cascaded``, awaited; the two cheap calls go out at once."""
    import asyncio

    fuse, (*cheap, strong) = course.fuse, course.requests
    with routed_by(route=False):
        course.strong = await fuse.abegin(strong)
        if isinstance(course.strong, Answered):
            return course.given(told(course.codec, course.strong))
        try:
            for request in cheap:
                course.cheap.append(Asked(await fuse.abegin(request)))
            await asyncio.gather(*[_aput(asked, send, course.codec) for asked in course.cheap])
        except BaseException as error:
            await _adrop(course, error)
            raise
        form = await _ajudged(course)
        if form:
            await course.release(course.strong)
            return course.shown()
        return await course.answer(fuse, course.decided(course.strong, ""), send, course.codec)


def _put(asked: Asked, send: Callable[[Request], Any], codec: AnyCodec) -> None:
    """Ask one cheap model; its failure is a disagreement, not the caller's error."""
    if isinstance(asked.ticket, Answered):
        return
    asked.sent = True
    try:
        with Asking(asked.ticket.request.model):
            asked.result = send(asked.ticket.request)
        _read(asked, codec)
    except Exception as error:  # noqa: BLE001 - the strong model will answer
        asked.error = error


async def _aput(asked: Asked, send: Callable[[Request], Awaitable[Any]], codec: AnyCodec) -> None:
    if isinstance(asked.ticket, Answered):
        return
    asked.sent = True
    try:
        with Asking(asked.ticket.request.model):
            asked.result = await send(asked.ticket.request)
        _read(asked, codec)
    except Exception as error:  # noqa: BLE001 - the strong model will answer
        asked.error = error


def _read(asked: Asked, codec: AnyCodec) -> None:
    """Read an answer at once: a codec speaks the dialect of whoever answered last."""
    asked.reply = codec.reply_of(asked.result)
    asked.answer = codec.answer_of(asked.result)


def _read_all(course: Course) -> str:
    for asked in course.cheap:
        if isinstance(asked.ticket, Answered):
            asked.reply = asked.ticket.reply
    form = course.agreed()
    course.announce(form)
    return form


def _judged(course: Course) -> str:
    """Settle the cheap calls, and say what they agree on."""
    form = _read_all(course)
    for asked in course.cheap:
        if isinstance(asked.ticket, Answered):
            continue
        if asked.result is None and asked.error is not None:
            course.fuse.lose(asked.ticket, asked.error)
        else:
            course.fuse.finish(course.decided(asked.ticket, form), asked.reply or UNREADABLE)
    return form


async def _ajudged(course: Course) -> str:
    form = _read_all(course)
    for asked in course.cheap:
        if isinstance(asked.ticket, Answered):
            continue
        if asked.result is None and asked.error is not None:
            await course.fuse.alose(asked.ticket, asked.error)
        else:
            ticket = course.decided(asked.ticket, form)
            await course.fuse.afinish(ticket, asked.reply or UNREADABLE)
    return form


def _drop(course: Course, error: BaseException) -> None:
    """Give back what was not asked; what was asked may have been billed."""
    course.release(cast("Admitted", course.strong))
    for asked in course.cheap:
        if not isinstance(asked.ticket, Admitted):
            continue
        if not asked.sent:
            course.release(asked.ticket)
        elif asked.result is None:
            course.fuse.lose(asked.ticket, asked.error or error)
        else:
            course.fuse.finish(asked.ticket, UNREADABLE)


async def _adrop(course: Course, error: BaseException) -> None:
    await course.release(cast("Admitted", course.strong))
    for asked in course.cheap:
        if not isinstance(asked.ticket, Admitted):
            continue
        if not asked.sent:
            await course.release(asked.ticket)
        elif asked.result is None:
            await course.fuse.alose(asked.ticket, asked.error or error)
        else:
            await course.fuse.afinish(asked.ticket, UNREADABLE)
