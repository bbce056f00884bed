"""What later turns refer to: identifiers, dates and amounts, and the pieces that tell of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agentfuse.compression.outputs import json_in
from agentfuse.compression.spans import ANSWERING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentfuse.messages import Message

# A word that can be referred to: it has a digit in it or an @, a slash or an underscore within, and
# at least three characters (A-1043, 2026-05-01, $1,299.00, ann@example.org, src/app.py, build_id).
_WORD = re.compile(r"[^\s\"'`()\[\]{}<>,;|=]+(?:,\d{3}(?:\.\d+)?)*")
_TELLING = re.compile(r"\d|\w[@/_]\w")
_EDGES = ".,:;!?*#"
_SHORTEST, _LONGEST = 3, 80
# The characters around a reference that are kept of a line, and of a JSON object.
_AROUND, _OBJECT = 160, 400
# Of a word that many results of tools name, so many are quoted.
_RESULTS = 2


def words_of(message: Message) -> str:
    """Give all the words of a message: its text, and what it calls tools with."""
    if not message.tool_calls:
        return message.text
    return "\n".join([message.text, *(f"{c.name} {c.arguments}" for c in message.tool_calls)])


def references_in(text: str) -> set[str]:
    """Name what a text refers to, without the signs around it."""
    found = {word.strip(_EDGES) for word in _WORD.findall(text) if _TELLING.search(word)}
    return {word for word in found if _SHORTEST <= len(word) <= _LONGEST}


def index_of(messages: Sequence[Message], places: Iterable[int]) -> dict[str, list[int]]:
    """List where each reference stands, in the order of the messages."""
    index: dict[str, list[int]] = {}
    for place in places:
        for word in references_in(words_of(messages[place])):
            index.setdefault(word, []).append(place)
    return index


def pieces_for(
    words: Iterable[str], index: Mapping[str, Sequence[int]], messages: Sequence[Message]
) -> Iterator[str]:
    """Give the lines that tell of these words, each once: the most telling and the newest first.

    What tools said of a word tells more of it than who asked for it.
    """
    mentions = {
        (messages[place].role not in ANSWERING, -place, word)
        for word in words
        for place in _telling(index.get(word, ()), messages)
    }
    told: set[str] = set()
    for _, place, word in sorted(mentions):
        message = messages[-place]
        piece = piece_about(word, words_of(message))
        if piece and piece not in told:
            told.add(piece)
            yield f"- {message.name or message.role}: {piece}"


def _telling(places: Sequence[int], messages: Sequence[Message]) -> set[int]:
    """Choose among many mentions: what tools said last, and the first and the last of all."""
    results = [place for place in places if messages[place].role in ANSWERING]
    return {*results[-_RESULTS:], *places[:1], *places[-1:]}


def piece_about(word: str, text: str) -> str:
    """Give the smallest JSON object, or else the line, that a word stands in."""
    value = json_in(text)
    if value is not None:
        found = _innermost(value, word)
        written = "" if found is None else json.dumps(found, ensure_ascii=False)
        if written and len(written) <= _OBJECT:
            return written
    at = text.find(word)
    if at < 0:
        return ""
    start = max(text.rfind("\n", 0, at) + 1, at - _AROUND)
    stop = text.find("\n", at)
    stop = min(len(text) if stop < 0 else stop, at + len(word) + _AROUND)
    return text[start:stop].strip()


def _innermost(value: Any, word: str) -> Any:
    """Find the deepest object with a field of that word; None where no field has it."""
    kind = value.__class__.__name__  # exact, as json makes them
    items: list[Any] = []
    if kind == "dict":
        items = list(value.values())
        if any(word in _shown(each) for each in items) or any(word in key for key in value):
            return value
    elif kind == "list":
        items = value
    return next((hit for each in items if (hit := _innermost(each, word)) is not None), None)


def _shown(value: Any) -> str:
    return "" if isinstance(value, dict | list) else str(value)
