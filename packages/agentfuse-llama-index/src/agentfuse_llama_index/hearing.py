"""LlamaIndex's own telling of a call, spared where nobody hears it.

LlamaIndex makes a span and two events of each call, and another event of each chunk, before it
looks whether anybody listens: 60 us, half of what an answer from memory takes beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from inspect import getclosurevars, iscoroutinefunction, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage, callbacks
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler
from llama_index_instrumentation.span_handlers import NullSpanHandler

from agentfuse_llama_index.looking_up import looks_up_only

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

_NOBODY = frozenset({NullEventHandler, NullSpanHandler})
# All that LlamaIndex's span, and its callbacks, do: where a version does more, nothing is spared.
_OF_SPANS = (
    "Any BaseException BoundArguments Context Future MISSING SpanDropEvent Token ValueError"
    " __name__ __qualname__ _logger active_instrument_tags active_span_id add_done_callback"
    " asyncio bind copy_context debug ensure_future event exception get inspect isinstance"
    " old_value partial reset result run set signature span_drop span_enter span_exit str type"
    " uuid uuid4"
)
_OF_CALLBACKS = (
    "ADDITIONAL_KWARGS AsyncGenerator BaseException CBEventType COMPLETION ChatResponse"
    " ChatResponseAsyncGen ChatResponseGen CompletionResponse CompletionResponseAsyncGen"
    " CompletionResponseGen EXCEPTION EventPayload ExceptionEvent Generator LLM LLMChatEndEvent"
    " LLMChatInProgressEvent LLMChatStartEvent LLMCompletionEndEvent"
    " LLMCompletionInProgressEvent LLMCompletionStartEvent MESSAGES PROMPT RESPONSE SERIALIZED"
    " acquire active_span_id as_trace async_acquire cast dispatcher event get isinstance"
    " on_event_end on_event_start pop rate_limiter to_dict to_payload"
)


@dataclass(frozen=True, slots=True)
class Method:
    """A provider's method: ``told`` as LlamaIndex tells of it, ``quietly`` as it was written.

    The latter is None where something else than LlamaIndex's span and callbacks is around it.
    """

    told: Any
    quietly: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any] | None = None
    dispatchers: tuple[Any, ...] = ()
    chats: bool = False

    def __call__(self, llm: Any, *args: Any, **options: Any) -> Any:
        """Ask the provider, and tell whoever listens."""
        question = args[0] if args else options.get("messages" if self.chats else "prompt")
        if self.quietly is not None and self.is_unheard(llm, question):
            return self.quietly(llm, args, options)
        return self.told.__get__(llm)(*args, **options)

    def is_unheard(self, llm: Any, question: Any) -> bool:
        """Say whether nobody hears of a call, nor would its events refuse what is asked."""
        fields: dict[str, Any] = llm.__dict__
        manager = fields.get("callback_manager")
        return (
            self.quietly is not None
            and type(manager) is CallbackManager
            and not manager.handlers
            and fields.get("rate_limiter") is None
            and all(map(_is_silent, self.dispatchers))
            and _is_plain(question, chats=self.chats)
        )


def method_of(method: Any) -> Method:
    """Find what is within a method of an LLM class."""
    told, callback = _spanned(method), getattr(method, "__wrapped__", None)
    chats = next((chats for code, chats in _callbacks() if _is_made_by(code, callback)), None)
    if chats is None or not _has_known_span(method) or not looks_up_only(callback, _OF_CALLBACKS):
        return Method(told)
    tells: Any = getclosurevars(cast("FunctionType", callback))
    dispatchers = (_dispatcher_of(method), tells.globals["dispatcher"])
    return Method(told, _quiet(tells.nonlocals["f"]), dispatchers, chats)


def span_spared(method: Any, change: Callable[[Any], Any]) -> Any:
    """Change what is within a method's span, which is made only where somebody hears it."""
    told: Any = _spanned(method, change)
    if not _has_known_span(method):
        return told
    dispatcher, within = _dispatcher_of(method), change(method.__wrapped__)

    @wraps(told)
    def ask(self: Any, *args: Any, **options: Any) -> Any:
        if _is_silent(dispatcher):
            return within(self, *args, **options)
        return told.__get__(self)(*args, **options)

    return ask


