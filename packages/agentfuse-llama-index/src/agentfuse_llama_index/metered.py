"""A client's ``create`` that goes through a fuse, and the streams it opened."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from agentfuse.scopes import SCOPES, current_scope, scope
from agentfuse_llama_index.errors import InLlamaTerms, raise_swallowed
from agentfuse_llama_index.retries import owed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractContextManager

    from agentfuse import Fuse
    from agentfuse.messages import Request
    from agentfuse.scopes import Scope

Opened = list[Any]


class Asking(Protocol):
    """One call: what is asked, how its answers are read, and the words it was asked in."""

    @property
    def request(self) -> Request:
        """What is asked, in neutral words."""
        ...

    @property
    def codec(self) -> Any:
        """What reads and makes this call's answers."""
        ...

    def words_for(self, request: Request) -> dict[str, Any]:
        """Give the call's words for a request that the policy may have changed."""
        ...


# Whoever reads a stream to the user collects what is opened on the way, the outermost first. An
# SDK's stream left to the garbage collector works on as long as an event or a traceback holds it.
_collecting: ContextVar[tuple[Opened, ...]] = ContextVar("agentfuse_llama_index_opened", default=())


@dataclass(frozen=True, slots=True)
class Reading:
    """A stream on its way to the user: what was opened for it, and on whose behalf it was asked.

    Some classes ask only when the first chunk is wanted, and that may be after the ``with`` of a
    scope has ended.
    """

    opened: Opened = field(default_factory=list[Any])
    said: Scope = field(default_factory=current_scope)

    def within(self) -> _Within:
        """Collect the streams that are opened within; never held across a ``yield``."""
        return _Within(self)


class _Within:
    """One step of a reading."""

    __slots__ = ("_collected", "_reading", "_scope")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __enter__(self) -> None:
        """Collect what is opened, on behalf of whom the stream was asked for."""
        reading = self._reading
        self._collected = _collecting.set((*_collecting.get(), reading.opened))
        said = reading.said
        self._scope: AbstractContextManager[object] | None = None
        if current_scope() is not said:
            ids = {name: getattr(said, name) for name in SCOPES}
            self._scope = scope(**ids, tags=said.tags, cache=said.cache)
            self._scope.__enter__()

    def __exit__(self, *_: object) -> None:
        """Leave all as it was."""
        if self._scope is not None:
            self._scope.__exit__(None, None, None)
        _collecting.reset(self._collected)


def _opened(stream: Any) -> Any:
    for opened in _collecting.get():
        opened.append(stream)
    return stream


def metered(
    create: Callable[..., Any], fuse: Fuse, read: Callable[[Mapping[str, Any]], Asking]
) -> Callable[..., Any]:
    """Put a fuse before an SDK method; what it answers stays the SDK's own type."""

    @wraps(create)
    def asked(**given: Any) -> Any:
        asking = read(given)
        raise_swallowed(asking.request)

        def send(request: Request) -> Any:
            return create(**asking.words_for(request))

        with InLlamaTerms(fuse):
            if asking.request.stream:
                return _opened(fuse.stream(asking.request, send, asking.codec))
            return fuse.call(asking.request, send, asking.codec, owed())

    return asked


def ametered(
    create: Callable[..., Awaitable[Any]], fuse: Fuse, read: Callable[[Mapping[str, Any]], Asking]
) -> Callable[..., Awaitable[Any]]:
    """Do as ``metered``, awaited."""

    @wraps(create)
    async def asked(**given: Any) -> Any:
        asking = read(given)
        raise_swallowed(asking.request)

        async def send(request: Request) -> Any:
            return await create(**asking.words_for(request))

        with InLlamaTerms(fuse):
            if asking.request.stream:
                return _opened(await fuse.astream(asking.request, send, asking.codec))
            return await fuse.acall(asking.request, send, asking.codec, owed())

    return asked
