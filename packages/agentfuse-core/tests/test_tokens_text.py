"""Texts are counted as OpenAI counts them, without a network and whatever is in them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from agentfuse.tokens import TokenCounter, count_text, encodings, warm
from agentfuse.tokens.families import family_of
from agentfuse.tokens.text import CHUNK, CountMemory


@pytest.mark.parametrize("vocabulary", ["o200k_base", "cl100k_base"])
def test_the_shipped_vocabularies_are_tiktokens_own(vocabulary, monkeypatch):
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    theirs = getattr(openai_public, vocabulary)()
    assert encodings.PATTERNS[vocabulary] == theirs["pat_str"]
    assert encodings.SPECIAL_TOKENS[vocabulary] == theirs["special_tokens"]
    ranks = encodings.ranks_of(vocabulary)
    assert len(ranks) == {"o200k_base": 199_998, "cl100k_base": 100_256}[vocabulary]
    assert sorted(ranks.values()) == list(range(len(ranks)))
    assert ranks[b"hello"] == {"o200k_base": 24_912, "cl100k_base": 15_339}[vocabulary]


def test_a_vocabulary_is_loaded_once_however_many_threads_ask(monkeypatch):
    monkeypatch.setattr(encodings, "_loaded", {})
    built: list[str] = []

    def build(vocabulary):
        built.append(vocabulary)
        time.sleep(0.05)
        return tiktoken.Encoding(
            vocabulary,
            pat_str=r"\S+",
            mergeable_ranks={bytes([n]): n for n in range(256)},
            special_tokens={},
        )

    monkeypatch.setattr(encodings, "_built", build)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: encodings.encoding_of("o200k_base"), range(8)))
    assert built == ["o200k_base"]
    assert len({id(encoding) for encoding in found}) == 1


def test_known_counts():
    warm()
    assert count_text("") == 0
    assert count_text("hello world") == 2
    assert count_text("hello world", "gpt-4") == 2
    assert count_text("привет, мир", "gpt-4") > count_text("привет, мир", "gpt-4o")


@pytest.mark.parametrize(
    "text",
    [
        " " * 1_000_000,
        "\t" * 1_000_000,
        "a" * 1_000_000,
        "a b" + " " * 1_000_000,
        "\n" * 1_000_000,
        "🙂" * 250_000,
        "漢" * 500_000,
        "<|endoftext|>" * 10_000,
        "\ud800" * 10_000,
    ],
    ids=["spaces", "tabs", "letters", "tail", "lines", "emoji", "kanji", "special", "surrogates"],
)
def test_no_text_is_too_strange_or_too_slow(text):
    started = time.perf_counter()
    assert count_text(text) > 0
    assert time.perf_counter() - started < 20


def test_special_tokens_in_a_text_are_only_text():
    assert count_text("<|endoftext|>") > 1


@given(
    st.lists(st.sampled_from(["word", " ", "\n", "  ", "x1", "é", ".", "漢字", "\t"]), max_size=60)
)
def test_cutting_long_texts_changes_hardly_a_count(pieces):
    text = "".join(pieces) * 400
    whole = len(encodings.encoding_of("o200k_base").encode_ordinary(text))
    assert abs(count_text(text) - whole) <= 2 * (len(text) // CHUNK)


@given(st.text())
def test_short_texts_are_counted_exactly(text):
    assert count_text(text) == len(encodings.encoding_of("o200k_base").encode_ordinary(text))


def test_other_families_are_counted_by_their_ratio():
    text = "the quick brown fox jumps over the lazy dog " * 20
    base = count_text(text)
    assert count_text(text, "claude-sonnet-4-5") == -(-base * 1150 // 1000)
    assert count_text(text, "claude-opus-5") == -(-base * 1450 // 1000)


def test_what_was_counted_before_is_not_counted_again(monkeypatch):
    memory = CountMemory("o200k_base", size=2)
    counted: list[str] = []
    count = lambda text, _: counted.append(text) or 7  # noqa: E731
    monkeypatch.setattr("agentfuse.tokens.text.fresh_count", count)
    for text in ("a", "b" * 1000, "a", "b" * 1000, "c", "a"):
        assert memory.count(text) == 7
    assert counted == ["a", "b" * 1000, "c", "a"]


@pytest.mark.parametrize(
    ("model", "provider", "family"),
    [
        ("gpt-4", "", "openai-old"),
        ("gpt-4-turbo-2024-04-09", "", "openai-old"),
        ("gpt-3.5-turbo", "", "openai-old"),
        ("gpt-4o-2024-05-13", "", "openai"),
        ("openai/gpt-4.1-mini", "openrouter", "openai"),
        ("ft:gpt-4o-mini:org::id", "", "openai"),
        ("o1-mini", "", "openai"),
        ("o3", "", "openai-reasoning"),
        ("gpt-6.1-terra", "", "openai-reasoning"),
        ("my-deployment", "azure", "openai-unnamed"),
        ("openai/gpt-oss-20b", "groq", "gpt-oss"),
        ("claude-3-5-sonnet-latest", "", "claude-3"),
        ("anthropic.claude-v2:1", "bedrock", "claude-3"),
        ("claude-sonnet-4-20250514", "", "claude-4"),
        ("claude-opus-4-1", "", "claude-4"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws", "claude-4.5"),
        ("claude-opus-4-8", "", "claude-4.7"),
        ("claude-fable-5-1", "", "claude-4.7"),
        ("models/gemini-2.5-flash", "", "gemini"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "", "llama-4"),
        ("something-new", "", "unknown"),
    ],
)
def test_each_name_finds_its_tokenizer(model, provider, family):
    assert family_of(model, provider).name == family


def test_the_counter_counts_texts_alike():
    assert TokenCounter().count_text("hello world", "gpt-4o") == count_text("hello world", "gpt-4o")
