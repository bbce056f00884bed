"""One call of an LLM that is metered as a whole, since its SDK has no door that we know."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.llms import callbacks
from llama_index_instrumentation import get_dispatcher

from agentfuse_llama_index.codec import ResponseCodec
from agentfuse_llama_index.errors import raise_swallowed
from agentfuse_llama_index.hearing import TRACED
from agentfuse_llama_index.requests import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from agentfuse.messages import Request
    from agentfuse_llama_index.hearing import Method

# The LLM whose own method runs now. Methods call one another (CustomLLM chats by completing): only
# the outermost is a call of its own.
_running: ContextVar[Any] = ContextVar("agentfuse_llama_index_running", default=None)
_END: Any = object()


def runs(llm: Any) -> bool:
    """Say whether a method of this LLM is called by another of its own."""
    return _running.get() is llm


@contextmanager
def _own_method_of(llm: Any) -> Generator[None]:
    """Mark that the LLM's own method runs; never held across a ``yield``."""
    token = _running.set(llm)
    try:
        yield
    finally:
        _running.reset(token)


class WholeCall:
    """A call of ``method``, the provider's own, with its arguments; ``streams`` says which kind.

    ``asked`` is set once the provider's method ran, whose listeners then heard of the call.
    """

    def __init__(
        self,
        llm: Any,
        method: Method,
        args: tuple[Any, ...],
        options: dict[str, Any],
        *,
        streams: bool = False,
    ) -> None:
        self.llm = llm
        self.method = method
        self.options = dict(options)
        self.rest = args[1:]
        word = "messages" if "messages" in options else "prompt"
        self.question = args[0] if args else self.options.pop(word)
        self.asking = Asking.of(llm, self.question, self.options, stream=streams)
        self.codec = ResponseCodec(self.asking.request, chats=self.asking.chats)
        self.asked = False
        raise_swallowed(self.asking.request)

    @property
    def request(self) -> Request:
        """What is asked, in neutral words."""
        return self.asking.request

    def ask(self, request: Request) -> Any:
        """Ask the LLM itself, or a copy of it that differs in what the policy changed."""
        fields, words = self.asking.changes_for(request)
        told = self.llm.inner.model_copy(update=fields) if fields else self.llm
        options = {k: v for k, v in self.options.items() if k not in fields} | words
        self.asked = True
        with _own_method_of(self.llm):
            return self.method(told, self.asking.question_for(request), *self.rest, **options)

    async def aask(self, request: Request) -> Any:
        """Do as ``ask``, awaited."""
        with _own_method_of(self.llm):
            return await self.ask(request)

    def stream(self, request: Request) -> Iterator[Any]:
        """Open the LLM's stream, marked as its own only while it works, and closed at the end."""
        return self._marked(iter(self.ask(request)))

    def _marked(self, wire: Iterator[Any]) -> Iterator[Any]:
        try:
            while True:
                with _own_method_of(self.llm):
                    chunk = next(wire, _END)
                if chunk is _END:
                    self.codec.ended = True
                    return
                yield chunk
        finally:
            close = getattr(wire, "close", None)
            if close is not None:
                close()

    async def astream(self, request: Request) -> AsyncIterator[Any]:
        """Do as ``stream``, awaited."""
        return self._amarked(aiter(await self.aask(request)))

    async def _amarked(self, wire: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            while True:
                with _own_method_of(self.llm):
                    chunk = await anext(wire, _END)
                if chunk is _END:
                    self.codec.ended = True
                    return
                yield chunk
        finally:
            close = getattr(wire, "aclose", None)
            if close is not None:
                await close()

    def told(self, outcome: Callable[[], Any]) -> Any:
        """Come to an outcome without the provider, and let listeners hear of it as of any call."""
        if self.method.is_unheard(self.llm, self.question):
            with TRACED:
                return outcome()

        def answer(*_args: Any, **_options: Any) -> Any:
            return outcome()

        return self._heard(answer)(self.question, *self.rest, **self.options)

    async def atold(self, outcome: Callable[[], Any]) -> Any:
        """Do as ``told``, awaited."""
        if self.method.is_unheard(self.llm, self.question):
            with TRACED:
                return outcome()

        async def answer(*_args: Any, **_options: Any) -> Any:
            return outcome()

        return await self._heard(answer)(self.question, *self.rest, **self.options)

    def _heard(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function the very span and events of the provider's own method."""
        answer.__name__ = self.method.told.__name__
        answer.__qualname__ = self.method.told.__qualname__
        told: Any = callbacks
        hears = told.llm_chat_callback if self.asking.chats else told.llm_completion_callback
        spanned: Any = get_dispatcher(type(self.llm).__module__).span(hears()(answer))
        bound: Callable[..., Any] = spanned.__get__(self.llm, type(self.llm))
        return bound


def raising(error: BaseException) -> Callable[[], Any]:
    """Give the outcome that is an error."""

    def outcome() -> Any:
        raise error

    return outcome


def awaited(stream: Any) -> Callable[[], AsyncIterator[Any]]:
    """Give the outcome that is a stream."""

    async def chunks() -> AsyncIterator[Any]:
        async with stream:
            async for chunk in stream:
                yield chunk

    return chunks


def iterated(stream: Any) -> Callable[[], Iterator[Any]]:
    """Give the outcome that is a stream."""

    def chunks() -> Iterator[Any]:
        with stream:
            yield from stream

    return chunks
