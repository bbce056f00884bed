"""A ledger in a PostgreSQL database: for money that has to be where it is audited."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from agentfuse.connections.postgres_lanes import AwaitedLane, Lane, TooSlow
from agentfuse.errors import ConfigurationError, StoreUnavailable
from agentfuse.ledgers.faces import Face
from agentfuse.ledgers.postgres_commands import COMMANDS

if TYPE_CHECKING:
    from types import TracebackType
    from typing import LiteralString

    from psycopg.sql import Composed

    from agentfuse.connections.postgres_lanes import Row

# Each leads the schema on by one version, from none.
MIGRATIONS = ("postgres.sql", "postgres_2.sql")

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

# What is old is let go of with every so many commands of a process: twice as many leases, and
# accounts, at most.
_COMMANDS_PER_PRUNING = 500

# The connection broke, or the server shut down, or a database set to another isolation level or
# another program's locks came between (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_LOST = (None, "57P01", "57P02", "57P03", "40001", "40P01")

# The tables and functions are gone, or are not ours: look again before the next call.
_GONE = (
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedTable,
)


class PostgresLedger(Face):
    """Limits and leases in the database at ``url``, for any number of processes and machines.

    It makes a ``schema`` of its own, or upgrades it, when it is first used; only then its role
    needs CREATE on the database. Everything is decided in the database, by its clock and under row
    locks: one round trip a command. An answer is as durable as the server's ``synchronous_commit``
    makes it.

    Its methods hold up the thread they run on, and ``awaited()`` gives the face for event loops;
    each keeps up to ``connections`` connections (the awaited face in each loop). A server that
    cannot be reached, or does not answer within ``patience`` seconds, raises StoreUnavailable, and
    the next call tries again. A command that can be repeated without harm is tried a second time
    where the connection was lost.

    The table ``entries`` is only ever added to; leases are let go of 25 hours after they were
    closed, and accounts 35 days after their window has ended.
    """

    def __init__(
        self, url: str, *, schema: str = "agentfuse", patience: float = 5.0, connections: int = 8
    ) -> None:
        if not _PLAIN_NAME.fullmatch(schema):
            raise ConfigurationError(
                f"a ledger's schema has a plain lower-case name, not {schema!r}"
            )
        self.schema = schema
        self.name = _name_of(url, schema)
        self._making = Lock()
        self.is_made = False
        self._commands = 0
        self._lane = Lane(url, patience=patience, most=connections)
        self._awaited_lane = AwaitedLane(url, patience=patience, most=connections)

    @classmethod
    def from_url(cls, url: str) -> PostgresLedger:
        """Read ``postgresql://user@host/database``, with ``?schema=name`` if it is not agentfuse.

        All else in the URL is libpq's. Raises ConfigurationError for another kind of URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgres"}:
            raise ConfigurationError("a ledger's URL is like postgresql://user@host/database")
        fields = parse_qsl(parts.query, keep_blank_values=True)
        schema = dict(fields).get("schema", "agentfuse")
        rest = urlencode([field for field in fields if field[0] != "schema"])
        return cls(urlunsplit(parts._replace(query=rest)), schema=schema)

    def awaited(self) -> AwaitedPostgresLedger:
        """Give the same ledger for event loops: any number of them, none of which is held up."""
        return AwaitedPostgresLedger(self, self._awaited_lane)

    def close(self) -> None:
        """Close the connections of both faces; the next call opens others."""
        self._lane.close()
        self._awaited_lane.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _ask(self, command: str, *arguments: Any) -> Any:
        try:
            return self._ask_once(command, arguments)
        except psycopg.Error as error:
            if not self.may_repeat(command, error):
                raise self.trouble(error) from error
        try:
            return self._ask_once(command, arguments)
        except psycopg.Error as error:
            raise self.trouble(error) from error

    def _ask_once(self, command: str, arguments: tuple[Any, ...]) -> Any:
        self.make()
        called = COMMANDS[command]
        with self._lane.connection() as connection:
            rows = connection.execute(self.sql(called.call), called.arguments(*arguments))
            told = _told(rows.fetchone())
            if self.is_time_to_prune():
                connection.execute(self.sql("prune()"))
        return called.answer(told, *arguments)

    def sql(self, call: str) -> bytes:
        """Write the call of a function of the schema."""
        return f'SELECT "{self.schema}".{call}'.encode()

    def make(self) -> None:
        """Make or upgrade the schema, once in a process; raises what psycopg raises."""
        if self.is_made:
            return
        with self._making:
            if not self.is_made:
                with self._lane.connection() as connection:
                    self._migrate(connection)
                self.is_made = True

    def may_repeat(self, command: str, error: psycopg.Error) -> bool:
        """Say whether a second try may help at once, and does no harm."""
        if isinstance(error, TooSlow | psycopg.errors.ConnectionTimeout):
            return False
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate in _LOST
        return lost and COMMANDS[command].repeatable

    def is_time_to_prune(self) -> bool:
        """Count a command, and say whether what is old is to be let go of."""
        self._commands += 1
        return self._commands % _COMMANDS_PER_PRUNING == 0

    def trouble(self, error: psycopg.Error) -> StoreUnavailable | ConfigurationError:
        """Say what is wrong, in our words: waiting does not help where a right is missing."""
        if isinstance(error, _GONE):
            self.is_made = False
        text = f"the ledger {self.name} cannot be used: {str(error).strip()}"
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return ConfigurationError(text)
        return StoreUnavailable(text)

    def _migrate(self, connection: psycopg.Connection[Row]) -> None:
        version = self._version(connection)
        if version == len(MIGRATIONS):
            return
        with connection.transaction():
            # Of processes that come together one makes the tables, and the others find them made.
            lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
            connection.execute(lock, (f"agentfuse ledger {self.schema}",))
            version = self._version(connection)
            # A role that may not make schemas can be given an empty one.
            there = "SELECT FROM pg_namespace WHERE nspname = %s"
            if connection.execute(there, (self.schema,)).fetchone() is None:
                connection.execute(self._written("CREATE SCHEMA {}"))
            for number, name in enumerate(MIGRATIONS[version:], start=version + 1):
                text = files("agentfuse.ledgers").joinpath(name).read_text("utf-8")
                connection.execute(text.replace("agentfuse.", f'"{self.schema}".').encode())
                row = self._written("INSERT INTO {}.versions (version) VALUES (%s)")
                connection.execute(row, (number,))

    def _version(self, connection: psycopg.Connection[Row]) -> int:
        """Read the schema's version, 0 where it is empty; raises for one that is not ours."""
        tables = "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        names = connection.execute(f"{tables} WHERE nspname = %s", (self.schema,)).fetchall()
        if not names:
            return 0
        if not {("versions",), ("leases",), ("entries",)} <= set(names):
            raise ConfigurationError(
                f"the schema {self.schema} of {self.name} holds another program's tables: name"
                " another with ?schema="
            )
        latest = self._written("SELECT max(version) FROM {}.versions")
        version = int(_told(connection.execute(latest).fetchone()) or 0)
        if version > len(MIGRATIONS):
            raise StoreUnavailable(
                f"the ledger {self.name} is of version {version}, and this AgentFuse writes version"
                f" {len(MIGRATIONS)}: update AgentFuse, or name another schema with ?schema="
            )
        return version

    def _written(self, statement: LiteralString) -> Composed:
        return SQL(statement).format(Identifier(self.schema))


