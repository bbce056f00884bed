"""LlamaIndex's own retries of OpenAI calls, around what asks the provider and nothing else.

LlamaIndex puts tenacity around the whole of ``_chat``, which costs 95 us even where nothing fails.
An answer from memory cannot fail; what is asked is repeated as often, and as late, as ever.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from agentfuse_llama_index.shortcuts import own_openai

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.runtime.repeating import Repeat

_BASE = "llama_index.llms.openai.base"
# The LLM whose method runs now without its retries, and what makes them.
_running: ContextVar[tuple[Any, Any] | None] = ContextVar("agentfuse_unretried", default=None)


def owed() -> Repeat[Any] | None:
    """Give the retries that whoever asks the provider is to make, None where they are made."""
    running = _running.get()
    return None if running is None else partial(running[1], running[0])


def _retrying(method: Any) -> Any:
    """Make an attempt, and others as the LLM would, under the name that its log gives them."""

    @wraps(method)
    def attempts(_llm: Any, attempt: Callable[[], Any]) -> Any:
        return attempt()

    return _decorator()(attempts)


def _aretrying(method: Any) -> Any:
    """Do as ``_retrying``, awaited."""

    @wraps(method)
    async def attempts(_llm: Any, attempt: Callable[[], Any]) -> Any:
        return await attempt()

    return _decorator()(attempts)


def without_retries(bare: type[Any]) -> dict[str, Callable[..., Any]]:
    """Give the methods of an OpenAI class without the retries that the door makes in their place.

    Only what LlamaIndex wrote and decorated itself; a class's own way to repeat stays around all.
    """
    makers = {"_chat": _chat, "_achat": _achat, "_stream_chat": _opened, "_astream_chat": _opened}
    return {
        name: maker(getattr(bare, name))
        for name, maker in makers.items()
        if _is_decorated(getattr(bare, name, None), name)
    }


def _decorator() -> Any:
    module: Any = sys.modules[_BASE]
    return module.llm_retry_decorator


def _is_decorated(method: Any, name: str) -> bool:
    """Say whether a method is LlamaIndex's own, with just its retries around it."""
    decorate = getattr(sys.modules[_BASE], "llm_retry_decorator", None)
    own: Any = getattr(own_openai(), name, None)
    if decorate is None or own is None or method is not own:
        return False
    return hasattr(own, "__wrapped__") and own.__code__ is decorate(own).__code__


def _chat(method: Any) -> Callable[..., Any]:
    plain = method.__wrapped__
    retrying = _retrying(plain)

    def ask(self: Any, messages: Any, **options: Any) -> Any:
        if not self.reuse_client:  # each attempt opens a client of its own
            return method(self, messages, **options)
        token = _running.set((self, retrying))
        try:
            return plain(self, messages, **options)
        finally:
            _running.reset(token)

    return ask


def _achat(method: Any) -> Callable[..., Any]:
    plain = method.__wrapped__
    retrying = _aretrying(plain)

    async def ask(self: Any, messages: Any, **options: Any) -> Any:
        if not self.reuse_client:
            return await method(self, messages, **options)
        token = _running.set((self, retrying))
        try:
            return await plain(self, messages, **options)
        finally:
            _running.reset(token)

    return ask


def _opened(method: Any) -> Callable[..., Any]:
    """Give what opens a stream: it asks when it is read, which no retry has ever been around."""
    plain: Callable[..., Any] = method.__wrapped__
    return plain
