"""The fuse that a caller of an adapter means: a new one, a shared one, or one known by name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.fuse import Fuse

if TYPE_CHECKING:
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options


def fuse_of(budget: Dollars | None, fuse: object, options: Options) -> Fuse:
    """Give the fuse that is shared, or a new one; raises ConfigurationError for both at once."""
    if fuse is None:
        return Fuse(budget, **options)
    if budget is not None or options:
        given = ", ".join([*(["budget"] if budget is not None else []), *cast("Any", options)])
        raise ConfigurationError(f"give a fuse or {given}, not both: the fuse has its own")
    if not isinstance(fuse, Fuse):
        raise ConfigurationError(f"fuse must be an agentfuse.Fuse, not {type(fuse).__name__}")
    return fuse


def name_of(fuse: Fuse) -> str:
    """Name a fuse for a pickle: this process finds it again as long as it lives."""
    names, fuses = _names()
    name = names.setdefault(fuse, uuid4().hex)
    fuses[name] = fuse
    return name


def fuse_named(name: str) -> Fuse:
    """Find a fuse by its name; raises ConfigurationError where its money is out of reach."""
    fuse = _names()[1].get(name)
    if fuse is None:
        raise ConfigurationError(
            "a pickled fused model was loaded where its fuse does not live (another process, or"
            " after its end): pickle model.inner, and fuse it where it is used"
        )
    return fuse


@lru_cache(maxsize=1)
def _names() -> tuple[WeakKeyDictionary[Fuse, str], WeakValueDictionary[str, Fuse]]:
    return WeakKeyDictionary(), WeakValueDictionary()
