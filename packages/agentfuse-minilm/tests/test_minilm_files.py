"""The wheel's promise: the files are those that were exported, and they make vectors."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from agentfuse_minilm import folder

QUESTION = "How do I reset my password?"
SAME = "What is the way to change a forgotten password?"
OTHER = "Which wine goes well with grilled salmon?"


@pytest.fixture(scope="module")
def about() -> dict:
    return json.loads((folder() / "about.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        folder() / "minilm-int8.onnx", providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(folder() / "tokenizer.json"))


def test_each_file_is_the_one_that_was_exported(about) -> None:
    tiny = json.loads((folder() / "about-tiny.json").read_text("utf-8"))
    listed = about["sha256"] | tiny["sha256"]
    assert listed == {
        name: hashlib.sha256((folder() / name).read_bytes()).hexdigest() for name in listed
    }


def test_a_text_is_cut_where_the_model_was_trained_to(about, tokenizer) -> None:
    assert len(tokenizer.encode("word " * 1000).ids) == about["max_tokens"]


def test_a_short_text_is_not_padded(tokenizer) -> None:
    assert tokenizer.encode("hello world").tokens == ["[CLS]", "hello", "world", "[SEP]"]


def test_a_vector_has_length_one(about, session, tokenizer) -> None:
    vector = vector_of(QUESTION, session, tokenizer)
    assert vector.shape == (about["dim"],)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_a_rewording_is_nearer_than_another_question(session, tokenizer) -> None:
    question, same, other = (
        vector_of(text, session, tokenizer) for text in (QUESTION, SAME, OTHER)
    )
    assert question @ same > 0.7
    assert question @ other < 0.2


def test_the_longest_text_fits(session, tokenizer) -> None:
    assert vector_of("word " * 1000, session, tokenizer).shape == (384,)


def test_the_static_table_knows_every_token(tokenizer) -> None:
    table = np.load(folder() / "tiny-int8.npy", allow_pickle=False)
    assert table["vector"].shape == (tokenizer.get_vocab_size(), 128)
    assert table["vector"].dtype == np.int8
    assert (table["scale"] > 0).all()


def vector_of(text: str, session, tokenizer) -> np.ndarray:
    ids = np.array(tokenizer.encode(text).ids, np.int64)
    return session.run(None, {"ids": ids})[0]
