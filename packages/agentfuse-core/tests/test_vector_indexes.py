"""Both indexes find what a plain comparison finds, whatever was added and removed before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentfuse.caches.vectors import FaissIndex, NumpyIndex
from agentfuse.caches.vectors.numpy_index import BLOCK
from agentfuse.ports import Index

DIM = 16
KINDS = {
    "numpy": lambda: NumpyIndex(DIM),
    "faiss-fp16": lambda: FaissIndex(DIM),
    "faiss-int8": lambda: FaissIndex(DIM, storage="int8"),
    "faiss-graph": lambda: FaissIndex(DIM, graph_from=0),
    "faiss-becomes-graph": lambda: FaissIndex(DIM, graph_from=20),
}
ROUNDING = {"numpy": 1e-6, "faiss-int8": 0.03}  # the rest is in half precision
every_kind = pytest.mark.parametrize("kind", KINDS)
# Few ids, so that many are met twice; more of them than `graph_from`.
steps = st.lists(st.tuples(st.sampled_from(["add", "add", "remove"]), st.integers(0, 60)))


def vector_of(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(DIM, np.float32)
    return vector / np.linalg.norm(vector)


def index_of(kind: str, count: int) -> Index:
    index = KINDS[kind]()
    for number in range(count):
        index.add(f"e{number}", vector_of(number))
    return index


@every_kind
@given(steps=steps)
def test_it_finds_what_a_plain_comparison_finds(kind: str, steps: list[tuple[str, int]]) -> None:
    index, plain = KINDS[kind](), {}
    for time, (step, number) in enumerate(steps):
        entry_id = f"e{number}"
        if step == "add":
            plain[entry_id] = vector_of(number * 1_000 + time)
            index.add(entry_id, plain[entry_id])
        else:
            plain.pop(entry_id, None)
            index.remove(entry_id)
    asked, rounding = vector_of(-1 % 2**32), ROUNDING.get(kind, 2e-3)
    expected = {entry_id: float(vector @ asked) for entry_id, vector in plain.items()}
    found = dict(index.nearest(asked, 100, -1.0))
    assert found == pytest.approx(expected, abs=rounding)
    assert len(index) == len(plain)
    ids, vectors = index.rows()
    assert sorted(ids) == sorted(plain)
    assert all(vectors[row] @ plain[each] > 1 - rounding for row, each in enumerate(ids))


@every_kind
def test_the_nearest_come_first_and_none_below_the_threshold(kind: str) -> None:
    index, asked = index_of(kind, 50), vector_of(7)
    scores = [score for _, score in index.nearest(asked, 50, 0.2)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 0.2
    assert index.nearest(asked, 1, 0.9)[0][0] == "e7"
    assert index.nearest(asked, 2, 0.0)[:1] == index.nearest(asked, 1, 0.0)


@every_kind
def test_an_empty_index_finds_nothing(kind: str) -> None:
    index = index_of(kind, 2)
    for entry_id in ("e0", "e1", "e1", "never"):
        index.remove(entry_id)
    assert index.nearest(vector_of(0), 5, -1.0) == []
    assert len(index) == 0


@every_kind
@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (np.ones(DIM, np.float32), "length must be one"),
        (np.zeros(DIM, np.float32), "length must be one"),
        (np.full(DIM, np.nan, np.float32), "length must be one"),
        (np.ones(3, np.float32), "16 dimensions"),
    ],
    ids=["long", "nothing", "no-number", "short"],
)
def test_what_is_no_unit_vector_is_refused(kind: str, vector: np.ndarray, said: str) -> None:
    index = index_of(kind, 1)
    with pytest.raises(ValueError, match=said):
        index.add("bad", vector)
    with pytest.raises(ValueError, match=said):
        index.nearest(vector, 1, 0.0)
    assert len(index) == 1


def test_blocks_come_and_go_without_losing_a_row() -> None:
    index, size = NumpyIndex(2), 2 * BLOCK + 5
    angles = np.arange(size) / size
    for number, angle in enumerate(angles):
        index.add(str(number), np.array([np.cos(angle), np.sin(angle)], np.float32))
    for number in range(0, size, 2):
        index.remove(str(number))
    assert len(index) == size // 2
    for number in (1, BLOCK - 1, size - 2):
        angle = angles[number]
        asked = np.array([np.cos(angle), np.sin(angle)], np.float32)
        assert index.nearest(asked, 3, 0.5)[0][1] == pytest.approx(1.0)
        assert str(number) in dict(index.nearest(asked, 40, 0.5))
    ids, vectors = index.rows()
    assert len(ids) == len(index)
    assert all(
        np.arctan2(y, x) == pytest.approx(angles[int(each)], abs=1e-5)
        for each, (x, y) in zip(ids[::500], vectors[::500], strict=True)
    )


@pytest.mark.parametrize(
    ("dim", "rows"), [(3, 1_000), (64, 1_000), (128, BLOCK + 700), (384, 1_500), (3_072, 500)]
)
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_the_nearest_of_a_crowd_are_all_found(dim: int, rows: int, spread: float) -> None:
    """Thousands of rows about one place, all above the threshold: none of the best is passed by."""
    random = np.random.default_rng(dim)
    vectors = 1 + spread * random.standard_normal((rows, dim), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = NumpyIndex(dim)
    for number, vector in enumerate(vectors):
        index.add(str(number), vector)
    for asked in vectors[:: rows // 5]:
        cosines = vectors @ asked
        for count in (1, 5, 100):
            found = index.nearest(asked, count, 0.5)
            ids, scores = zip(*found, strict=True)
            best = np.sort(cosines)[::-1][:count]
            assert scores == pytest.approx(best, abs=1e-5)
            assert cosines[[int(each) for each in ids]] == pytest.approx(scores, abs=1e-5)
            assert len(set(ids)) == count


def test_a_graph_is_renewed_when_most_of_it_is_dead() -> None:
    index = FaissIndex(DIM, graph_from=0)
    for number in range(4_000):
        index.add(f"e{number % 50}", vector_of(number))
    kept = sum(part is not None and len(part.ids) for part in (index._new, index._old))
    assert kept < 2_500
    assert index.nearest(vector_of(3_999), 1, 0.99)[0][0] == "e49"


@every_kind
def test_threads_may_add_remove_and_search_at_once(kind: str) -> None:
    index = index_of(kind, 100)

    def work(thread: int) -> None:
        for number in range(200):
            index.add(f"t{thread}-{number}", vector_of(number))
            found = index.nearest(vector_of(5), 3, 0.95)
            assert "e5" in dict(found) or len(found) == 3
            index.remove(f"t{thread}-{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(index.rows()[0]) == sorted(f"e{number}" for number in range(100))
