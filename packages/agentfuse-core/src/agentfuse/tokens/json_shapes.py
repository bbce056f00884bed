"""Take JSON values for what they ought to be, and for nothing where they are something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence


def object_of(value: Any) -> dict[str, Any]:
    """Give an object, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items_of(value: Any) -> Sequence[Any]:
    """Give a list's items, or none of anything else."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()
