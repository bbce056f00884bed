"""Labelled traffic from a file: pairs, trials, or a stream of questions with classes."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """A text ``asked`` beside one ``kept``, and whether the kept one's answer is ``right`` for it.

    A trial brings its ``score`` by ``embedder`` (else None), and why it was vetoed.
    """

    asked: str
    kept: str
    right: bool
    score: float | None = None
    embedder: str = ""
    veto: str = ""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """One question of a stream: an earlier one's answer is right if its class agrees."""

    text: str
    label: Any


def rows_in(path: Path) -> Sequence[LabelledPair] | Sequence[LabelledQuestion]:
    """Read a file of one form; raises ConfigurationError for a line that is of neither."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ConfigurationError(f"{path} is empty: there is nothing to calibrate on")
    try:
        first = json.loads(lines[0][1])
        if isinstance(first, dict) and "q" in first:
            return [_question_of(json.loads(line)) for _, line in lines]
        return [_pair_of(json.loads(line)) for _, line in lines]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f'{path} has a line that is neither {{"a", "b", "y"}} nor {{"q", "c"}}: {error!r}'
        ) from error


def _question_of(line: dict[str, Any]) -> LabelledQuestion:
    return LabelledQuestion(str(line["q"]), line["c"])


def _pair_of(line: dict[str, Any]) -> LabelledPair:
    if line["y"] not in (0, 1):
        raise ValueError(f"y is 0 or 1, not {line['y']!r}")
    score = line.get("score")
    return LabelledPair(
        asked=str(line["b"]),
        kept=str(line["a"]),
        right=bool(line["y"]),
        score=None if score is None else float(score),
        embedder=str(line.get("embedder") or ""),
        veto=str(line.get("veto") or ""),
    )
