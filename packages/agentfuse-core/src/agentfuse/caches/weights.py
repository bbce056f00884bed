"""How much memory a reply takes, near enough to bound a cache by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from sys import getsizeof
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Reply


# The objects around what an answer says: choices, usage, ids (measured: some 1,000 bytes).
FRAME = 1_000


def bytes_of(reply: Reply) -> int:
    """Estimate a reply's bytes: its objects, strings and blocks as CPython keeps them.

    Where it carries its own JSON, all it says is in there once, and once more in its parts; walking
    through them would cost a third of what a whole call costs us (60 us).
    """
    return FRAME + 2 * getsizeof(reply.raw) if reply.raw else _weight(reply)


def _weight(thing: Any) -> int:
    if thing is None or isinstance(thing, bool):
        return 0
    return getsizeof(thing) + sum(map(_weight, _inside(thing)))


def _inside(thing: Any) -> list[Any]:
    if is_dataclass(thing):
        return [getattr(thing, field.name) for field in fields(thing)]
    if isinstance(thing, tuple | list):
        return list(cast("Sequence[Any]", thing))
    if isinstance(thing, Mapping):
        block = cast("Mapping[str, Any]", thing)
        return [half for pair in block.items() for half in pair]
    return []
