"""Take JSON values for what they ought to be, and for nothing where they are something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Sequence


def object_of(value: Any) -> dict[str, Any]:
    """Give an object, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items_of(value: Any) -> Sequence[Any]:
    """Give a list's items, or none of anything else."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


# Signatures and encrypted thoughts: long, without a space, in base64.
_SEALED = re.compile(r"[A-Za-z0-9+/_=-]{200,}")


def unsealed(value: Any) -> Any:
    """Leave out of a JSON value what no model reads as text: signatures, encrypted thoughts."""
    if isinstance(value, str):
        return "" if _SEALED.fullmatch(value) else value
    if isinstance(value, list):
        return [unsealed(each) for each in items_of(value)]
    if isinstance(value, dict):
        return {key: unsealed(each) for key, each in object_of(value).items()}
    return value
