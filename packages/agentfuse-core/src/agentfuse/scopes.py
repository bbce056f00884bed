"""On whose behalf a call is made: ids that travel with the context, not through signatures."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

ScopeName = Literal["run", "session", "user", "team", "tenant"]
SCOPES: tuple[ScopeName, ...] = get_args(ScopeName)
Mode = Literal["", "off", "exact", "semantic", "shadow"]
"""What may answer a call: what the fuse says, nothing, the exact cache, the semantic one too, or
that one on trial."""

MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The ids a call carries, and what may answer it; an empty one says nothing."""

    run: str = ""
    session: str = ""
    user: str = ""
    team: str = ""
    tenant: str = ""
    tags: tuple[str, ...] = ()
    cache: Mode = ""


NO_SCOPE = Scope()
_current: ContextVar[Scope] = ContextVar("agentfuse_scope", default=NO_SCOPE)


def current_scope() -> Scope:
    """Give the ids that hold where this is called."""
    return _current.get()


@contextmanager
def scope(  # noqa: PLR0913 - each is an id of the same call
    *,
    run: str = "",
    session: str = "",
    user: str = "",
    team: str = "",
    tenant: str = "",
    tags: tuple[str, ...] = (),
    cache: Mode = "",
) -> Generator[Scope]:
    """Give every call within a ``with`` the ids of those it is made for.

    An id not given stays that of the scope around it; ``tags`` add to its tags. They decide whose
    ``limits`` a call is booked on and whose answers it may be given (``tenant``), and stand on its
    receipt. ``cache`` says what may answer: nothing ("off"), the exact cache alone ("exact"), the
    semantic one too ("semantic"), or that one on trial ("shadow": the model is asked anyway, and
    the two answers are compared). All this follows tasks and ``asyncio.to_thread``, as any context
    variable does; a thread that a program starts itself begins without it.
    """
    if cache not in MODES:
        raise ConfigurationError(f"cache must be one of {MODES[1:]}, not {cache!r}")
    given = {"run": run, "session": session, "user": user, "team": team, "tenant": tenant}
    outer = _current.get()
    named = {name: each for name, each in given.items() if each}
    inner = replace(outer, **named, tags=(*outer.tags, *tags), cache=cache or outer.cache)
    token = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(token)


_route: ContextVar[Any] = ContextVar("agentfuse_route", default=None)


def current_route() -> Any:
    """Give what this call is to be routed by: see ``routed_by``."""
    return _route.get()


@contextmanager
def routed_by(route: Any) -> Generator[None]:
    """Route what begins within by another router (or cascade) than the fuse's own.

    True is the fuse's own, whichever model is asked for; False none; None changes nothing. Never
    held across a ``yield`` to a caller.
    """
    if route is None:
        yield
        return
    token = _route.set(route)
    try:
        yield
    finally:
        _route.reset(token)
