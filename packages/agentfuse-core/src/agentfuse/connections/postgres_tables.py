"""Tables that a cache has in a PostgreSQL: made where they are missing, asked with patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agentfuse.connections.brisk_links import Rest
from agentfuse.errors import ConfigurationError, StoreUnavailable

try:
    import psycopg

    from agentfuse.connections.postgres_lanes import Lane
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f'postgresql:// needs {missing.name}: pip install "agentfuse-core[postgres]"'
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

# An answer that takes longer, in seconds, is of no use to a cache: the call is made without it.
PATIENCE = 1.0

_CONNECTIONS = 16


class PostgresTables:
    """The tables that ``file`` makes, in the first schema of the role's search path.

    ``url`` is ``postgresql://user@host/database``, with ``namespace`` behind its ``?``; all else
    there is libpq's. ``what`` names their use in messages. A server that does not answer is left
    alone for a moment, as Redis is.
    """

    def __init__(
        self,
        url: str,
        what: str,
        file: Path,
        *,
        namespace: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        parts = urlsplit(url)
        words = parse_qsl(parts.query, keep_blank_values=True)
        self.namespace = namespace or dict(words).get("namespace") or "agentfuse"
        theirs = urlencode([pair for pair in words if pair[0] != "namespace"])
        theirs = urlunsplit(parts._replace(query=theirs))
        self._lane = Lane(theirs, patience=patience, most=_CONNECTIONS)
        self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._rest = Rest(f"{what} at {self.address}")
        self._file = file
        self._is_made = False

    def done(self, work: Callable[[Connection], T]) -> T:
        """Do a piece of work on a connection; whatever goes wrong is a StoreUnavailable."""
        self._rest.check()
        try:
            with self._lane.connection() as connection:
                if not self._is_made:
                    self._make(connection)
                done = work(connection)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                self._rest.begin(error)
            self._is_made = False  # a table that is missing is made at the next use
            raise StoreUnavailable(
                f"{self._rest.what} is not available: {str(error).strip()}"
            ) from error
        self._rest.end()
        return done

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._lane.close()

    def _make(self, connection: Connection) -> None:
        with connection.transaction():
            # Of processes that come together one makes the tables, and the others find them made.
            lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
            connection.execute(lock, (self._file.stem,))
            connection.execute(self._file.read_bytes())
        self._is_made = True
