"""A tool's long output made short, so that it still reads as what it is.

JSON stays valid JSON: long lists and strings say how much was left out of them. Tables, logs and
code keep their head and their tail.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Of the lines that are kept, two thirds stand at the head (a table's heading, a stack's cause), and
# one third at the tail (a log's latest, a command's outcome).
_HEAD_SHARE = 2 / 3
# How many entries and characters of a list and a string are tried, the most first.
_LADDER = ((50, 2_000), (20, 600), (10, 300), (5, 160), (3, 80), (1, 40))


def shortened_output(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """Shorten a tool's output to about so many tokens, as ``count`` counts them.

    The same text gives the same result. One that fits is given back as it is.
    """
    if len(text) <= tokens or count(text) <= tokens:  # no token is shorter than a byte
        return text
    value = json_in(text)
    if value is not None:
        return _shorter_json(value, tokens, count)
    return _head_and_tail(text, tokens, count)


def json_in(text: str) -> Any:
    """Read an object or a list; None for anything else."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _shorter_json(value: Any, tokens: int, count: Callable[[str], int]) -> str:
    written = ""
    for entries, characters in _LADDER:
        written = _written(_cut(value, entries, characters, depth=8))
        if count(written) <= tokens:
            return written
    for depth in (3, 2, 1):
        written = _written(_cut(value, 1, 40, depth=depth))
        if count(written) <= tokens:
            break
    return written


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _cut(value: Any, entries: int, characters: int, *, depth: int) -> Any:
    """Shorten a JSON value; a dict keeps its keys as long as there is depth."""
    if isinstance(value, str):
        return _cut_string(value, characters)
    kind = value.__class__.__name__  # exact, as json makes them
    if kind == "dict":
        return _cut_object(value, entries, characters, depth)
    if kind == "list":
        return _cut_list(value, entries, characters, depth)
    return value


def _cut_object(fields: dict[str, Any], entries: int, characters: int, depth: int) -> Any:
    if depth <= 0:
        return f"... {len(fields)} fields left out"
    kept = list(fields.items())[: entries * 4]
    cut = {key: _cut(each, entries, characters, depth=depth - 1) for key, each in kept}
    left = len(fields) - len(kept)
    return {**cut, "...": f"{left} fields left out"} if left else cut


def _cut_list(items: list[Any], entries: int, characters: int, depth: int) -> Any:
    if depth <= 0:
        return f"... {len(items)} entries left out"
    kept = [_cut(each, entries, characters, depth=depth - 1) for each in items[:entries]]
    left = len(items) - len(kept)
    return [*kept, f"... {left} of {len(items)} entries left out"] if left else kept


def _cut_string(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    head = int(characters * _HEAD_SHARE)
    tail = characters - head
    left = len(text) - head - tail
    return f"{text[:head]}... {left} characters left out ...{text[len(text) - tail :]}"


def _head_and_tail(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """Keep whole lines at both ends; a text of few long lines is cut within them."""
    lines = text.split("\n")
    share = tokens / max(count(text), 1)
    for _ in range(4):
        kept = int(len(lines) * share)
        if kept < 3:  # noqa: PLR2004 - a head, a note and a tail
            return _cut_string(text, max(int(len(text) * share), 40))
        head = max(round(kept * _HEAD_SHARE), 1)
        tail = max(kept - head, 1)
        left = len(lines) - head - tail
        note = f"... {left} of {len(lines)} lines left out ..."
        written = "\n".join([*lines[:head], note, *lines[len(lines) - tail :]])
        size = count(written)
        if size <= tokens:
            return written
        share *= 0.9 * tokens / size
    return _cut_string(text, max(int(len(text) * share), 40))
