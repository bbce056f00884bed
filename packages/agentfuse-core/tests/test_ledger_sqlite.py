"""The ledger in a file keeps the contract, for many processes, through kills and restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentfuse.ledgers.sqlite import SqliteLedger
from agentfuse.testing import LedgerContract
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentfuse.ports import Clock, Ledger


class TestBlocking(LedgerContract):
    """For blocking callers."""

    examples = 30

    @pytest.fixture(autouse=True)
    def _fresh_folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.files: list[SqliteLedger] = []
        yield
        for file in self.files:
            file.close()

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self, _fresh_folder: None) -> None:
        self.time = self.clock()
        self.books = self.ledger(self.time)

    def file(self, clock: Clock) -> SqliteLedger:
        """Begin a new file."""
        ledger = SqliteLedger(self.folder / f"ledger-{len(self.files)}.db", clock=clock)
        self.files.append(ledger)
        return ledger

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return self.file(clock)


class TestAwaited(Awaited, TestBlocking):
    """For awaiting callers."""

    examples = 5

    def ledger(self, clock: Clock) -> Ledger:
        """Give an empty ledger."""
        return self.file(clock).awaited()
