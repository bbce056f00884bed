"""Whose budget pays for a call: the LLM's own fuse, or the one a hook has handed over."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewai.hooks.dispatch import InterceptionPoint, get_hooks, get_scoped_hooks
from crewai.hooks.llm_hooks import model_call_hooks_already_dispatched

if TYPE_CHECKING:
    from collections.abc import Generator

    from crewai import Crew

    from agentfuse import Fuse


@dataclass(frozen=True, slots=True)
class Grant:
    """A fuse that pays for the calls of one dispatch of hooks, made by ``crew`` if it is known."""

    fuse: Fuse
    crew: Crew | None = None


_granted: ContextVar[Grant | None] = ContextVar("agentfuse_crewai_grant", default=None)
# The LLM whose own call dispatches the hooks now, so that a hook knows it will be heard.
_dispatching: ContextVar[Any] = ContextVar("agentfuse_crewai_dispatching", default=None)
_passing: ContextVar[Any] = ContextVar("agentfuse_crewai_passing", default=None)


def own_fuse_of(llm: Any) -> Fuse | None:
    """Give the fuse an LLM carries; read where pydantic keeps it, as its own way is slow."""
    private: dict[str, Any] = llm.__pydantic_private__ or {}
    return private.get("_fuse")


def grant(fuse: Fuse, crew: Crew | None) -> None:
    """Let a fuse pay for what this dispatch of hooks allows."""
    _granted.set(Grant(fuse, crew))


def granted() -> Grant | None:
    """Give what the last dispatch of hooks in this context has granted."""
    return _granted.get()


def is_dispatching(llm: Any) -> bool:
    """Say whether a call of ours waits for the hooks' word."""
    return llm is not None and _dispatching.get() is llm


@contextmanager
def passing(llm: Any) -> Generator[None]:
    """Let a call that nobody pays for go its own way, past the hooks that have been asked."""
    token = _passing.set(llm)
    try:
        yield
    finally:
        _passing.reset(token)


def is_passing(llm: Any) -> bool:
    """Say whether the hooks of this LLM's call have been run although no fuse pays for it."""
    return llm is not None and _passing.get() is llm


def has_hooks(point: InterceptionPoint = InterceptionPoint.PRE_MODEL_CALL) -> bool:
    """Say whether anybody would hear of a call, by default before it is made."""
    return bool(get_hooks(point) or get_scoped_hooks(point))


def were_dispatched() -> bool:
    """Say whether an executor has run the hooks for the calls made here."""
    return model_call_hooks_already_dispatched()


@contextmanager
def dispatching(llm: Any) -> Generator[None]:
    """Let hooks grant anew."""
    _granted.set(None)
    token = _dispatching.set(llm)
    try:
        yield
    finally:
        _dispatching.reset(token)
