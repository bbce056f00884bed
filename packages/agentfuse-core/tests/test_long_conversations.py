"""Sixty turns with tools under compression: valid, short, and nothing promised is lost."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from long_talks import CODE, PROMPT, Heard, Talk, order_of, questions, tracking_of

from agentfuse import Compressor, Fuse
from agentfuse.lengths import Compressed
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Message
    from agentfuse.testing.upstream.said import Asked

TURNS = 60
KEY = "sk-upstream"
MODELS = ["gpt-4o", "claude-sonnet-4-6"]

# Hundreds of calls through the SDKs in one test, which take a minute on a machine that is shared.
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


def is_pinned(message: Message) -> bool:
    return "remember" in message.text.lower()


def compressed(strategy: Any = "keep_recent", **options: Any) -> tuple[Fuse, Heard]:
    heard = Heard()
    words = {"above": 4_000, **options}
    fuse = Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress=Compressor(strategy, keep=is_pinned, **words.pop("compressor", {})),
        compress_above=words["above"],
    )
    return fuse, heard


def sixty(talk: Talk) -> None:
    for number, question in enumerate(questions(TURNS)):
        talk.say(question, number)


def input_tokens(upstream: Upstream) -> int:
    return sum(request.billed.input_tokens for request in upstream.requests)


def written(request: Any) -> str:
    return json.dumps(request.body, ensure_ascii=False)


@pytest.mark.parametrize("model", MODELS)
def test_sixty_turns_stay_valid_and_take_a_fraction_of_the_tokens(
    upstream: Upstream, model: str
) -> None:
    sixty(Talk(Fuse("$50", spend_book=False, cache=False), upstream, model))
    whole = input_tokens(upstream)
    upstream.reset()
    fuse, heard = compressed()
    talk = Talk(fuse, upstream, model)
    sixty(talk)
    assert [r.status for r in upstream.requests] == [200] * (2 * TURNS)
    assert input_tokens(upstream) <= 0.35 * whole
    assert max(event.after for event in heard.of(Compressed)) <= 4_000
    assert all(PROMPT in written(r) and CODE in written(r) for r in upstream.requests)
    assert fuse.receipt().tokens_left_out == sum(r.left_out for r in heard.of(Receipt)) > 0


@pytest.mark.parametrize("model", MODELS)
def test_what_is_asked_about_comes_back(upstream: Upstream, model: str) -> None:
    fuse, _ = compressed()
    talk = Talk(fuse, upstream, model)
    sixty(talk)
    probed = (2, 17, 31, 44)
    for number in probed:
        assert tracking_of(number) not in written(upstream.requests[-1])
        talk.say(f"Which parcel number does {order_of(number)} have?", number)
        asked = next(r for r in reversed(upstream.requests) if order_of(number) in written(r))
        assert tracking_of(number) in written(asked)
    assert {r.status for r in upstream.requests} == {200}


@pytest.mark.parametrize("model", MODELS)
async def test_awaited_it_is_the_same(upstream: Upstream, model: str) -> None:
    fuse, heard = compressed()
    talk = Talk(fuse, upstream, model)
    for number, question in enumerate(questions(TURNS)):
        await talk.asay(question, number)
    assert {r.status for r in upstream.requests} == {200}
    assert max(event.after for event in heard.of(Compressed)) <= 4_000
    assert CODE in written(upstream.requests[-1])


def test_streams_are_shortened_too(upstream: Upstream) -> None:
    fuse, heard = compressed()
    talk = Talk(fuse, upstream, "gpt-4o")
    for number, question in enumerate(questions(20)):
        talk.say(question, number)
    from agentfuse import completion

    with completion(messages=talk.messages, stream=True, **talk.words) as chunks:
        assert list(chunks)
    assert upstream.requests[-1].streamed
    assert heard.events[-1].left_out > 0


def test_the_cut_is_held_so_that_prompt_caches_keep_the_beginning(upstream: Upstream) -> None:
    fuse, heard = compressed()
    sixty(Talk(fuse, upstream, "gpt-4o"))
    events = heard.of(Compressed)
    cuts = [event for event in events if event.why == "tokens"]
    assert len(cuts) <= TURNS / 4
    assert len(events) >= 5 * len(cuts)
    bodies = [r.body["messages"] for r in upstream.requests]
    same = [b[: len(a)] == a for a, b in pairwise(bodies)]
    assert sum(same) == len(same) - len(cuts)


def test_the_last_turns_of_a_sliding_window_stay(upstream: Upstream) -> None:
    heard = Heard()
    fuse = Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress=Compressor("sliding_window", turns=5, keep=is_pinned),
    )
    sixty(Talk(fuse, upstream, "gpt-4o"))
    asked = [sum(m["role"] == "user" for m in r.body["messages"]) for r in upstream.requests]
    assert max(asked) <= 2 * 5 + 2
    assert {r.status for r in upstream.requests} == {200}
    assert {event.why for event in heard.of(Compressed)} == {"steps", "held"}


def test_a_summary_is_extended_on_the_same_budget(upstream: Upstream) -> None:
    summaries: list[str] = []

    def responder(asked: Asked) -> Say | None:
        if asked.model != "gpt-4o-mini":
            return None
        summaries.append(asked.text)
        return Say(f"Summary number {len(summaries)}: the user asked for orders.")

    with Upstream(responder) as provider:
        options = {
            "model": "gpt-4o-mini",
            "base_url": provider.openai_url,
            "api_key": "sk-upstream",
        }
        fuse, heard = compressed("summarise", compressor=options)
        sixty(Talk(fuse, provider, "claude-sonnet-4-6"))
        assert {r.status for r in provider.requests} == {200}
        cuts = [event for event in heard.of(Compressed) if event.why == "tokens"]
        assert len(summaries) == len(cuts) >= 3
        said = [r for r in heard.of(Receipt) if r.model == "gpt-4o-mini"]
        assert len(said) == len(summaries)
        assert fuse.receipt().spent == sum(r.cost for r in heard.of(Receipt))
        assert f"Summary number {len(summaries)}" in written(provider.requests[-1])
    for before, text in enumerate(summaries[1:], 1):
        assert f"Summary number {before}" in text
        assert order_of(0) not in text.partition("New messages:")[2]


def test_a_summary_that_fails_costs_the_summary_alone(upstream: Upstream) -> None:
    options = {"model": "gpt-4o-mini", "base_url": upstream.openai_url, "api_key": "sk-wrong"}
    fuse, _ = compressed("summarise", compressor=options)
    talk = Talk(fuse, upstream, "gpt-4o")
    sixty(talk)
    assert {r.status for r in upstream.requests if r.model == "gpt-4o"} == {200}
    assert fuse.receipt().failures > 0
    assert CODE in written(upstream.requests[-1])


def test_a_summary_may_be_made_by_any_function(upstream: Upstream) -> None:
    def first_words(text: str, ratio: float) -> str:
        words = text.split()
        return " ".join(words[: max(int(len(words) * ratio), 1)])

    fuse, heard = compressed("summarise", compressor={"shorten": first_words})
    sixty(Talk(fuse, upstream, "gpt-4o"))
    assert {r.status for r in upstream.requests} == {200}
    assert max(event.after for event in heard.of(Compressed)) <= 4_000
    assert "\nSummary:\n" in upstream.requests[-1].body["messages"][1]["content"]
