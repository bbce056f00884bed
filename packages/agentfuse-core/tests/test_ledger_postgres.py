"""The ledger in PostgreSQL keeps the contract, by the server's clock."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

import psycopg
import pytest

from agentfuse.ledgers.postgres import PostgresLedger
from agentfuse.runtime.now import run_now
from agentfuse.testing import LedgerContract
from agentfuse.testing.postgres_server import PostgresServer
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.ports import Clock, Ledger

# Read before conftest hides it from the tests.
GIVEN = os.environ.get("AGENTFUSE_TEST_POSTGRES_URL", "")
NUMBERS = count()
TABLES = ("accounts", "leases", "entries", "stops", "claims")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a real server."""
    if GIVEN:
        yield GIVEN
        return
    with PostgresServer() as server:
        yield server.url


class ServerClock:
    """The time of one ledger's database, which stands still and is moved by SQL."""

    def __init__(self, db: psycopg.Connection, schema: str) -> None:
        self._db = db
        self._table = f'"{schema}".test_time'

    def now(self) -> float:
        """Give the time."""
        row = self._db.execute(f"SELECT extract(epoch FROM at)::float8 FROM {self._table}")
        return row.fetchone()[0]

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let the server's time pass."""
        self._db.execute(
            f"UPDATE {self._table} SET at = at + make_interval(secs => %s)", (seconds,)
        )


class TestBlocking(LedgerContract):
    """For blocking callers."""

    examples = 15

    @pytest.fixture(autouse=True)
    def _fresh_ledger(self, url: str) -> Iterator[None]:
        schema = f"ledger_{next(NUMBERS)}"
        with (
            psycopg.connect(url, autocommit=True) as self.db,
            PostgresLedger(url, schema=schema, connections=10) as self.kept,
        ):
            run_now(self.kept.stops())
            self.db.execute(f"CREATE TABLE {schema}.test_time AS SELECT to_timestamp(1.7e9) AS at")
            self.db.execute(
                f"CREATE OR REPLACE FUNCTION {schema}.moment() RETURNS timestamptz"
                f" LANGUAGE sql AS 'SELECT at FROM {schema}.test_time'"
            )
            self.time = self.clock()
            self.books = self.ledger(self.time)
            yield
            self.db.execute(f"DROP SCHEMA {schema} CASCADE")

    def clock(self) -> ServerClock:
        """Give the server's clock."""
        return ServerClock(self.db, self.kept.schema)

    def ledger(self, clock: Clock) -> Ledger:
        """Empty the ledger, and give it."""
        tables = ", ".join(f"{self.kept.schema}.{table}" for table in TABLES)
        self.db.execute(f"TRUNCATE {tables}")
        return self.face()

    def face(self) -> Ledger:
        """Give the face to be tested."""
        return self.kept


class TestAwaited(Awaited, TestBlocking):
    """For awaiting callers."""

    examples = 3

    def face(self) -> Ledger:
        """Give the face for event loops."""
        return self.kept.awaited()
