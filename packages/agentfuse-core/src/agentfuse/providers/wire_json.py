"""JSON from others, read without trust: an object where one is expected, or an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from agentfuse.messages import Json


def object_of(value: Json) -> dict[str, Json]:
    """Give a JSON object as it is, and an empty one for anything else."""
    return cast("dict[str, Json]", value) if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """Give a JSON list as it is, and an empty one for anything else."""
    items: list[Json] = value if isinstance(value, list) else []
    return items
