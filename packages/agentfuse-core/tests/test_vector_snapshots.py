"""A file of vectors is whole or not there: cut, changed, foreign, or killed in the middle."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.caches.vectors import Snapshot, load, save

MINE = "minilm-int8/mean/abc"
SAVER = """
import sys, numpy as np
from agentfuse.caches.vectors import Snapshot, save
vectors = np.eye(64, dtype=np.float32)
for turn in range(1_000_000):
    entries = [{"id": f"e{n}", "turn": turn, "text": "x" * 10_000} for n in range(64)]
    save(sys.argv[1], Snapshot(sys.argv[2], entries, vectors))
    print(turn, flush=True)
"""


def snapshot(count: int = 5, fingerprint: str = MINE) -> Snapshot:
    vectors = np.random.default_rng(1).standard_normal((count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Snapshot(fingerprint, [{"id": f"e{n}", "text": "Grüße"} for n in range(count)], vectors)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "vectors.afv"


def aside(path: Path, why: str) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.{why}-*"))


@pytest.mark.parametrize("count", [0, 1, 500])
def test_what_was_saved_is_loaded(path: Path, count: int) -> None:
    saved = snapshot(count)
    save(path, saved)
    loaded = load(path, MINE)
    assert loaded is not None
    assert loaded.entries == saved.entries
    assert np.abs(loaded.vectors - saved.vectors).max(initial=0) < 1e-3
    assert np.allclose(np.linalg.norm(loaded.vectors, axis=1), 1, atol=1e-6)


def test_no_file_is_no_snapshot(path: Path) -> None:
    assert load(path, MINE) is None


def test_another_embedders_file_is_set_aside_and_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(path, snapshot(fingerprint="other/abc"))
    with caplog.at_level(logging.WARNING, "agentfuse"):
        assert load(path, MINE) is None
    assert "made by other/abc, and the embedder now is minilm-int8/mean/abc" in caplog.text
    assert len(aside(path, "foreign")) == 1
    assert not path.exists()


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_set_aside(tmp_path: Path, cut: float) -> None:
    path = tmp_path / f"{cut}.afv"
    save(path, snapshot())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    assert load(path, MINE) is None
    assert len(aside(path, "corrupt")) == 1


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_is_found_out(tmp_path: Path, place: float, bit: int) -> None:
    path = tmp_path / f"{place}-{bit}.afv"
    save(path, snapshot())
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1 << bit
    path.write_bytes(content)
    assert load(path, MINE) is None


def test_what_cannot_be_written_leaves_the_older_file(path: Path) -> None:
    save(path, snapshot())
    with pytest.raises(TypeError):
        save(path, Snapshot(MINE, [{"id": object()}], snapshot(1).vectors))
    with pytest.raises(ValueError, match="1 entries, 5 vectors"):
        save(path, Snapshot(MINE, [{}], snapshot().vectors))
    assert load(path, MINE) is not None
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_kill_in_the_middle_of_a_save_leaves_a_whole_file(path: Path) -> None:
    turns: list[int] = []
    for round_ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path), MINE], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # one is there, and the next is on its way
        time.sleep(0.002 * round_)
        process.kill()
        process.communicate()
        loaded = load(path, MINE)
        assert loaded is not None
        turns.append(loaded.entries[0]["turn"])
        assert len({entry["turn"] for entry in loaded.entries}) == 1
    assert aside(path, "corrupt") == []
    assert turns


def test_what_a_killed_process_left_is_swept_up_later(path: Path) -> None:
    save(path, snapshot())
    old, fresh = (path.with_name(f".{path.name}-{word}") for word in ("old", "fresh"))
    for left in (old, fresh):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    save(path, snapshot())
    assert (old.exists(), fresh.exists()) == (False, True)
