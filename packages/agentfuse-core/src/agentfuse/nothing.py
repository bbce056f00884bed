"""The empty mapping: one immutable, hashable value to stand as a default in frozen dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class _Nothing(Mapping[str, Any]):
    """A mapping without entries (``MappingProxyType`` is unhashable before Python 3.12)."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def get(self, _key: str, default: Any = None) -> Any:
        """Give the default at once: Mapping's own way is through a KeyError, thrice as slow."""
        return default

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING: Mapping[str, Any] = _Nothing()
