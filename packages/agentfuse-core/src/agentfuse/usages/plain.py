"""Make JSON of whatever a client library calls an answer, knowing none of the libraries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Deeper than any answer is nested: an object that holds itself ends here.
_DEEPEST = 24

_LEAVES = (str, int, float, bool, type(None))
_PLAINEST = frozenset(_LEAVES)


def plain_body(body: object) -> Mapping[str, Any] | list[Mapping[str, Any]]:
    """Give an answer as JSON's own types: an object, or the list of a stream's events.

    Takes mappings, JSON text, the OpenAI, Anthropic and Google clients' objects (whatever has
    ``model_dump`` or ``to_dict``), protocol buffers and objects with plain attributes. Never
    raises: what cannot be read is an empty object.
    """
    if isinstance(body, str | bytes | bytearray):
        body = _parsed(body)
    found = _plain(body, _DEEPEST)
    if isinstance(found, list):
        return [each for each in cast("list[object]", found) if isinstance(each, Mapping)]
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else NOTHING


def _parsed(text: str | bytes | bytearray) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _plain(value: object, depth: int) -> object:
    if type(value) in _PLAINEST or isinstance(value, _LEAVES):
        return value
    if depth <= 0:
        return None
    if isinstance(value, Mapping):
        return {
            str(key): _plain(each, depth - 1)
            for key, each in cast("Mapping[object, object]", value).items()
        }
    if isinstance(value, list | tuple):
        return [_plain(each, depth - 1) for each in cast("Sequence[Any]", value)]
    return _plain_object(value, depth)


def _plain_object(value: object, depth: int) -> object:
    if hasattr(type(value), "model_dump"):
        written = _told(
            lambda: cast("Any", value).model_dump(mode="json", by_alias=True, warnings=False)
        )
        if isinstance(written, dict):  # pydantic's own JSON, with nothing in it left to read
            return cast("dict[str, Any]", written)
    if getattr(value, "name", None) and hasattr(value, "value"):
        return value
    fields = _fields_of(value)
    return None if fields is None else _plain(fields, depth - 1)


def _fields_of(thing: object) -> Mapping[str, Any] | None:
    """Ask an object for its fields, in the ways of pydantic, proto-plus and plain classes."""
    kind = type(thing)
    for ask in (
        lambda: cast("Any", thing).model_dump(by_alias=True, warnings=False),
        lambda: cast("Any", thing).to_dict(),
        lambda: cast("Any", kind).to_dict(thing),
        lambda: vars(thing),
    ):
        found = _told(ask)
        if isinstance(found, Mapping):
            return cast("Mapping[str, Any]", found)
    return None


def _told(ask: Callable[[], object]) -> object:
    """Ask, of an object that may fail in any way: its bill must still be read."""
    try:
        return ask()
    except Exception:  # noqa: BLE001 - any library's object
        return None
