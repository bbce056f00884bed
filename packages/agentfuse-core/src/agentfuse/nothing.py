"""The empty mapping: one immutable, hashable value to stand as a default in frozen dataclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHANGING = (
    "__setitem__",
    "__delitem__",
    "__ior__",
    "update",
    "setdefault",
    "pop",
    "popitem",
    "clear",
)


class _Nothing(dict[str, Any]):
    """A dict that stays empty, and can be hashed.

    ``MappingProxyType`` is unhashable before Python 3.12, and a Mapping of our own is looked into
    far more slowly than a dict, and that some two hundred times in a call of an agent under way.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none
        return 0

    def __reduce__(self) -> str:
        return "NOTHING"


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("this mapping stays empty")


for _name in _CHANGING:
    setattr(_Nothing, _name, _refuse)

NOTHING: Mapping[str, Any] = _Nothing()
