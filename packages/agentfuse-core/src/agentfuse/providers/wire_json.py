"""JSON from others, read without trust: an object where one is expected, or an empty one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from agentfuse.messages import Json


def object_of(value: Json) -> dict[str, Json]:
    """Give a JSON object as it is, and an empty one for anything else."""
    return value if _is_object(value) else {}


def list_of(value: Json) -> list[Json]:
    """Give a JSON list as it is, and an empty one for anything else."""
    return value if _is_list(value) else []


def _is_object(value: Json) -> TypeGuard[dict[str, Json]]:
    return isinstance(value, dict)


def _is_list(value: Json) -> TypeGuard[list[Json]]:
    return isinstance(value, list)
