"""Per-prompt scores of a weak and a strong model, read from any folder of such parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from agentfuse.messages import Message, Request, Text
from agentfuse.routing import Outcome
from agentfuse.routing.features import sketch_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The two models stand for a cheap and a dear one: whatever they were, decisions see these names
# and their prices.
WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
COSTS = {WEAK: 0.06, STRONG: 1.0}

# Pairs that go by a name of their own; any other file gives its best model and two below it.
NAMED = {
    "zeroeval": (
        ("ze_4o", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06"),
        ("ze_claude", "claude-3-haiku-20240307", "claude-3-5-sonnet-20241022"),
    ),
    "llmrouter_mix": (
        ("mix_51_7", "mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
        ("mix_51_8", "llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct"),
    ),
}
_NO_MODELS = {"prompt", "category", "split", "id", "contaminated", "weak", "strong"}


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One weak and one strong model on the same prompts."""

    name: str
    prompts: list[str]
    tags: list[str]
    weak: Any
    strong: Any

    @property
    def difference(self) -> Any:
        """How much better the strong model was, prompt by prompt."""
        return self.strong - self.weak

    def half(self) -> Any:
        """Say which half a prompt is in: by a hash of its text, so that doubles stay together."""
        return np.array([_byte(prompt, 0) % 2 == 1 for prompt in self.prompts])

    def quarter(self) -> Any:
        """Say which quarter a prompt is in."""
        return np.array([_byte(prompt, 1) % 4 for prompt in self.prompts])

    def outcomes(self, rows: Any, *, tags: bool, text: bool) -> list[Outcome]:
        """Give rows as outcomes of both models, with their tags, their texts, or both."""
        return [
            Outcome(
                scores={WEAK: float(self.weak[row]), STRONG: float(self.strong[row])},
                tag=self.tags[row] if tags else "",
                sketch=sketch_of(self.prompts[row]) if text else None,
            )
            for row in rows
        ]


def request_of(prompt: str) -> Request:
    """Ask the strong model a prompt."""
    message = Message("user", (Text(prompt),))
    return Request(provider="openai", model=STRONG, messages=(message,))


def pairs_in(folder: Path) -> Iterator[Pair]:
    """Read every file of a folder."""
    for path in sorted(folder.glob("*.parquet")):
        yield from _pairs_of(path)


def columns_of(path: Path) -> dict[str, list[Any]]:
    """Read a file without the prompts that are marked as contaminated or come twice."""
    table = pq.read_table(path).to_pydict()
    marked = table.get("contaminated") or [False] * len(table["prompt"])
    seen: set[str] = set()
    keep = []
    for row, prompt in enumerate(table["prompt"]):
        if not marked[row] and prompt not in seen:
            seen.add(prompt)
            keep.append(row)
    return {name: [column[row] for row in keep] for name, column in table.items()}


def _pairs_of(path: Path) -> Iterator[Pair]:
    columns = columns_of(path)
    prompts = columns["prompt"]
    tags = [str(tag or "") for tag in columns.get("category") or [""] * len(prompts)]
    for name, weak, strong in _named(path.stem, columns):
        scores = [np.array(columns[model], float) for model in (weak, strong)]
        known = ~np.isnan(scores[0]) & ~np.isnan(scores[1])
        rows = np.flatnonzero(known)
        held = [score[rows] for score in scores]
        if len(rows):
            yield Pair(name, [prompts[r] for r in rows], [tags[r] for r in rows], *held)


def _named(stem: str, columns: dict[str, list[Any]]) -> list[tuple[str, str, str]]:
    if "weak" in columns and "strong" in columns:
        return [(stem.replace("routellm_", "rl_"), "weak", "strong")]
    known = [pair for pair in NAMED.get(stem, ()) if {pair[1], pair[2]} <= columns.keys()]
    if known:
        return known
    models = [name for name in columns if name not in _NO_MODELS and "|" not in name]
    ranked = sorted(models, key=lambda name: float(np.nanmean(np.array(columns[name], float))))
    if len(ranked) < 2:  # noqa: PLR2004 - a pair
        return []
    below = dict.fromkeys((ranked[0], ranked[(len(ranked) - 1) // 2]))
    return [(f"{stem}: {low} to {ranked[-1]}", low, ranked[-1]) for low in below]


def _byte(prompt: str, place: int) -> int:
    return sha256(prompt.encode("utf-8", "surrogatepass")).digest()[place]
