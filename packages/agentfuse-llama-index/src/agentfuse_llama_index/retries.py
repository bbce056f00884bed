"""LlamaIndex's own retries of OpenAI calls, around what asks the provider and nothing else.

LlamaIndex puts tenacity around the whole of ``_chat``, which costs 95 us even where nothing fails.
An answer from memory cannot fail; what is asked is repeated as often, and as late, as ever.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_BASE = "llama_index.llms.openai.base"
# The LLM whose ``_chat`` runs now without its retries.
_bare_handed: ContextVar[Any] = ContextVar("agentfuse_llama_index_bare_handed", default=None)


def owed_retries() -> Any:
    """Give the LLM whose retries are to be made by whoever asks the provider, if there is one."""
    return _bare_handed.get()


def retried(llm: Any, attempt: Callable[[], Any]) -> Any:
    """Make an attempt, and others as the LLM would."""
    return _decorator()(lambda _llm: attempt())(llm)


async def aretried(llm: Any, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Do as ``retried``, awaited."""

    async def ask(_llm: Any) -> Any:
        return await attempt()

    return await _decorator()(ask)(llm)


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
    return sys.modules[_BASE].llm_retry_decorator  # type: ignore[attr-defined]


def _is_decorated(method: Any, name: str) -> bool:
    """Say whether a method is LlamaIndex's own, with just its retries around it."""
    module: Any = sys.modules[_BASE]
    decorate = getattr(module, "llm_retry_decorator", None)
    if decorate is None or method is not getattr(module.OpenAI, name):
        return False
    return hasattr(method, "__wrapped__") and method.__code__ is decorate(method).__code__


def _chat(method: Any) -> Callable[..., Any]:
    plain = method.__wrapped__

    def ask(self: Any, messages: Any, **options: Any) -> Any:
        if not self.reuse_client:  # each attempt opens a client of its own
            return method(self, messages, **options)
        token = _bare_handed.set(self)
        try:
            return plain(self, messages, **options)
        finally:
            _bare_handed.reset(token)

    return ask


def _achat(method: Any) -> Callable[..., Any]:
    plain = method.__wrapped__

    async def ask(self: Any, messages: Any, **options: Any) -> Any:
        if not self.reuse_client:
            return await method(self, messages, **options)
        token = _bare_handed.set(self)
        try:
            return await plain(self, messages, **options)
        finally:
            _bare_handed.reset(token)

    return ask


def _opened(method: Any) -> Callable[..., Any]:
    """Give what opens a stream: it asks when it is read, which no retry has ever been around."""
    plain: Callable[..., Any] = method.__wrapped__
    return plain
