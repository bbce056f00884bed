"""The file of a batch queue: each call, where it stands, and what came back."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from agentfuse.sqlite_files import Schema, SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

SCHEMA = Schema(
    what="batch queue",
    application_id=0x41466271,  # "AFbq"
    version=1,
    precious=True,
    statements=(
        """CREATE TABLE calls (
            id TEXT PRIMARY KEY,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            body TEXT NOT NULL,
            added REAL NOT NULL,
            scope TEXT NOT NULL,
            state TEXT NOT NULL,
            token TEXT NOT NULL,
            since REAL NOT NULL,
            batch TEXT NOT NULL,
            answer TEXT NOT NULL,
            kind TEXT NOT NULL,
            error TEXT NOT NULL
        )""",
        "CREATE INDEX calls_by_state ON calls (state, batch)",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call; ``state`` is waiting, sending (under ``token``), sent (in ``batch``), done, failed.

    ``added`` and ``since`` are Unix times.
    """

    id: str
    provider: str
    model: str
    body: str
    added: float
    scope: str
    state: str = "waiting"
    token: str = ""
    since: float = 0.0
    batch: str = ""
    answer: str = ""
    kind: str = ""
    error: str = ""


_COLUMNS = ", ".join(field.name for field in fields(Row))
_PLACES = ", ".join("?" for _ in fields(Row))


class BatchFile:
    """A queue's calls, for the threads of this process and for others beside it."""

    def __init__(self, path: str | Path) -> None:
        self._file = SqliteFile(Path(path).expanduser(), SCHEMA)

    def add(self, row: Row) -> None:
        """Keep a new call."""
        said = f"INSERT INTO calls ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608 - our own words
        self._file.write(lambda db: db.execute(said, astuple(row)))

    def waiting(self) -> list[Row]:
        """List what is yet to be sent, oldest first."""
        return self._rows("state = 'waiting' ORDER BY added")

    def of_batch(self, batch_id: str) -> list[Row]:
        """List what a batch has not answered yet."""
        return self._rows("state = 'sent' AND batch = ?", batch_id)

    def ended(self) -> list[Row]:
        """List what was answered, or failed."""
        return self._rows("state IN ('done', 'failed') ORDER BY added")

    def take(self, ids: Sequence[str], token: str, now: float) -> frozenset[str]:
        """Take calls to send, and say which no other process took before."""
        said = (
            "UPDATE calls SET state = 'sending', token = ?, since = ?"
            " WHERE id = ? AND state = 'waiting'"
        )

        def work(db: sqlite3.Connection) -> frozenset[str]:
            return frozenset(
                each for each in ids if db.execute(said, (token, now, each)).rowcount == 1
            )

        return self._file.write(work)

    def put_back(self, token: str) -> None:
        """Let calls wait again."""
        said = (
            "UPDATE calls SET state = 'waiting', token = '' WHERE state = 'sending' AND token = ?"
        )
        self._file.write(lambda db: db.execute(said, (token,)))

    def sent(self, token: str, batch_id: str) -> None:
        """Note the batch that calls are in."""
        said = "UPDATE calls SET state = 'sent', batch = ? WHERE state = 'sending' AND token = ?"
        self._file.write(lambda db: db.execute(said, (batch_id, token)))

    def end(self, call_id: str, *, answer: str = "", kind: str = "", error: str = "") -> None:
        """Keep an answer, or why there is none."""
        state = "done" if answer else "failed"
        said = "UPDATE calls SET state = ?, answer = ?, kind = ?, error = ? WHERE id = ?"
        self._file.write(lambda db: db.execute(said, (state, answer, kind, error, call_id)))

    def running(self) -> list[tuple[str, str, str]]:
        """List the batches under way: id, provider, model."""
        said = "SELECT DISTINCT batch, provider, model FROM calls WHERE state = 'sent'"
        return self._file.read(lambda db: db.execute(said).fetchall())

    def abandoned(self, before: float) -> list[tuple[str, str, str, list[str]]]:
        """List what was being sent for too long: token, provider, model, and the calls' ids."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in self._rows("state = 'sending' AND since < ?", before):
            found.setdefault((row.token, row.provider, row.model), []).append(row.id)
        return [(*place, ids) for place, ids in found.items()]

    def counts(self) -> Counter[str]:
        """Count the calls in each state."""
        said = "SELECT state, count(*) FROM calls GROUP BY state"
        return Counter(dict(self._file.read(lambda db: db.execute(said).fetchall())))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rows(self, where: str, *values: object) -> list[Row]:
        said = f"SELECT {_COLUMNS} FROM calls WHERE {where}"  # noqa: S608 - our own words
        names = [field.name for field in fields(Row)]
        rows = self._file.read(lambda db: db.execute(said, values).fetchall())
        return [Row(**dict(zip(names, row, strict=True))) for row in rows]
