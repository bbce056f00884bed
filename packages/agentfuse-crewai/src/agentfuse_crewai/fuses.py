"""The fuse that a user's words mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentfuse import ConfigurationError, Fuse

if TYPE_CHECKING:
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options


def fuse_of(budget: Dollars | None, fuse: object, options: Options) -> Fuse:
    """Give the fuse that was given, or make one; raises ConfigurationError for both at once."""
    if fuse is None:
        return Fuse(budget, **options)
    if budget is not None or options:
        given = ", ".join([*(["budget"] if budget is not None else []), *cast("Any", options)])
        raise ConfigurationError(f"give a fuse or {given}, not both: the fuse has its own")
    if not isinstance(fuse, Fuse):
        raise ConfigurationError(f"fuse must be an agentfuse.Fuse, not {type(fuse).__name__}")
    return fuse
