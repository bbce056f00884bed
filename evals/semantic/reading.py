"""Read labelled pairs, streams and conversations from a folder of gzipped JSON lines."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = ("adversarial", "fow_pairs", "checklist", "semantoneg", "qqp", "gptcache_mock")
# How many requests of a stream are replayed; None is all.
STREAMS: dict[str, int | None] = {
    "stream_agent": None,
    "stream_mixed": None,
    "stream_banking77": 5_000,
    "stream_clinc150": None,
    "stream_qqp": None,
    "stream_seed100": None,
}
CONVERSATIONS = "fow_conv"


@dataclass(frozen=True, slots=True)
class Row:
    """Two texts, and whether one answer serves both."""

    asked: str
    kept: str
    same: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The last message of a conversation, and all that came before it."""

    text: str
    history: str


def names_in(folder: Path) -> set[str]:
    """Name the sets that a folder holds."""
    return {path.name.removesuffix(".jsonl.gz") for path in folder.glob("*.jsonl.gz")}


def pairs_in(folder: Path, name: str) -> list[Row]:
    """Read a set of pairs."""
    return [Row(line["a"], line["b"], bool(line["y"])) for line in _lines(folder, name)]


def stream_in(folder: Path, name: str) -> list[tuple[str, Any]]:
    """Read a stream: texts in their order, each with its class (None is alone in its class)."""
    return [(line["q"], line["c"]) for line in _lines(folder, name)][: STREAMS.get(name)]


def conversations_in(folder: Path) -> list[tuple[Turn, Turn, bool]]:
    """Read pairs of conversations, and whether one answer serves both."""
    return [
        (_turn(line["a"]), _turn(line["b"]), bool(line["y"]))
        for line in _lines(folder, CONVERSATIONS)
    ]


def texts_in(folder: Path, names: set[str]) -> list[str]:
    """Give every text of some sets once."""
    found: dict[str, None] = {}
    for name in sorted(names):
        if name in PAIRS:
            found.update(
                (text, None) for row in pairs_in(folder, name) for text in (row.asked, row.kept)
            )
        elif name in STREAMS:
            found.update((text, None) for text, _ in stream_in(folder, name))
        elif name == CONVERSATIONS:
            found.update(
                (turn.text, None) for *turns, _ in conversations_in(folder) for turn in turns
            )
    return list(found)


def _turn(messages: list[dict[str, Any]]) -> Turn:
    return Turn(messages[-1]["content"], json.dumps(messages[:-1], sort_keys=True))


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
