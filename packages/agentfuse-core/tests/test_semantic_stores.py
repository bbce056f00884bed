"""The store in memory keeps what every semantic store promises, and its file what it says."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentfuse.caches.semantic import saving
from agentfuse.caches.semantic.memory_store import MemorySemanticStore
from agentfuse.caches.vectors import FaissIndex
from agentfuse.messages import Choice, Other, Reply
from agentfuse.semantics import Question, Selection, SemanticEntry, pair_of
from agentfuse.testing import FrozenClock, SemanticCacheContract
from agentfuse.testing.cache_contract import said
from agentfuse.testing.semantic_contract import DIM, HERE, THERE, vector


class TestInMemory(SemanticCacheContract):
    def store(self, clock, *, max_entries=1_000):
        return MemorySemanticStore(DIM, clock=clock, max_entries=max_entries)


class TestWithAFile(SemanticCacheContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, _fresh_store) -> None:
        self.kept = self.store(self.time, path=tmp_path / "semantic.bin")

    def store(self, clock, *, max_entries=1_000, path=None):
        return MemorySemanticStore(DIM, clock=clock, max_entries=max_entries, path=path)


class TestOverFaiss(SemanticCacheContract):
    def store(self, clock, *, max_entries=1_000):
        return MemorySemanticStore(DIM, clock=clock, max_entries=max_entries, index=FaissIndex)


def entry(prompt: str, scope: str = HERE, **fields: Any) -> SemanticEntry:
    now = time.time()
    fields = {"kept": now, "expires": now + 3_600, "tags": ("user:ann",), **fields}
    return SemanticEntry(
        id=Question(scope=scope, text=prompt).entry_id, scope=scope, prompt=prompt, **fields
    )


def saved(path: Path, *prompts: str, fingerprint: str = "f") -> MemorySemanticStore:
    store = MemorySemanticStore(DIM, fingerprint=fingerprint, path=path)
    for number, prompt in enumerate(prompts):
        store.keep(entry(prompt), vector(1, number), said(prompt))
    store.close()
    return store


def test_bytes_are_bounded_over_all_scopes() -> None:
    store = MemorySemanticStore(DIM, max_bytes=50_000)
    for number in range(30):
        store.keep(entry("q", f"{number:064}"), vector(1), said("x" * 2_000))
    assert 5 < len(store) < 20
    assert store.nearest(f"{0:064}", vector(1), 1) == ()
    assert store.nearest(f"{29:064}", vector(1), 1)


def test_an_answer_too_heavy_for_the_store_is_not_kept() -> None:
    store = MemorySemanticStore(DIM, max_bytes=10_000)
    store.keep(entry("small"), vector(1), said("x"))
    store.keep(entry("big"), vector(1), said("x" * 20_000))
    assert [near.entry.prompt for near in store.nearest(HERE, vector(1), 5)] == ["small"]


def test_scopes_are_bounded_and_the_least_recently_used_leaves() -> None:
    store = MemorySemanticStore(DIM, max_scopes=2)
    for scope in (HERE, THERE):
        store.keep(entry("q", scope), vector(1), said("a"))
    assert store.nearest(HERE, vector(1), 1)
    store.keep(entry("q", "c" * 64), vector(1), said("a"))
    assert store.nearest(THERE, vector(1), 1) == ()
    assert store.nearest(HERE, vector(1), 1)
    assert len(store) == 2


def test_an_expired_neighbour_does_not_hide_a_fresh_one() -> None:
    clock = FrozenClock()
    store = MemorySemanticStore(DIM, clock=clock)
    for number in range(8):
        dying = entry(f"dying {number}", expires=clock.now() + 10)
        store.keep(dying, vector(1), said("old"))
    store.keep(entry("fresh", expires=clock.now() + 100), vector(1, 0.3), said("new"))
    clock.advance(50)
    assert [near.entry.prompt for near in store.nearest(HERE, vector(1), 5)] == ["fresh"]
    assert len(store) == 1


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "semantic.bin"
    first = saved(path, "one", "two")
    first.forbid(pair_of(HERE, "a", "b"))
    first.close()
    again = MemorySemanticStore(DIM, fingerprint="f", path=path)
    found = again.nearest(HERE, vector(1, 1), 2)
    assert [near.entry.prompt for near in found] == ["two", "one"]
    assert found[0].entry.tags == ("user:ann",)
    assert again.answer(found[0].entry.id) == said("two")
    assert again.is_forbidden(pair_of(HERE, "a", "b"))
    assert again.invalidate(Selection(tags=("user:ann",))) == 2
    again.close()
    assert len(MemorySemanticStore(DIM, fingerprint="f", path=path)) == 0


def test_rejected_pairs_survive_without_an_entry(tmp_path: Path) -> None:
    store = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")
    store.forbid("p")
    store.close()
    assert MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s").is_forbidden("p")


def test_what_expired_is_not_written(tmp_path: Path) -> None:
    clock = FrozenClock()
    store = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s", clock=clock)
    store.keep(entry("old", expires=clock.now() + 1), vector(1), said("x"))
    clock.advance(2)
    store.close()
    assert len(MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")) == 0


@pytest.mark.parametrize("damage", ["cut", "turned", "text"])
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, damage: str, caplog) -> None:
    path = tmp_path / "semantic.bin"
    saved(path, "one", "two")
    whole = path.read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 1
    path.write_bytes({"cut": whole[:-40], "turned": bytes(turned), "text": b"hello"}[damage])
    with caplog.at_level(logging.WARNING, "agentfuse"):
        store = MemorySemanticStore(DIM, fingerprint="f", path=path)
    assert len(store) == 0
    assert "set aside" in caplog.text
    assert list(tmp_path.glob("semantic.bin.corrupt-*"))
    store.keep(entry("new"), vector(1), said("new"))
    store.close()
    assert len(MemorySemanticStore(DIM, fingerprint="f", path=path)) == 1


def test_another_embedders_file_is_set_aside(tmp_path: Path, caplog) -> None:
    path = tmp_path / "semantic.bin"
    saved(path, "one", fingerprint="other")
    with caplog.at_level(logging.WARNING, "agentfuse"):
        assert len(MemorySemanticStore(DIM, fingerprint="f", path=path)) == 0
    assert "made by other" in caplog.text
    assert list(tmp_path.glob("semantic.bin.foreign-*"))


def test_a_change_is_written_in_a_while(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(saving, "GATHERED", 0.05)
    path = tmp_path / "semantic.bin"
    store = MemorySemanticStore(DIM, fingerprint="f", path=path)
    store.keep(entry("one"), vector(1), said("one"))
    end = time.monotonic() + 5
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert len(MemorySemanticStore(DIM, fingerprint="f", path=path)) == 1


def test_closing_waits_for_what_a_thread_is_writing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(saving, "GATHERED", 0.0)
    writing, may_go_on = threading.Event(), threading.Event()

    def slowly(*written: Any) -> None:
        writing.set()
        assert may_go_on.wait(10)
        save(*written)

    save = saving.save
    monkeypatch.setattr(saving, "save", slowly)
    path = tmp_path / "semantic.bin"
    store = MemorySemanticStore(DIM, fingerprint="f", path=path)
    store.keep(entry("one"), vector(1), said("one"))
    assert writing.wait(10)
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    may_go_on.set()
    closing.join(10)
    assert path.exists()


def test_a_folder_that_cannot_be_written_costs_no_call(tmp_path: Path, caplog) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    store = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "sub" / "s")
    (tmp_path / "sub").symlink_to(file)
    store.keep(entry("one"), vector(1), said("one"))
    with caplog.at_level(logging.WARNING, "agentfuse"):
        store.close()
    assert "cannot be written" in caplog.text
    assert len(store) == 1


def test_an_answer_that_json_cannot_carry_stays_in_memory(tmp_path: Path) -> None:
    store = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")
    odd = Reply(choices=(Choice(parts=(Other({"x": object()}),)),))
    store.keep(entry("odd"), vector(1), odd)
    store.keep(entry("plain"), vector(1, 1), said("plain"))
    store.close()
    again = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")
    assert [near.entry.prompt for near in again.nearest(HERE, vector(1), 5)] == ["plain"]


_WRITER = """
import sys, time
from agentfuse.caches.semantic import saving
from agentfuse.caches.semantic.memory_store import MemorySemanticStore
from agentfuse.semantics import SemanticEntry
from agentfuse.testing.cache_contract import said
from agentfuse.testing.semantic_contract import vector
saving.GATHERED = 0.0
store = MemorySemanticStore(16, fingerprint="f", path=sys.argv[1])
print("ready", flush=True)
for n in range(100_000):
    store.keep(SemanticEntry(id=str(n), scope="s", prompt=f"p{n}", kept=time.time(),
        expires=time.time() + 99), vector(1, n), said(f"p{n}"))
"""


def test_a_process_killed_while_it_writes_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "semantic.bin"
    saved(path, "before")
    for wait in (0.3, 0.7):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = MemorySemanticStore(DIM, fingerprint="f", path=path)
        assert len(store) > 0
        for near in store.nearest("s", vector(1), 50):
            assert store.answer(near.entry.id) == said(near.entry.prompt)
    assert not list(tmp_path.glob("*corrupt*"))


def test_half_precision_moves_no_cosine_by_more_than_a_thousandth(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(50, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")
    for number, row in enumerate(rows):
        store.keep(entry(f"{number}"), row, said("a"))
    store.close()
    again = MemorySemanticStore(DIM, fingerprint="f", path=tmp_path / "s")
    for row in rows:
        before = {near.entry.prompt: near.score for near in store.nearest(HERE, row, 3)}
        after = {near.entry.prompt: near.score for near in again.nearest(HERE, row, 3)}
        assert after == pytest.approx(before, abs=1e-3)