def _spanned(method: Any, change: Callable[[Any], Any] | None = None) -> Any:
    """Give a method within its very span, with its signature at hand.

    LlamaIndex's span (wrapt's FunctionWrapper) works the signature out anew on each call: 25 us.
    """
    if not _is_spanned(method):
        return method
    within = change(method.__wrapped__) if change else method.__wrapped__

    @wraps(within)
    def told(self: Any, *args: Any, **options: Any) -> Any:
        return within(self, *args, **options)

    signed: Any = told
    signed.__signature__ = signature(within)
    return type(method)(signed, method._self_wrapper)  # noqa: SLF001 - wrapt's


def _is_spanned(method: Any) -> bool:
    """Say whether a plain span is around a method."""
    return (
        getattr(method, "_self_wrapper", None) is not None
        and type(method).__name__ == "FunctionWrapper"
        and method._self_enabled is None  # noqa: SLF001 - wrapt's
    )


def _has_known_span(method: Any) -> bool:
    """Say whether the span is LlamaIndex's, and does no more than we know."""
    if not _is_spanned(method):
        return False
    span = method._self_wrapper  # noqa: SLF001 - wrapt's
    own: Any = get_dispatcher()
    made = [own.span(each)._self_wrapper for each in _functions()]  # noqa: SLF001 - as above
    return any(_is_made_by(each.__code__, span) for each in made) and looks_up_only(span, _OF_SPANS)


def _dispatcher_of(method: Any) -> Any:
    """Give the one that tells of a method's span."""
    return getclosurevars(method._self_wrapper).nonlocals["self"]  # noqa: SLF001 - wrapt's


def _callbacks() -> list[tuple[CodeType, bool]]:
    """List the code of LlamaIndex's callbacks, each with whether it is of a chat."""
    own: Any = callbacks
    makers = ((own.llm_chat_callback, True), (own.llm_completion_callback, False))
    return [(make()(each).__code__, chats) for make, chats in makers for each in _functions()]


def _functions() -> tuple[Any, Any]:
    """Give a function that blocks, and one that is awaited."""

    def blocks() -> None: ...
    async def is_awaited() -> None: ...

    return blocks, is_awaited


def _is_made_by(code: CodeType, function: Any) -> bool:
    """Say whether a function is one of that code, and no stand-in that only shows it."""
    return type(function) is FunctionType and function.__code__ is code


def _is_silent(dispatcher: Any) -> bool:
    """Say whether nobody hears what a dispatcher tells, nor one above it."""
    while dispatcher is not None:
        listeners = (*dispatcher.event_handlers, *dispatcher.span_handlers)
        if not _NOBODY.issuperset(map(type, listeners)):
            return False
        dispatcher = dispatcher.parent if dispatcher.propagate else None
    return True


def _is_plain(question: Any, *, chats: bool) -> bool:
    """Say whether a question is what LlamaIndex's events take as it is."""
    if not chats:
        return isinstance(question, str)
    said: Any = question
    return isinstance(question, list) and {ChatMessage}.issuperset(map(type, said))


class Traced:
    """Marks what fails within, as LlamaIndex does, so that a trace around it tells it no more."""

    def __enter__(self) -> None:
        """Let the call go on."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Mark the error (CallbackManager.as_trace)."""
        failed: Any = error
        if isinstance(error, Exception):
            failed.event_added = True


TRACED = Traced()


def _describe(llm: Any) -> None:
    """Describe the model, as older versions of LlamaIndex have it, too."""
    describe = getattr(llm, "to_payload", None) or llm.to_dict
    describe()


def _quiet(within: Any) -> Any:
    """Give a method without its telling.

    The model is described all the same: LlamaIndex's own refuses one that it does not know.
    """

    def ask(llm: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with TRACED:
            _describe(llm)
            return within(llm, *args, **options)

    async def aask(llm: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with TRACED:
            _describe(llm)
            return await within(llm, *args, **options)

    return aask if iscoroutinefunction(within) else ask
