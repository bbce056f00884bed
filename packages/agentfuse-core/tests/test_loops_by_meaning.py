"""``LoopRules(similar=True)``: the fuse's own embedder sees repeats in other words."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import (
    ConfigurationError,
    Fuse,
    LoopDetected,
    LoopRules,
    SemanticCache,
    acompletion,
    completion,
)
from agentfuse.embedders import embedder_named
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAME = (
    "How can I lose weight quickly?",
    "What is the quickest way to lose weight?",
    "How do I lose weight fast?",
    "What's the fastest way of losing weight?",
    "How can one lose weight quickly?",
    "What is a quick way to lose weight?",
)
OTHERS = (
    "How can I lose weight quickly?",
    "How do vaccines work?",
    "What is the tallest mountain in Peru?",
    "Which bank offers student loans?",
    "How do I fix a flat bicycle tyre?",
    "When was the printing press invented?",
)


class Unmeasured:
    """An embedder of the user's own."""

    fingerprint = "mine/1"
    dim = 384

    def embed(self, text: str) -> Any:
        return embedder_named("minilm").embed(text)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(lambda _: Say("I look.")) as provider:
        yield provider


def history(queries: Sequence[Any], results: Sequence[str]) -> list[Any]:
    """An agent's history: a search for each query, and what it found."""
    messages: list[Any] = [{"role": "user", "content": "Find out."}]
    for number, (query, result) in enumerate(zip(queries, results, strict=True)):
        written = json.dumps({"q": query} if isinstance(query, str) else query)
        function = {"name": "search", "arguments": written}
        used = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [used]})
        messages.append({"role": "tool", "tool_call_id": used["id"], "content": result})
    return messages


def asked(upstream: Upstream, queries: Sequence[Any], **words: Any) -> None:
    """Go on with a history, which raises LoopDetected where it goes round."""
    results = words.pop("results", ["Nothing was found."] * len(queries))
    awaited = words.pop("awaited", False)
    words.setdefault("loops", LoopRules("stop", similar=True))
    fuse = Fuse("$1", spend_book=False, cache=False, **words)
    call = {
        "model": "gpt-4o",
        "messages": history(queries, results),
        "fuse": fuse,
        "base_url": upstream.openai_url,
        "api_key": "sk-upstream",
    }
    if awaited:
        asyncio.run(acompletion(**call))
    else:
        completion(**call)


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_the_same_in_other_words_is_a_loop(upstream: Upstream, awaited: bool) -> None:
    with pytest.raises(LoopDetected) as stop:
        asked(upstream, SAME, awaited=awaited)
    assert stop.value.loop is not None
    assert stop.value.loop.what == "tools"
    assert stop.value.loop.times >= 4
    assert upstream.calls == 0


def test_without_it_words_are_what_counts(upstream: Upstream) -> None:
    asked(upstream, SAME, loops="stop")
    assert upstream.calls == 1


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "awaited"])
def test_other_questions_are_none(upstream: Upstream, awaited: bool) -> None:
    asked(upstream, OTHERS, awaited=awaited)
    assert upstream.calls == 1


@pytest.mark.parametrize(
    "queries",
    [
        [{"q": SAME[0], "page": n} for n in range(6)],
        [f"Show the invoices of week {n}" for n in range(6)],
        [f"src/parts/module_{name}.py" for name in "abcdef"],
        [{"q": SAME[0], "strict": bool(n % 2), "at": [n]} for n in range(6)],
    ],
    ids=["pages", "weeks", "files", "flags"],
)
def test_facts_that_change_are_progress(upstream: Upstream, queries: list[Any]) -> None:
    asked(upstream, queries)
    assert upstream.calls == 1


def test_results_that_say_something_new_are_progress(upstream: Upstream) -> None:
    asked(upstream, SAME, results=OTHERS)
    assert upstream.calls == 1


def test_the_semantic_caches_embedder_is_the_one(upstream: Upstream) -> None:
    """And a cosine of one's own, for an embedder that nobody has measured."""
    cache = SemanticCache(embedder=Unmeasured(), threshold=0.9)
    with pytest.raises(LoopDetected):
        asked(upstream, SAME, semantic=cache, loops=LoopRules("stop", similar=0.6))
    asked(upstream, SAME, semantic=cache, loops=LoopRules("stop", similar=0.999))
    with pytest.raises(ConfigurationError, match="no preset was measured"):
        asked(upstream, SAME, semantic=cache)


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agentfuse_minilm", None)
    monkeypatch.setattr("agentfuse.embedders.named._loaded", {})
    with pytest.raises(ConfigurationError, match=r"LoopRules\(similar=True\): .*pip install"):
        Fuse("$1", loops=LoopRules(similar=True), spend_book=False)


@pytest.mark.parametrize("cosine", [0.0, 1.5, -0.2])
def test_a_cosine_is_between_nothing_and_one(cosine: float) -> None:
    with pytest.raises(ConfigurationError, match="similar"):
        LoopRules(similar=cosine)
