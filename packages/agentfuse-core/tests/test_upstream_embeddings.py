"""The simulated provider embeds: vectors that hang on the text, billed by their tokens."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from agentfuse.testing import Upstream
from agentfuse.tokens import count_text

MODEL = "text-embedding-3-small"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def client(upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-upstream", base_url=upstream.openai_url) as bare:
        yield bare


def test_a_text_has_one_vector_and_no_other_text_has_it(client: openai.OpenAI) -> None:
    first, same, other = client.embeddings.create(model=MODEL, input=["a", "a", "b"]).data
    assert len(first.embedding) == 1536
    assert first.embedding == same.embedding != other.embedding


def test_numbers_and_base64_say_the_same(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model=MODEL, input="a", dimensions=8)
    plain = client.embeddings.create(model=MODEL, input="a", dimensions=8, encoding_format="float")
    assert packed.data == plain.data
    assert len(plain.data[0].embedding) == 8


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ("What is Python?", count_text("What is Python?")),
        (["a", "b"], 2),
        ([1, 2, 3], 3),
        ([[1, 2], [3]], 3),
    ],
    ids=["text", "texts", "tokens", "token-lists"],
)
def test_the_input_is_billed_and_nothing_else(
    client: openai.OpenAI, upstream: Upstream, given: str | list[str], tokens: int
) -> None:
    usage = client.embeddings.create(model=MODEL, input=given).usage
    assert (usage.prompt_tokens, usage.total_tokens) == (tokens, tokens)
    billed = upstream.requests[0].billed
    assert (billed.input_tokens, billed.output_tokens) == (tokens, 0)


def test_an_empty_input_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="input"):
        client.embeddings.create(model=MODEL, input="")
