"""A process with a semantic store of its own that does what it is told on stdin: run by its path.

python follower.py URL NAMESPACE; a line ``{"keep": "prompt", "at": [1, 0]}`` keeps an answer,
``{"seek": [1, 0]}`` is answered with the prompts found and their answers, and
``{"await": "prompt", "at": [1, 0]}`` with the time at which that prompt was there.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from agentfuse.caches.fleet.streamed import StreamedSemanticStore
from agentfuse.semantics import Question, SemanticEntry
from agentfuse.testing.cache_contract import said
from agentfuse.testing.semantic_contract import DIM, HERE, vector


def kept(store: StreamedSemanticStore, line: dict[str, Any]) -> dict[str, Any]:
    prompt, now = line["keep"], time.time()
    entry = SemanticEntry(
        id=Question(scope=HERE, text=prompt).entry_id,
        scope=HERE,
        prompt=prompt,
        kept=now,
        expires=now + 3_600,
    )
    store.keep(entry, vector(*line["at"]), said(f"answer to {prompt}"))
    return {"kept": time.time()}


def found(store: StreamedSemanticStore, at: list[float]) -> dict[str, Any]:
    nearest = store.nearest(HERE, vector(*at), 10)
    answers = {near.entry.prompt: store.answer(near.entry.id) for near in nearest}
    return {"found": {prompt: reply and reply.text for prompt, reply in answers.items()}}


def seen(store: StreamedSemanticStore, line: dict[str, Any]) -> dict[str, Any]:
    end = time.time() + 10
    while time.time() < end:
        nearest = store.nearest(HERE, vector(*line["at"]), 10)
        if line["await"] in {near.entry.prompt for near in nearest}:
            return {"seen": time.time()}
    return {"seen": None}


def done(store: StreamedSemanticStore, line: dict[str, Any]) -> dict[str, Any]:
    if "keep" in line:
        return kept(store, line)
    return found(store, line["seek"]) if "seek" in line else seen(store, line)


def main() -> None:
    url, namespace = sys.argv[1:3]
    store = StreamedSemanticStore(url, DIM, fingerprint="test", namespace=namespace)
    sys.stdout.write(json.dumps({"entries": len(store)}) + "\n")
    sys.stdout.flush()
    for line in map(json.loads, sys.stdin):
        sys.stdout.write(json.dumps(done(store, line)) + "\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
