"""The four hooks every paid call of a LangChain chat model ends in, each through the fuse."""

from __future__ import annotations

from contextvars import ContextVar
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from agentfuse_langchain.codec import ChatCodec
from agentfuse_langchain.errors import IN_LANGCHAINS_TERMS
from agentfuse_langchain.hanging_up import ahang_up, hang_up
from agentfuse_langchain.requests import Asking
from agentfuse_langchain.scopes import scope_of_hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from agentfuse.messages import Request

# The model whose own hook runs now. Hooks call one another (LangChain's `_agenerate` runs
# `_generate` in an executor, a provider's `_generate` may call its `_stream`): only the outermost
# is a call of its own.
_running: ContextVar[BaseChatModel | None] = ContextVar("agentfuse_langchain_running", default=None)


def hooks_of(bare: type[BaseChatModel]) -> dict[str, Any]:
    """Give the metered hooks of a provider's class, for those it overrides and for no others.

    LangChain asks by identity whether a class can stream (BaseChatModel._should_stream), so a hook
    that the provider leaves alone must stay LangChain's.
    """
    makers: dict[str, Callable[[Any], Callable[..., Any]]] = {
        "_generate": _generate_of,
        "_agenerate": _agenerate_of,
        "_stream": _stream_of,
        "_astream": _astream_of,
    }
    found: dict[str, Any] = {}
    for name, maker in makers.items():
        hook = getattr(bare, name)
        if hook is not getattr(BaseChatModel, name):
            found[name] = _signed(maker(hook), hook)
    return found


def _signed(ours: Any, hook: Callable[..., Any]) -> Any:
    """Give our hook the provider's name and its signature, which LangChain reads for each call."""
    signed: Any = wraps(hook)(ours)
    signed.__signature__ = signature(hook)
    return signed


class _OwnHookOf:
    """Marks that the model's own hook runs; never held across a ``yield``."""

    __slots__ = ("_model", "_token")

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._token = _running.set(self._model)

    def __exit__(self, *_: object) -> None:
        _running.reset(self._token)


def _given(run_manager: Any) -> dict[str, Any]:
    """Pass a run manager on only where there is one: not every provider's hook takes it."""
    return {} if run_manager is None else {"run_manager": run_manager}


def _generate_of(hook: Callable[..., ChatResult]) -> Callable[..., ChatResult]:
    def _generate(
        self: Any,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        if _running.get() is self:
            return hook(self, messages, stop=stop, **_given(run_manager), **kwargs)
        asking = Asking.of(self, messages, stop, kwargs)

        def send(request: Request) -> ChatResult:
            words = {**_given(run_manager), **asking.kwargs_for(request)}
            model = asking.speaker_for(request)
            with _OwnHookOf(model):
                return hook(model, asking.messages_for(request), stop=stop, **words)

        with IN_LANGCHAINS_TERMS, scope_of_hook(run_manager):
            result: ChatResult = self.fuse.call(asking.request, send, ChatCodec(asking))
            return result

    return _generate


def _agenerate_of(hook: Callable[..., Awaitable[ChatResult]]) -> Callable[..., Any]:
    async def _agenerate(
        self: Any,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        if _running.get() is self:
            return await hook(self, messages, stop=stop, **_given(run_manager), **kwargs)
        asking = Asking.of(self, messages, stop, kwargs)

        async def send(request: Request) -> ChatResult:
            words = {**_given(run_manager), **asking.kwargs_for(request)}
            model = asking.speaker_for(request)
            with _OwnHookOf(model):
                return await hook(model, asking.messages_for(request), stop=stop, **words)

        with IN_LANGCHAINS_TERMS, scope_of_hook(run_manager):
            result: ChatResult = await self.fuse.acall(asking.request, send, ChatCodec(asking))
            return result

    return _agenerate


def _stream_of(hook: Callable[..., Iterator[ChatGenerationChunk]]) -> Callable[..., Any]:
    def _stream(
        self: Any,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if _running.get() is self:
            yield from hook(self, messages, stop=stop, **_given(run_manager), **kwargs)
            return
        asking = Asking.of(self, messages, stop, kwargs, stream=True)
        codec = ChatCodec(asking)

        def send(request: Request) -> Iterator[ChatGenerationChunk]:
            words = {**_given(run_manager), **asking.kwargs_for(request)}
            model, said = asking.speaker_for(request), asking.messages_for(request)
            return _marked(model, lambda: hook(model, said, stop=stop, **words), codec)

        def whole(request: Request) -> ChatResult:
            model: Any = asking.speaker_for(request)
            words = asking.kwargs_for(request)
            with _OwnHookOf(model):
                result: ChatResult = model._generate(asking.messages_for(request), stop, **words)  # noqa: SLF001
            return result

        with IN_LANGCHAINS_TERMS:
            with scope_of_hook(run_manager):
                stream = self.fuse.stream(asking.request, send, codec, whole)
            with stream:
                yield from stream

    return _stream


def _marked(
    model: BaseChatModel, open_stream: Callable[[], Iterator[ChatGenerationChunk]], codec: ChatCodec
) -> Iterator[ChatGenerationChunk]:
    """Run the provider's stream, marked as its own only while it works, and close it at the end."""
    with _OwnHookOf(model):
        wire = iter(open_stream())
    try:
        while True:
            with _OwnHookOf(model):
                chunk = next(wire, None)
            if chunk is None:
                codec.ended = True
                return
            yield chunk
    finally:
        hang_up(wire)


def _astream_of(hook: Callable[..., AsyncIterator[ChatGenerationChunk]]) -> Callable[..., Any]:
    async def _astream(
        self: Any,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if _running.get() is self:
            async for chunk in hook(self, messages, stop=stop, **_given(run_manager), **kwargs):
                yield chunk
            return
        asking = Asking.of(self, messages, stop, kwargs, stream=True)
        codec = ChatCodec(asking)

        async def send(request: Request) -> AsyncIterator[ChatGenerationChunk]:
            words = {**_given(run_manager), **asking.kwargs_for(request)}
            model, said = asking.speaker_for(request), asking.messages_for(request)
            return _amarked(model, lambda: hook(model, said, stop=stop, **words), codec)

        async def whole(request: Request) -> ChatResult:
            model: Any = asking.speaker_for(request)
            said, words = asking.messages_for(request), asking.kwargs_for(request)
            with _OwnHookOf(model):
                result: ChatResult = await model._agenerate(said, stop, **words)  # noqa: SLF001
            return result

        with IN_LANGCHAINS_TERMS:
            with scope_of_hook(run_manager):
                stream = await self.fuse.astream(asking.request, send, codec, whole)
            async with stream:
                async for chunk in stream:
                    yield chunk

    return _astream


async def _amarked(
    model: BaseChatModel,
    open_stream: Callable[[], AsyncIterator[ChatGenerationChunk]],
    codec: ChatCodec,
) -> AsyncIterator[ChatGenerationChunk]:
    """Do as ``_marked``, awaited."""
    with _OwnHookOf(model):
        wire = aiter(open_stream())
    try:
        while True:
            with _OwnHookOf(model):
                chunk = await anext(wire, None)
            if chunk is None:
                codec.ended = True
                return
            yield chunk
    finally:
        await ahang_up(wire)
