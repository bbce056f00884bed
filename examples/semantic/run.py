"""A help desk that answers reworded questions from memory, and tells near ones apart.

python examples/semantic/run.py     asks a local, simulated provider: no key, no cost

The second half calls one answer wrong, puts the cache on trial, and looks for a threshold.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from agentfuse import Fuse, SemanticCache, completion
from agentfuse.cli.main import main as command
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Say

SYSTEM = {"role": "system", "content": "You answer for the shop's help desk."}
QUESTIONS = (
    "How do I reset my password?",
    "How can I reset my password?",  # the same in other words
    "How do I reset my router?",  # near, and another question
    "Can I return 5 lamps within 30 days?",
    "Can I return 50 lamps within 30 days?",  # a cosine of 0.99, and another question
    "Could I return 5 lamps within 30 days?",
)


def main() -> None:
    with Upstream(simulated_model) as provider, tempfile.TemporaryDirectory() as folder:
        print(f"Asking a simulated provider on {provider.url}: its answers are made up.\n")
        log = Path(folder) / "trials.jsonl"
        fuse = Fuse("$0.10", semantic=SemanticCache(trial_log=log), spend_book=False)

        def ask(question: str, **options: Any) -> Any:
            return completion(
                "gpt-4o",
                [SYSTEM, {"role": "user", "content": question}],
                fuse=fuse,
                base_url=provider.openai_url,
                api_key="sk-upstream",
                **options,
            )

        hits = [hit for question in QUESTIONS if (hit := shown(question, ask(question)))]
        print(f"\n{fuse.receipt()}\n{fuse.cache_report()}")

        print(f"\nCalled wrong, and forgotten: {fuse.reject(hits[0]['entry_id'])}")
        shown(QUESTIONS[1], ask(QUESTIONS[1]))

        print("\nOn trial: the model is asked all the same, and the answers are compared.")
        for question in ("How could I reset my password?", "What's the way to reset my password?"):
            ask(question, cache_mode="shadow")
        print(fuse.cache_report())

        print("\nTwo trials are far from enough to choose a threshold by:")
        command(["cache", "calibrate", str(log)])


def simulated_model(asked: Asked) -> Say:
    """Know one answer to each topic."""
    known = {"password": "We mail you a link.", "router": "Press the button.", "50": "Please call."}
    return Say(next((said for word, said in known.items() if word in asked.text), "Yes, you can."))


def shown(question: str, answer: Any) -> dict[str, Any] | None:
    """Print where an answer came from, and give the hit if it is one."""
    hit: dict[str, Any] | None = getattr(answer, "agentfuse", None)
    source = "asked" if hit is None else f"as {hit['matched_prompt']!r} ({hit['score']:.3f})"
    print(f"{question:42} {source}")
    return hit


if __name__ == "__main__":
    main()