class AwaitedPostgresLedger(Face):
    """The face for event loops, over the same tables."""

    def __init__(self, ledger: PostgresLedger, lane: AwaitedLane) -> None:
        self._ledger = ledger
        self._lane = lane

    async def _ask(self, command: str, *arguments: Any) -> Any:
        ledger = self._ledger
        try:
            return await self._ask_once(command, arguments)
        except psycopg.Error as error:
            if not ledger.may_repeat(command, error):
                raise ledger.trouble(error) from error
        try:
            return await self._ask_once(command, arguments)
        except psycopg.Error as error:
            raise ledger.trouble(error) from error

    async def _ask_once(self, command: str, arguments: tuple[Any, ...]) -> Any:
        ledger, called = self._ledger, COMMANDS[command]
        if not ledger.is_made:
            await asyncio.to_thread(ledger.make)
        async with self._lane.connection() as connection:
            rows = await connection.execute(ledger.sql(called.call), called.arguments(*arguments))
            told = _told(await rows.fetchone())
            if ledger.is_time_to_prune():
                await connection.execute(ledger.sql("prune()"))
        return called.answer(told, *arguments)


def _told(row: Row | None) -> Any:
    return None if row is None else row[0]


def _name_of(url: str, schema: str) -> str:
    """Name the server and the database, and no password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"PostgreSQL cannot read the ledger's URL: {error}") from None
    where = given.get("host") or given.get("hostaddr") or "localhost"
    port = f":{given['port']}" if given.get("port") else ""
    return f"postgresql://{where}{port}/{given.get('dbname') or ''} ({schema})"
