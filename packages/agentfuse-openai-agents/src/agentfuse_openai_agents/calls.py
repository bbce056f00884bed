"""One call through the fuse: asked or streamed, answered from memory or by the inner model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self

from agents import UserError

from agentfuse.errors import ConfigurationError
from agentfuse.providers.reach import require_reach
from agentfuse_openai_agents.codec import ENDINGS, Answered, RunCodec
from agentfuse_openai_agents.errors import BudgetStop, in_the_sdks_terms
from agentfuse_openai_agents.requests import Asking
from agentfuse_openai_agents.spans import trace_hit
from agentfuse_openai_agents.taps import Tap, overheard, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agents import Model, ModelResponse
    from agents.items import TResponseStreamEvent

    from agentfuse import Fuse
    from agentfuse.messages import Request
    from agentfuse_openai_agents.requests import Call


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind a fused model.

    ``others`` gives a model by its full name, which has ``prefix`` before the provider's own.
    ``routes`` says that it can give other providers' too.
    """

    inner: Model
    fuse: Fuse
    others: Callable[[str], Model]
    prefix: str = ""
    routes: bool = False


class FusedCall:
    """One call: ``answer`` or ``events``, once."""

    __slots__ = ("_asking", "_behind", "_codec")

    def __init__(self, behind: Behind, call: Call, *, stream: bool = False) -> None:
        self._behind = behind
        asking = Asking.of(behind.inner, call, stream=stream)
        if behind.routes:
            asking = replace(asking, request=replace(asking.request, reach="any"))
        self._asking = asking
        self._codec = RunCodec(asking)

    async def answer(self) -> ModelResponse:
        """Answer from memory, or ask; raises BudgetStop, or what the inner model raises."""
        codec = self._codec
        with in_the_sdks_terms():
            try:
                answer = await self._behind.fuse.acall(self._asking.request, self._send, codec)
            except Exception as error:
                if codec.was_cut_short:
                    raise self._stop() from error
                raise
            if codec.was_cut_short:
                raise self._stop()
        self._trace()
        return answer

    async def events(self) -> AsyncIterator[TResponseStreamEvent]:
        """Replay from memory, or stream; closing it hangs up and settles what was streamed.

        The closing event is given once the stream is settled, since it is the last one that some
        callers take.
        """
        codec = self._codec
        closing: list[TResponseStreamEvent] = []
        with in_the_sdks_terms():
            stream = await self._behind.fuse.astream(self._asking.request, self._open, codec)
            try:
                async for event in stream:
                    if said(event, "type") in ENDINGS:
                        closing.append(event)
                    else:
                        yield event
            finally:
                await stream.aclose()
            if codec.was_cut_short:
                raise self._stop()
        self._trace()
        for event in closing:
            yield event
        if codec.rejection is not None:
            raise codec.rejection

    async def _send(self, request: Request) -> Answered:
        model, call = self._heard(request), self._asking.call_for(request)
        tap = self._codec.tap
        try:
            answered = Answered(await model.get_response(**call.all_named()))
        except Exception as error:
            self._codec.send(request, tap)
            if self._codec.billed is None:
                raise
            return Answered(None, error)
        self._codec.send(request, tap)  # a cascade asks two at once, and each is read on its own
        return answered

    async def _open(self, request: Request) -> _Wire:
        model, call = self._heard(request), self._asking.call_for(request)
        return _Wire(model.stream_response(*call.placed(), **call.named()), self._codec)

    def _heard(self, request: Request) -> Any:
        """Give the model that a request names, overheard."""
        asked = self._asking.request
        same = (request.model, request.provider) == (asked.model, asked.provider)
        model = self._behind.inner if same else self._other(request)
        tap = Tap(hides_usage=self._asking.forces_usage)
        self._codec.send(request, tap)
        return overheard(model, tap)

    def _other(self, request: Request) -> Model:
        """Give the model that a downgrade names; raises ConfigurationError where there is none."""
        behind, asking = self._behind, self._asking
        name = behind.prefix + asking.name_of(request)
        if request.provider != asking.request.provider:
            if not behind.routes:
                require_reach(asking.request, request, "this model")
            name = f"{request.provider}/{request.model}"
        try:
            return behind.others(name)
        except UserError as error:
            raise ConfigurationError(f"no model {name!r} to downgrade to: {error}") from error

    def _stop(self) -> BudgetStop:
        """Say that an answer ended where the budget did: the SDK has no word for a cut answer."""
        partial = self._codec.said
        limit = self._codec.sent.max_output_tokens
        stop = BudgetStop(
            f"{self._behind.fuse.name} stopped: what is left of its budget paid for {limit} tokens"
            " of output, and the answer was longer",
            partial_text=partial.text if partial else "",
        )
        self._behind.fuse.stopped(stop)
        return stop

    def _trace(self) -> None:
        if self._codec.kept is not None:
            trace_hit(self._behind.inner, self._asking, self._codec.kept)


class _Wire:
    """The inner model's stream.

    An error over an answer that was told whole, and so is billed, is kept as the codec's
    ``rejection`` until that is settled at its true price.
    """

    __slots__ = ("_codec", "_events", "_told")

    def __init__(self, events: AsyncIterator[TResponseStreamEvent], codec: RunCodec) -> None:
        self._events = events
        self._codec = codec
        self._told = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TResponseStreamEvent:
        try:
            event = await anext(self._events)
        except StopAsyncIteration:
            raise
        except Exception as error:
            if not self._told or self._codec.billed is None:
                raise
            self._codec.rejection = error
            raise StopAsyncIteration from error
        if said(event, "type") in ENDINGS:
            self._told = True
            self._codec.tap.note(said(event, "response"))
        return event

    async def aclose(self) -> None:
        """Hang up: async generators have ``aclose``, other iterators may have ``close``."""
        close = getattr(self._events, "aclose", None) or getattr(self._events, "close", None)
        closing = close() if close is not None else None
        if isawaitable(closing):
            await closing
