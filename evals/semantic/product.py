"""Replay a stream through the public ``SemanticCache`` and compare with our replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matching import Matching
    from replaying import Outcome
    from vectors import Vectors


@dataclass(frozen=True, slots=True)
class Remembered:
    """An embedder whose vectors were made before."""

    fingerprint: str
    dim: int
    vectors: Vectors

    def embed(self, text: str) -> Any:
        """Give a text's vector."""
        return self.vectors.of(text)


def compared(
    rows: Sequence[tuple[str, Any]],
    ours: Outcome,
    matching: Matching,
    embedder: Any,
    vectors: Vectors,
) -> dict[str, int]:
    """Count the texts that both answer alike: from the same kept text, or not by meaning."""
    served = _served(rows, matching, Remembered(embedder.fingerprint, embedder.dim, vectors))
    replayed = {hit.asked: hit.kept for hit in ours.by_meaning}
    texts = dict.fromkeys(text for text, _ in rows)
    differ = [text for text in texts if served.get(text) != replayed.get(text)]
    return {
        "texts": len(texts),
        "hits": len(served),
        "hits_of_replay": len(replayed),
        "alike": len(texts) - len(differ),
        "differ": len(differ),
    }


def _served(
    rows: Sequence[tuple[str, Any]], matching: Matching, embedder: Remembered
) -> dict[str, str]:
    """Ask the public cache; give the kept text behind each answer by meaning."""
    from agentfuse import SemanticCache

    cache = SemanticCache(matching.name, embedder=embedder, about_now=True)
    served: dict[str, str] = {}
    for text, _ in rows:
        messages = [{"role": "user", "content": text}]
        match = cache.get(model="gpt-4o-mini", messages=messages)
        if match is None:
            cache.put(f"answer to: {text}", model="gpt-4o-mini", messages=messages)
        elif match.hit.matched_prompt != text:
            served[text] = match.hit.matched_prompt
    return served
