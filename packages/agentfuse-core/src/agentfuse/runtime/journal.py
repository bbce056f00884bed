"""The spend book of this process: one journal that every fuse writes into unless told otherwise."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.observe.spend_book import SpendBook
from agentfuse.runtime.settings import home

if TYPE_CHECKING:
    from agentfuse.runtime.settings import Settings


def spend_book_of(settings: Settings) -> SpendBook | None:
    """Give the journal that these settings ask for."""
    choice = settings.spend_book
    if choice is False:
        return None
    if choice is True:
        return default_spend_book()
    if isinstance(choice, str | Path):
        return _book_at(Path(choice).expanduser())
    return choice


def default_spend_book() -> SpendBook:
    """Give the journal in ``AGENTFUSE_HOME`` or the platform's data folder."""
    return _book_at(home() / "spend.sqlite3")


@lru_cache(maxsize=64)
def _book_at(path: Path) -> SpendBook:
    """Open one writer for each file, however many fuses write into it."""
    return SpendBook(path)
