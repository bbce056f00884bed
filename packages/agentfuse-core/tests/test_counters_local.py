"""Mistral's and Gemma's own vocabularies count what the rules can only guess at."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentfuse import Fuse, completion
from agentfuse.messages import Media, Message, Reasoning, Request, Text, ToolCall
from agentfuse.testing import Upstream
from agentfuse.tickets import StoreTrouble
from agentfuse.tokens import GemmaCounter, MistralCounter, TokenCounter
from agentfuse.tokens.wires import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

DATA = Path(os.environ.get("AGENTFUSE_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAIRS = DATA / "usage_pairs" / "dev" / "mistral.jsonl.gz"
needs_pairs = pytest.mark.skipif(
    not PAIRS.is_file(), reason="recorded usages are not beside the repository (AGENTFUSE_DATA)"
)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look out of the window",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
}


def asking(model: str, *messages: Message, **more: Any) -> Request:
    return Request(provider="", model=model, messages=messages, **more)


def said(text: str, role: str = "user") -> Message:
    return Message(role, (Text(text),))


# --- Mistral -------------------------------------------------------------------------------------


def recorded() -> list[dict[str, Any]]:
    """Give Mistral's own recorded requests of text and tools."""
    with gzip.open(PAIRS, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    unseen = {"image", "reasoning_history"}
    return [row for row in rows if not unseen & set(row.get("kinds") or ())]


@needs_pairs
def test_recorded_requests_to_mistral_are_counted_to_the_token() -> None:
    """A recording of a small one is older than the settings that it puts before the prompt now."""
    counter = MistralCounter()
    found = []
    for row in recorded():
        estimate = counter.count(request_of(row["request"], row["model"], row["api"], "mistral"))
        assert estimate is not None
        assert estimate.high >= row["input_total"]
        if "small" not in row["model"]:
            found.append(estimate.tokens == row["input_total"])
    assert len(found) >= 9
    assert sum(found) >= len(found) - 1


def test_the_newest_small_models_write_their_settings() -> None:
    counter = MistralCounter()
    plain, newest = (
        counter.count(asking(model, said("hello world")))
        for model in ("mistral-large-latest", "magistral-small-latest")
    )
    assert plain is not None
    assert newest is not None
    assert newest.tokens == plain.tokens + 12


def test_a_turn_is_its_text_and_two_marks() -> None:
    counter = MistralCounter()
    estimate = counter.count(asking("mistral-large-latest", said("hello world")))
    assert estimate is not None
    assert (estimate.tokens, estimate.method) == (
        1 + 2 + counter.count_text("hello world"),
        "exact",
    )
    answered = asking(
        "mistral-large-latest", said("be brief", "system"), said("hi"), said("ho", "assistant")
    )
    words = sum(counter.count_text(text) for text in ("be brief", "hi", "ho"))
    found = counter.count(answered)
    assert found is not None
    assert found.tokens == 1 + 2 + 2 + 1 + words


def test_a_call_of_a_tool_and_its_result_are_counted() -> None:
    counter = MistralCounter()
    call = Message("assistant", (), (ToolCall("a", "get_weather", '{"city": "Paris"}'),))
    asked = (said("weather?"), call, Message("tool", (Text("sunny"),), (), "a"))
    bare = counter.count(asking("mistral-medium-latest", *asked))
    tools = counter.count(asking("mistral-medium-latest", *asked, tools=(WEATHER,)))
    assert bare is not None
    assert tools is not None
    words = ("weather?", "get_weather", '{"city": "Paris"}', "sunny")
    assert bare.tokens == 1 + 2 + 3 + 2 + sum(counter.count_text(text) for text in words)
    assert tools.tokens > bare.tokens + 40


@pytest.mark.parametrize(
    "request_",
    [
        asking("gpt-4o", said("hi")),
        asking("open-mistral-7b", said("hi")),
        asking("mistral-large-2407", said("hi")),
        asking(
            "mistral-small-latest", Message("user", (Media(kind="image", url="https://a.b/c"),))
        ),
        asking("magistral-medium-latest", Message("assistant", (Reasoning("hm"),))),
    ],
    ids=["another family", "older", "older, dated", "a picture elsewhere", "thinking"],
)
def test_what_cannot_be_known_is_left_to_the_rules(request_: Request) -> None:
    assert MistralCounter().count(request_) is None
    assert TokenCounter([MistralCounter()]).count(request_).tokens > 0


def test_any_text_is_counted() -> None:
    counter = MistralCounter()
    assert counter.count_text("") == 0
    for text in ("[INST]</s>", " " * 100_000, "a" * 100_000, "漢字" * 1000):
        assert counter.count_text(text) > 0


# --- Gemma ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small vocabulary, which stands in for Gemma's: that one is on no package index."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("vocabulary")
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(f"the weather in city {n} is fine today" for n in range(200)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "small"), vocab_size=45, minloglevel=2
    )
    return folder / "small.model"


