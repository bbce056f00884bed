"""A provider's embeddings through the SDK, simulated upstream: metered, and held to a budget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openai
import pytest

from agentfuse import BudgetExceeded, ConfigurationError, Fuse, wrap_openai
from agentfuse.embedders import OpenAIEmbedder, embedder_named
from agentfuse.testing import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def client(upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-upstream", base_url=upstream.openai_url) as bare:
        yield bare


def test_a_text_has_the_providers_vector(client: openai.OpenAI) -> None:
    embedder = embedder_named(OpenAIEmbedder(client))
    answer = client.embeddings.create(model="text-embedding-3-small", input="What is Python?")
    theirs = np.array(answer.data[0].embedding, np.float32)
    ours = embedder.embed("What is Python?")
    assert ours @ theirs / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-6)
    assert ours.shape == (embedder.dim,) == (1536,)


def test_shorter_vectors_are_asked_for(client: openai.OpenAI, upstream: Upstream) -> None:
    embedder = OpenAIEmbedder(client, dim=64)
    assert embedder.embed("a").shape == (64,)
    assert upstream.requests[0].body["dimensions"] == 64


def test_the_fingerprint_tells_model_length_and_server_apart(client: openai.OpenAI) -> None:
    elsewhere = openai.OpenAI(api_key="k", base_url="http://localhost:1/v1")
    embedders = [
        OpenAIEmbedder(client),
        OpenAIEmbedder(client, dim=64),
        OpenAIEmbedder(client, "text-embedding-3-large"),
        OpenAIEmbedder(elsewhere),
    ]
    assert len({each.fingerprint for each in embedders}) == 4


def test_its_calls_are_spend_and_stop_at_the_budget(client: openai.OpenAI) -> None:
    with Fuse("$0.0000005", cache=False) as fuse:
        embedder = OpenAIEmbedder(wrap_openai(client, fuse=fuse))
        embedder.embed("What is Python?")
        assert fuse.receipt().spent > 0
        with pytest.raises(BudgetExceeded):
            embedder.embed("What is Python? " * 200)


def test_a_model_of_unknown_length_is_asked_about(client: openai.OpenAI) -> None:
    with pytest.raises(ConfigurationError, match="how long are the vectors of 'nomic-embed'"):
        OpenAIEmbedder(client, "nomic-embed")


def test_vectors_of_another_length_are_refused(client: openai.OpenAI) -> None:
    embedder = OpenAIEmbedder(client, "text-embedding-ada-002")
    embedder.dim = 7
    with pytest.raises(ConfigurationError, match="1536 dimensions, not 7"):
        embedder.embed("a")
