"""Traces over real questions: an agent that asks the same in other words, and one that moves on.

The file holds JSON lines ``{"q": text, "c": class}`` (gzipped where its name ends so): texts of one
class ask the same. Each search finds nothing, so that the words alone tell the two agents apart.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from synthetic import agent

from agentfuse.embedders import embedder_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LENGTH = 5
# Texts among which the neighbours of a question are looked for.
MOST = 3_000
MOVING_ON = 200


def real_traces(path: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Make a trace of each class with enough rewordings, and some that go from near to nearest."""
    draw = Random(seed)  # noqa: S311 - no secret
    classes = classes_in(path)
    for name, texts in classes.items():
        if len(texts) >= LENGTH:
            yield trace_of(f"the same in other words {name}", draw.sample(texts, LENGTH), draw)
    for number, texts in enumerate(neighbours(classes, draw)):
        yield trace_of(f"from one question to the nearest {number}", texts, draw)


def classes_in(path: Path) -> dict[str, list[str]]:
    """Read the texts of each class, each once."""
    opened = gzip.open if path.suffix == ".gz" else open
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    with opened(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["c"] is not None:
                found[str(row["c"])][row["q"]] = None
    return {name: list(texts) for name, texts in found.items()}


def neighbours(classes: dict[str, list[str]], draw: Random) -> Iterator[list[str]]:
    """Go from a question to the nearest of a class not met yet, which is the hardest to tell."""
    rows = [(text, name) for name, texts in classes.items() for text in texts][:MOST]
    embed = embedder_named("minilm").embed
    vectors = np.stack([embed(text) for text, _ in rows])
    names = np.array([name for _, name in rows])
    for start in draw.sample(range(len(rows)), min(MOVING_ON, len(rows))):
        path = [start]
        open_still = names != names[start]
        while len(path) < LENGTH and open_still.any():
            near = np.where(open_still, vectors @ vectors[path[-1]], -1.0)
            path.append(int(near.argmax()))
            open_still &= names != names[path[-1]]
        yield [rows[at][0] for at in path]


def trace_of(name: str, texts: list[str], draw: Random) -> dict[str, Any]:
    """Let an agent search for one text after the other, in vain."""
    last = len(texts) - 1
    calls = agent(
        draw, lambda n: ("search", {"q": texts[min(n, last)]}, "nothing found"), len(texts) + 1
    )
    kind = name.rpartition(" ")[0]
    return {"name": name, "kind": kind, "loop": kind.startswith("the same"), "calls": calls}