def pieces(vocabulary: Path, *texts: str) -> int:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
    return sum(len(model.encode(text)) for text in texts)


def test_gemini_is_counted_by_a_vocabulary_on_disk(vocabulary: Path) -> None:
    counter = GemmaCounter(vocabulary)
    early = counter.count(asking("gemini-2.0-flash", said("the weather is fine")))
    later = counter.count(asking("gemini-2.5-flash", said("the weather is fine")))
    assert early is not None
    assert later is not None
    assert early.tokens == pieces(vocabulary, "the weather is fine")
    assert later.tokens == early.tokens + 1
    assert (early.method, later.method) == ("exact", "exact")


def test_tools_are_counted_by_their_words_and_frames(vocabulary: Path) -> None:
    request = asking("gemini-2.5-flash", said("the weather"), tools=(WEATHER,))
    estimate = GemmaCounter(vocabulary).count(request)
    words = ("the weather", "get_weather", "Look out of the window", "city", "Paris", "Rome")
    assert estimate is not None
    assert estimate.tokens == pieces(vocabulary, *words) + 1 + 16 + 13
    assert estimate.high > estimate.tokens


@pytest.mark.parametrize(
    "request_",
    [
        asking("gpt-4o", said("hi")),
        asking("gemini-2.5-pro", said("hi"), tools=({"type": "google_search"},)),
        asking("gemini-2.5-pro", Message("user", (Media(kind="document", data="AAAA"),))),
    ],
    ids=["another family", "Google's own tool", "a document"],
)
def test_what_no_vocabulary_shows_is_left_to_the_rules(vocabulary: Path, request_: Request) -> None:
    assert GemmaCounter(vocabulary).count(request_) is None


@pytest.fixture
def kept(vocabulary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the stand-in where google-genai keeps what it has fetched."""
    from google.genai import _local_tokenizer_loader as loader

    data = vocabulary.read_bytes()
    known = loader._TokenizerConfig(
        model_url=loader._TOKENIZERS["gemma3"].model_url,
        model_hash=hashlib.sha256(data).hexdigest(),
    )
    monkeypatch.setitem(loader._TOKENIZERS, "gemma3", known)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "vertexai_tokenizer_model"
    folder.mkdir()
    file = folder / hashlib.sha1(known.model_url.encode(), usedforsecurity=False).hexdigest()
    file.write_bytes(data)
    forget(loader)
    yield vocabulary
    forget(loader)


def forget(loader: Any) -> None:
    from agentfuse.tokens import gemma

    loader.load_model_proto.cache_clear()
    loader.get_sentencepiece.cache_clear()
    gemma._from_google.cache_clear()


def test_what_google_genai_has_fetched_before_is_used(kept: Path) -> None:
    text = "the weather is fine"
    estimate = GemmaCounter().count(asking("gemini-2.5-flash", said(text)))
    assert estimate is not None
    assert estimate.tokens == pieces(kept, text) + 1


def test_a_model_that_google_genai_has_no_vocabulary_for_is_left_to_the_rules(kept: Path) -> None:
    assert kept.is_file()
    assert GemmaCounter().count(asking("gemini-9-flash", said("hi"))) is None


def test_nothing_is_fetched_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fuse hears once that the vocabulary is missing, and counts by the rules."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    heard: list[Event] = []

    class Ear:
        def hear(self, event: Event) -> None:
            heard.append(event)

    with Upstream() as upstream:
        where = {"base_url": upstream.openai_url, "api_key": "sk-upstream"}
        fuse = Fuse("$1", counters=[GemmaCounter()], listeners=[Ear()], cache=False)
        for _ in range(2):
            messages = [{"role": "user", "content": "hi"}]
            completion("gemini/gemini-2.5-flash", messages, fuse=fuse, max_tokens=9, **where)
    troubles = [event for event in heard if isinstance(event, StoreTrouble)]
    assert [trouble.store for trouble in troubles] == ["counter GemmaCounter"]
    assert "not on this machine" in troubles[0].error


def test_a_missing_vocabulary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no vocabulary at"):
        GemmaCounter(tmp_path / "none").count(asking("gemini-2.5-flash", said("hi")))
