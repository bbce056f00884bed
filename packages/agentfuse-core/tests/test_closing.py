"""A closed fuse has written everything down and leaves its files alone, until it is asked again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest

from agentfuse import Fuse, acompletion, completion
from agentfuse.observe.spend_book import SpendBook
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Shape = Literal["call", "stream", "acall", "astream"]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(answer_tokens=20) as provider:
        yield provider


def ask(shape: Shape, fuse: Fuse, upstream: Upstream, question: str) -> None:
    words = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": 100,
        "fuse": fuse,
        "base_url": upstream.openai_url,
        "api_key": "sk-upstream",
    }

    async def awaited() -> None:
        if shape == "acall":
            await acompletion(**words)
            return
        async for chunk in await acompletion(**words, stream=True):
            assert chunk.id

    match shape:
        case "call":
            completion(**words)
        case "stream":
            assert list(completion(**words, stream=True))
        case _:
            asyncio.run(awaited())


def spends_in(path: Path) -> int:
    """Count what is written down, as another program would."""
    with closing(sqlite3.connect(path)) as db:
        count: int = db.execute("SELECT count(*) FROM spends").fetchone()[0]
    return count


@pytest.mark.parametrize("shape", ["call", "stream", "acall", "astream"])
def test_the_folder_of_a_closed_fuse_can_be_deleted_at_once(
    shape: Shape, upstream: Upstream, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    book, ledger, cache = (home / f"{name}.sqlite3" for name in ("spend", "ledger", "cache"))
    for turn in range(10):
        fuse = Fuse("$1", spend_book=book, ledger=ledger, cache=cache)
        ask(shape, fuse, upstream, f"Question {turn}?")
        ask(shape, fuse, upstream, f"Question {turn}?")
        fuse.close()
        assert spends_in(book) == 1
        shutil.rmtree(home)
    assert upstream.calls == 10
    assert not home.exists()


def test_a_closed_fuse_that_is_asked_again_goes_on_in_its_book(
    upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "spend.sqlite3"
    fuse, beside = Fuse("$1", spend_book=path), Fuse("$1", spend_book=path)
    for turn in range(3):
        ask("call", fuse, upstream, f"Question {turn}?")
        ask("call", beside, upstream, f"Another {turn}?")
        fuse.close()
        assert spends_in(path) == 2 * (turn + 1)


def test_a_book_that_others_share_is_written_down_and_stays_open(
    upstream: Upstream, tmp_path: Path
) -> None:
    book = SpendBook(tmp_path / "spend.sqlite3")
    log = tmp_path / "spend.sqlite3-wal"
    fuse, beside = Fuse("$1", spend_book=book), Fuse("$1", spend_book=book)
    ask("call", fuse, upstream, "One?")
    fuse.close()
    assert spends_in(book.path) == 1
    assert log.exists()
    ask("acall", beside, upstream, "Two?")
    assert book.report()["calls_by_model"] == {"gpt-4o": 2}
    book.close()
    assert not log.exists()
    beside.close()
    assert not log.exists()


def test_a_session_that_is_closed_leaves_the_book_to_its_fuse(
    upstream: Upstream, tmp_path: Path
) -> None:
    path = tmp_path / "spend.sqlite3"
    with Fuse("$1", spend_book=path) as fuse:
        with fuse.session("inner") as inner:
            ask("call", inner, upstream, "One?")
        ask("call", fuse, upstream, "Two?")
    assert spends_in(path) == 2
