"""Ask thousands of requests that differ from a kept one: none may get its answer.

    nox -s scope-eval -- --count 10000 --json FILE --only completion

Through each public way in: ``completion()``, LangChain's chat model over a fuse, LangChain's own
cache, and LlamaIndex's LLM, each over loopback HTTP to a simulated provider, with an embedder to
which all texts are one: whatever may be compared is a hit. Among the requests the kept one is asked
again in other words, which must hit every time: else no hits would mean nothing. The exit code is 1
where a request that differs was answered from memory, or one that does not was not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ways import WAYS

from agentfuse import SemanticCache
from agentfuse.testing import Upstream
from agentfuse.testing.near_requests import QUESTION, NearRequest, first_request, near_requests

if TYPE_CHECKING:
    from ways import Ask

# After so many requests the kept one is asked again, in the next of these words.
CONTROL = 50
REWORDED = (
    "What does the report tell about the second quarter?",
    "What does the report say on the second quarter?",
    "What did you find the report says about the second quarter?",
)


class Indifferent:
    """An embedder to which all texts are one: the nearest of a scope is whatever is in it."""

    fingerprint = "indifferent"
    dim = 4

    def embed(self, text: str) -> Any:  # noqa: ARG002 - it is indifferent
        """Give every text the same vector."""
        return np.array([1, 0, 0, 0], np.float32)


@dataclass(slots=True)
class Found:
    """What one way in was asked, and what it answered from memory.

    ``met`` counts wrong hits by what the request differed in; ``looked_up`` says how many requests
    were looked for at all.
    """

    attempts: Counter[str]
    met: Counter[str]
    controls: int = 0
    controls_hit: int = 0
    looked_up: int = 0
    cpu_seconds: float = 0.0

    def holds(self) -> bool:
        """Say whether every request was looked up, none met another, and every control hit."""
        asked = self.attempts.total() + self.controls
        return not self.met and 0 < self.controls == self.controls_hit and self.looked_up >= asked

    def row(self) -> dict[str, Any]:
        """Give all of it for a file."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {
            "holds": self.holds()
        }


def main() -> None:
    """Print a row for each way in, and keep all counts in FILE if asked to."""
    args = _arguments()
    found = {name: tried(name, args.count) for name in args.only or WAYS}
    if args.json:
        rows = {name: each.row() for name, each in found.items()}
        args.json.write_text(json.dumps(rows, indent=1))
    if not all(each.holds() for each in found.values()):
        sys.exit("what must not be answered from memory was, or what must be was not")


def tried(name: str, count: int) -> Found:
    """Keep an answer, then ask ``count`` requests beside it through one way in."""
    bounds = {"max_entries": 2 * count + 100, "max_scopes": 2 * count + 100}
    cache = SemanticCache(embedder=Indifferent(), threshold=0.01, **bounds)
    found, start = Found(Counter(), Counter()), time.process_time()
    with Upstream() as provider:
        ask = WAYS[name](provider, cache)
        ask(first_request())
        for number, near in enumerate(near_requests(count)):
            if number % CONTROL == 0:
                found.controls += 1
                found.controls_hit += _is_remembered(provider, ask, reworded(number // CONTROL))
            found.attempts[near.what] += 1
            found.met[near.what] += _is_remembered(provider, ask, near)
    found.met = +found.met
    found.looked_up = cache.report().lookups
    found.cpu_seconds = round(time.process_time() - start, 1)
    _print(name, found)
    return found


def reworded(number: int) -> NearRequest:
    """Ask the kept question in other words, and leave all else as it was."""
    first = first_request()
    *before, last = first.messages
    return replace(first, messages=[*before, {**last, "content": REWORDED[number % len(REWORDED)]}])


def _is_remembered(provider: Upstream, ask: Ask, request: NearRequest) -> bool:
    """Say whether a request was answered and the provider never saw it."""
    before = provider.calls
    ask(request)
    return provider.calls == before


def _print(name: str, found: Found) -> None:
    print(
        f"{name}: {found.met.total()} hits in {found.attempts.total():,} attempts"
        f" {dict(found.met) or ''}; asked in other words {found.controls_hit} of {found.controls}"
        f" hit; {found.looked_up:,} looked up; {found.cpu_seconds} s of CPU:"
        f" {'holds' if found.holds() else 'FAILS'}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="requests through each way in")
    parser.add_argument("--json", type=Path, help="keep all counts in this file")
    parser.add_argument("--only", nargs="+", choices=WAYS, help="some ways in")
    return parser.parse_args()


if __name__ == "__main__":
    print(f"The question: {QUESTION}")
    main()
