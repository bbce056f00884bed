"""The spend book: a journal of what was spent, in a SQLite file that outlives the process."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from agentfuse.errors import StoreUnavailable
from agentfuse.money import dollars_of
from agentfuse.observe.batches import Batches
from agentfuse.sqlite_files import Schema, SqliteFile
from agentfuse.tickets import Failed, Receipt

if TYPE_CHECKING:
    import sqlite3
    from decimal import Decimal

    from agentfuse.tickets import Event

# Entries that a file refused are tried again with the next ones; beyond this the oldest are lost.
MOST_PENDING = 10_000

SCHEMA = Schema(
    what="spend book",
    application_id=0x41467362,  # "AFsb"
    version=1,
    statements=(
        """CREATE TABLE spends (
            at REAL NOT NULL,
            call TEXT NOT NULL,
            kind TEXT NOT NULL,
            model TEXT NOT NULL,
            provider TEXT NOT NULL,
            nanodollars INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL
        )""",
        "CREATE INDEX spends_by_time ON spends (at)",
    ),
)


class SpendReport(TypedDict):
    """What was spent: dollars in all, by model and by tool, and the calls billed by model."""

    total_usd: Decimal
    by_model: dict[str, Decimal]
    by_tool: dict[str, Decimal]
    calls_by_model: dict[str, int]


_PAID = (Receipt, Failed)


class _Spend(NamedTuple):
    at: float
    call: str
    kind: str
    model: str
    provider: str
    nanodollars: int
    input_tokens: int
    output_tokens: int


class SpendBook:
    """A listener that writes down every receipt and failure that cost something.

    The request path pays a queue put; one daemon thread writes batches. Any number of processes
    may share ``path``, whose folder is made if need be. A file that cannot be written is logged
    once and tried again with the next batch; ``lost`` counts entries given up. A damaged file is
    set aside and a new one begun. A process killed on the spot loses its last 0.2 seconds.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = SqliteFile(self.path, SCHEMA)
        self._batches: Batches[_Spend] = Batches(self._write, "agentfuse-spend-book")
        self._pending: list[_Spend] = []
        self._lost = 0
        self._said = False

    @property
    def lost(self) -> int:
        """How many entries could not be written and were given up."""
        return self._lost

    def hear(self, event: Event) -> None:
        """Take down what cost something."""
        if isinstance(event, _PAID) and event.cost > 0:
            self._batches.put(_spend_of(event))

    def flush(self) -> bool:
        """Wait until all that was heard is written; False if the file holds that up too long."""
        return self._batches.flush(again=bool(self._pending))

    def report(self, since: datetime | float | None = None) -> SpendReport:
        """Sum up the book, from ``since`` on (a datetime, or seconds since the epoch).

        Raises StoreUnavailable if the file cannot be read, or lacks what was heard since it could
        last be written.
        """
        if not self.flush() or self._pending:
            raise StoreUnavailable(f"the spend book {self.path} cannot be brought up to date")
        start = since.timestamp() if isinstance(since, datetime) else since or 0.0
        if not self.path.exists():
            return _report_of([])
        return _report_of(self._file.read(lambda db: _sums(db, start)))

    def close(self) -> None:
        """Write what is left and close the file, which the next event or report opens again."""
        self.flush()
        self._file.close()

    def _write(self, spends: list[_Spend]) -> None:
        """Write in the journal's own thread; what fails is tried again with the next batch."""
        batch = [*self._pending, *spends]
        if not batch:
            return
        try:
            self._file.write(lambda db: db.executemany(_INSERT, batch))
        except StoreUnavailable as error:
            self._pending = batch[-MOST_PENDING:]
            self._lost += len(batch) - len(self._pending)
            if not self._said:
                logging.getLogger("agentfuse").warning(
                    "spending is not written down for now, the calls go on: %s", error
                )
            self._said = True
        else:
            self._pending = []
            self._said = False


_INSERT = "INSERT INTO spends VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def _spend_of(event: Receipt | Failed) -> _Spend:
    usage = event.usage if isinstance(event, Receipt) else None
    return _Spend(
        at=time.time(),
        call=event.id,
        kind=event.source if isinstance(event, Receipt) else "failed",
        model=event.model,
        provider=event.provider,
        nanodollars=event.cost,
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
    )


def _sums(db: sqlite3.Connection, start: float) -> list[tuple[str, int, int, int]]:
    return db.execute(
        "SELECT model, kind = 'tool', sum(nanodollars), count(*) FROM spends WHERE at >= ?"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1",
        (start,),
    ).fetchall()


def _report_of(sums: list[tuple[str, int, int, int]]) -> SpendReport:
    return SpendReport(
        total_usd=dollars_of(sum(nano for _, _, nano, _ in sums)),
        by_model={name: dollars_of(nano) for name, tool, nano, _ in sums if not tool},
        by_tool={name: dollars_of(nano) for name, tool, nano, _ in sums if tool},
        calls_by_model={name: count for name, tool, _, count in sums if not tool},
    )
