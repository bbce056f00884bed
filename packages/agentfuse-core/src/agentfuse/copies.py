"""Copies of frozen, slotted dataclasses with a few fields changed, made slot by slot."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

Thing = TypeVar("Thing")

_new = object.__new__


def changed(thing: Thing, **changes: Any) -> Thing:
    """Do as ``dataclasses.replace`` for a class that checks nothing, in less than half the time.

    A ticket is copied some five times in a call. Raises KeyError for a field that is none.
    """
    kind: Any = type(thing)
    slots, writers = _slots_of(kind)
    copy: Thing = _new(kind)
    for read, write in slots:
        write(copy, read(thing))
    for name, value in changes.items():
        writers[name](copy, value)
    return copy


@lru_cache(maxsize=64)
def _slots_of(kind: Any) -> Any:
    """Give how each slot of a class is read and written."""
    slots = {field.name: getattr(kind, field.name) for field in fields(kind)}
    pairs = tuple((slot.__get__, slot.__set__) for slot in slots.values())
    return pairs, {name: slot.__set__ for name, slot in slots.items()}
