"""What the provider itself said, overheard where a model fetches it.

The SDK's ``ModelResponse`` keeps the output and five token counts. It drops why the answer ended
(a text that was cut looks whole), the model and tier that served it, and the whole of an answer
that it rejects although it was billed. All models of the SDK fetch in one method, which is
overheard here; of a model that has none, the ``ModelResponse`` has to do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, cast

from openai.types.responses import Response
from pydantic import BaseModel

from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.usages import plain_body, report_of, stream_usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from agents import Model

    from agentfuse.messages import Json
    from agentfuse.usage import UsageReport

# `_fetch_response` of OpenAI's two models and LiteLLM's, and the two of AnyLLM.
_FETCHING = ("_fetch_response", "_fetch_chat_response", "_fetch_responses_response")

_TELLING = ("model", "service_tier", "status", "incomplete_details", "usage")
_SAID = frozenset({"message", "function_call", "reasoning"})

# LiteLLM writes the cost it has worked out itself where some providers tell what they charged.
_GUESSING = "litellm"

# Why a response of the Responses API is incomplete, in the words of chat completions.
_ENDS = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Tap:
    """Hears one call.

    ``hides_usage`` keeps a stream's usage from the SDK and its caller. ``rejected`` are the items
    of an answer that the SDK raised an error over.
    """

    __slots__ = ("_body", "_finish", "_streamed", "_usages", "hides_usage", "rejected")

    def __init__(self, *, hides_usage: bool = False) -> None:
        self.hides_usage = hides_usage
        self._body: Mapping[str, Json] = {}
        self.rejected: list[Any] = []
        self._finish = ""
        self._streamed = False
        self._usages: list[Mapping[str, Json]] = []

    def hear(self, fetched: Any) -> Any:
        """Note what was fetched, and give what the model goes on with."""
        if isinstance(fetched, tuple):  # a chat model's stream, and the response it fills
            envelope, stream = cast("tuple[Any, Any]", fetched)
            return envelope, _Overheard(stream, self)
        if not hasattr(fetched, "__aiter__"):  # events of the Responses API tell it all themselves
            self.note(fetched)
        return fetched

    def note(self, answer: Any) -> None:
        """Note a whole answer, or the response that closes a stream."""
        self._body = telling_body(answer)

    def note_chunk(self, chunk: Any) -> None:
        """Note a chunk of a chat stream: how a choice ended, and what it cost."""
        self._streamed = True
        for choice in getattr(chunk, "choices", None) or ():
            self._finish = getattr(choice, "finish_reason", None) or self._finish
        if getattr(chunk, "usage", None) is not None:
            self._usages.append(telling_body(chunk))

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, in the words of chat completions; empty where nothing tells.

        A chat stream that closed without saying so was interrupted, whatever the SDK makes of it.
        """
        if self._streamed:
            return self._finish or "interrupted"
        return finish_reason_of(self._body)

    @property
    def model(self) -> str:
        """The name the provider answered under; empty where it told none."""
        body = self._usages[-1] if self._usages else self._body
        return str(body.get("model") or "")

    def report(self, provider: str, model: str) -> UsageReport | None:
        """Give what the provider billed; None where it has not said."""
        body = (stream_usage(self._usages) if self._usages else None) or self._body
        return report_of(body, provider=provider, model=model) if body else None


def telling_body(answer: Any) -> Mapping[str, Json]:
    """Give the fields of an answer that tell its bill and its end, and none of what was said.

    Of its output only what the provider's own tools did, since each use may have a fee.
    """
    body = {name: _plain(said(answer, name)) for name in _TELLING}
    if type(answer).__module__.startswith(_GUESSING):
        body["usage"] = {word: n for word, n in object_of(body["usage"]).items() if word != "cost"}
    body["output"] = [
        plain_body(item) for item in said(answer, "output") or () if said(item, "type") not in _SAID
    ]
    body["choices"] = [
        {"finish_reason": said(choice, "finish_reason")} for choice in said(answer, "choices") or ()
    ]
    return {name: value for name, value in body.items() if value}


def said(thing: Any, name: str) -> Any:
    """Give a field of an answer, an item or an event; any of them may be a dict."""
    if isinstance(thing, dict):
        return cast("dict[str, Any]", thing).get(name)
    if isinstance(thing, BaseModel):  # it takes microseconds to say that it has no such field
        more = thing.__pydantic_extra__
        return thing.__dict__[name] if name in thing.__dict__ else more.get(name) if more else None
    return getattr(thing, name, None)


def _plain(value: Any) -> Json:
    return value if value is None or isinstance(value, str) else plain_body(value)


def finish_reason_of(body: Mapping[str, Json]) -> str:
    """Read why an answer ended from a chat completion's body, or a response's."""
    choices = list_of(body.get("choices"))
    if choices:
        return str(object_of(choices[0]).get("finish_reason") or "")
    match body.get("status"):
        case "incomplete":
            details = object_of(body.get("incomplete_details"))
            return _ENDS.get(str(details.get("reason")), "length")
        case "completed":
            return "stop"
        case other:
            return str(other or "")


class _Overheard:
    """A chat model's stream; what is not about its chunks is the stream's own."""

    def __init__(self, stream: Any, tap: Tap) -> None:
        self._stream = stream
        self._chunks: AsyncIterator[Any] = aiter(stream)
        self._tap = tap

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            chunk = await anext(self._chunks)
            self._tap.note_chunk(chunk)
            if not self._tap.hides_usage or getattr(chunk, "usage", None) is None:
                return chunk
            if chunk.choices:
                return chunk.model_copy(update={"usage": None})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def overheard(model: Model, tap: Tap) -> Any:
    """Give a model that does as this one, with its very state, and is heard by ``tap``.

    The given one is left alone: the other is of a subclass and shares its ``__dict__``, so that a
    client it opens or a warning it gives is the first one's too.
    """
    kind = _overheard_class_of(type(model))
    if kind is None:
        return model
    view: Any = object.__new__(kind)
    view.__dict__ = model.__dict__
    object.__setattr__(view, "_agentfuse_tap", tap)
    return view


@lru_cache(maxsize=64)
def _overheard_class_of(kind: type[Model]) -> type[Any] | None:
    """Subclass a model's class, with its fetching heard; None where it has none of its own."""
    methods = {name: _heard(kind, name) for name in _FETCHING if hasattr(kind, name)}
    if not methods or not _has_state(kind):
        return None
    namespace = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__slots__": ("_agentfuse_tap",),
        **methods,
    }
    make: Any = type(kind)
    made: type[Any] = make(kind.__name__, (kind,), namespace)
    return made


def _has_state(kind: type[Any]) -> bool:
    return any("__dict__" in vars(each) for each in kind.__mro__)


def _heard(kind: type[Any], name: str) -> Any:
    async def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            fetched = await getattr(kind, name)(self, *args, **kwargs)
        except Exception as error:
            answer = _answer_behind(error.__traceback__)
            if answer is not None:
                self._agentfuse_tap.note(answer)
                self._agentfuse_tap.rejected = answer.output
            raise
        return self._agentfuse_tap.hear(fetched)

    return fetch


def _answer_behind(trace: TracebackType | None) -> Response | None:
    """Find the answer that an SDK's model rejected, in the frame that raised.

    A response that is incomplete was billed, and the error that is raised in its place
    (``response_terminal_failure_error``) tells no usage.
    """
    while trace is not None:
        for value in list(trace.tb_frame.f_locals.values()):
            if isinstance(value, Response) and value.usage is not None:
                return value
        trace = trace.tb_next
    return None
