"""A stream's output is counted as the whole text is, however it is cut, in linear time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse import BudgetExceeded, Fuse, completion
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say
from agentfuse.tokens import StreamCounter, count_text, streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MODELS = st.sampled_from(["gpt-4o", "gpt-4", "claude-opus-5", "mystery"])
PIECES = st.sampled_from(
    ["word", " ", "\n", "  ", "x1", "é", ".", "漢字", "\t", "'s", " the", "123", "🙂", "//", "\r\n"]
)
ENGLISH = "The quick brown fox, aged 12, jumps over 3 lazy dogs; nobody's counting.\n"
# One token above for every so many characters without a space, and one below in rare words.
SEAM = 256


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def allowance(model: str, text: str) -> int:
    """Give how far a count may be off, in the model's own tokens."""
    seams = len(text) // SEAM + 1
    return seams * 2 if model in {"claude-opus-5", "mystery"} else seams


@given(st.one_of(st.lists(st.text(max_size=20)), st.lists(PIECES, max_size=300)), MODELS)
def test_the_running_count_is_that_of_the_whole_text(deltas: list[str], model: str) -> None:
    counter = StreamCounter(model)
    for end, delta in enumerate(deltas, start=1):
        so_far = "".join(deltas[:end])
        off = counter.add(delta) - count_text(so_far, model)
        assert -1 * allowance(model, so_far) <= off <= allowance(model, so_far) + 1
    assert counter.text == "".join(deltas)
    assert counter.recount() == count_text("".join(deltas), model)


@given(st.integers(1, 40), st.integers(1, 30), st.sampled_from(["gpt-4o", "gpt-4"]))
def test_prose_is_counted_to_the_token_wherever_it_is_cut(
    size: int, times: int, model: str
) -> None:
    counter = StreamCounter(model)
    text = ENGLISH * times
    assert [counter.add(piece) for piece in cut(text, size)][-1] == count_text(text, model)


@given(st.lists(PIECES, min_size=1, max_size=200), MODELS, st.integers(0, 120))
def test_a_lease_is_passed_when_the_whole_text_passes_it(
    deltas: list[str], model: str, allowed: int
) -> None:
    counter = StreamCounter(model)
    for end, delta in enumerate(deltas, start=1):
        counter.take(delta)
        passed = counter.passes(allowed)
        exact = count_text("".join(deltas[:end]), model)
        assert not passed or exact > allowed
        assert passed or exact <= allowed + allowance(model, counter.text)
        if passed:
            return


@pytest.mark.parametrize(
    "sample",
    [ENGLISH, "漢字とかな、", "0123456789abcdef", "🙂", " "],
    ids=["prose", "kana", "hex", "emoji", "spaces"],
)
def test_a_megabyte_under_a_tight_lease_is_tokenised_a_few_times_at_most(
    sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sample * (1_000_000 // len(sample.encode()))
    tokenised: list[int] = []

    def count(text: str, vocabulary: str) -> int:
        tokenised.append(len(text))
        return real(text, vocabulary)

    real = streams.fresh_count
    monkeypatch.setattr(streams, "fresh_count", count)
    exact = count_text(text)
    counter = StreamCounter("gpt-4o")
    started = time.perf_counter()
    for piece in cut(text, 12):
        counter.take(piece)
        assert not counter.passes(exact)
    assert sum(tokenised) < 4 * len(text)
    assert time.perf_counter() - started < 20


def test_nothing_is_tokenised_before_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "fresh_count", lambda *_: pytest.fail("counted too early"))
    counter = StreamCounter("gpt-4o")
    for piece in cut(ENGLISH * 100, 7):
        counter.take(piece)
        assert not counter.passes(len(ENGLISH) * 100)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def read_until_stopped(upstream: Upstream, answers: Sequence[Say]) -> BudgetExceeded:
    tool = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
    upstream.script(answers)
    stream = completion(
        "gpt-4o",
        [{"role": "user", "content": "write it down"}],
        tools=[tool],
        max_tokens=200,
        stream=True,
        fuse=Fuse("$1"),
        base_url=upstream.openai_url,
        api_key="sk-upstream",
    )
    with pytest.raises(BudgetExceeded) as stop:
        list(stream)
    return stop.value


def test_the_arguments_of_a_streamed_call_use_up_the_lease_as_words_do(upstream: Upstream) -> None:
    text = "It never ends. " * 400
    stop = read_until_stopped(
        upstream, [Say(tool_calls=[Call("write", {"text": text})], overlong=True)]
    )
    assert stop.partial_text.startswith('write{"text":"It never ends.')
    # No more than what was paid for, and the chunk that passed it.
    assert 200 < count_text(stop.partial_text, "gpt-4o") < 230
