"""What a model of a caller's own class is made of: a part of the question that no field tells.

A framework's own classes say in their fields what changes an answer. A subclass of a caller's may
keep a persona or an address on itself, or in a private attribute, and two of them with one model's
name would be given each other's answers.
"""

from __future__ import annotations

import marshal
import os
from functools import lru_cache
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Mapping

# Read each time. Whole numbers and containers are as they were when their model was first asked:
# many a model counts its calls, or logs them.
_READ_ANEW = frozenset({str, float, bool, type(None)})

_Known = dict[str, "bytes | str"]

# By id, objects of this process that are alive: the name of one, and what was first seen of it.
_seen: dict[int, tuple[ref[Any], _Known]] = {}
_numbers = count()
_process: list[tuple[int, str]] = []


def own_state_of(model: Any, home: str) -> str | None:
    """Digest what a model keeps beside the fields of its class, and which class that is.

    None for a class of the framework's own packages, whose names begin with ``home``. An object
    goes by its identity in this process: what is in it is not looked at.
    """
    kind: Any = model.__class__
    told = _told_by(kind, home)
    if told is None:
        return None
    held: Mapping[str, Any] = {
        **getattr(model, "__dict__", {}),
        **(getattr(model, "__pydantic_private__", None) or {}),
    }
    parts = [(name, _part(model, name, held[name])) for name in sorted(held) if name not in told]
    written = marshal.dumps((_class_name(kind), parts), 2)
    return f"sha256:{sha256(written).hexdigest()[:32]}"


@lru_cache(maxsize=256)
def _told_by(kind: Any, home: str) -> frozenset[str] | None:
    """Name what is no state of one's own: fields, and what the framework and we keep private."""
    if kind.__module__.startswith(home):
        return None
    told: set[str] = {*getattr(kind, "model_fields", ())}
    line: tuple[Any, ...] = kind.__mro__
    for each in line:
        if each.__module__.startswith((home, "agentfuse", "pydantic")):
            own: Mapping[str, Any] = each.__dict__
            told |= {*own, *own.get("__annotations__", ()), *own.get("__private_attributes__", ())}
    return frozenset(told)


def _part(model: Any, name: str, value: Any) -> Any:
    if type(value) in _READ_ANEW:
        return value
    first = _first_seen(model)
    if name not in first:
        first[name] = _written(model, value)
    return first[name]


def _written(model: Any, value: Any) -> bytes | str:
    """Write a value out, or name it; a container of objects goes by its model's name."""
    try:
        return marshal.dumps(value, 2)
    except ValueError:
        pass
    try:
        return _name_of(value)
    except TypeError:  # nobody can watch over it
        return _name_of(model)


def _class_name(kind: type[object]) -> str:
    """Name a class; a script's own, and one made in a function, may be another elsewhere."""
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return _name_of(kind)
    return f"{kind.__module__}.{kind.__qualname__}"


def _name_of(thing: object) -> str:
    known = _first_seen(thing)
    return str(known.get("") or known.setdefault("", f"{_process[0][1]} {next(_numbers)}"))


def _first_seen(thing: object) -> _Known:
    """Give what is known of an object, for as long as it lives; raises TypeError if none can be."""
    _notice_fork()
    place = id(thing)
    known = _seen.get(place)
    if known is None or known[0]() is not thing:
        known = _seen[place] = (ref(thing, lambda gone: _forget(place, gone)), {})
    return known[1]


def _forget(place: int, gone: ref[Any]) -> None:
    known = _seen.get(place)
    if known is not None and known[0] is gone:
        del _seen[place]


def _notice_fork() -> None:
    """Name this process; a forked child is another one, and names its objects anew."""
    if not _process or _process[0][0] != os.getpid():
        _seen.clear()
        _process[:] = [(os.getpid(), os.urandom(16).hex())]
