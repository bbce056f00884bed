"""A ledger in Redis or Valkey: the machines of a fleet share its budgets."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from agentfuse.connections.redis_links import awaited_link, blocking_link
from agentfuse.connections.redis_urls import place_of
from agentfuse.connections.redis_words import bytes_of, str_of
from agentfuse.errors import ConfigurationError
from agentfuse.ledgers import redis_wire as wire
from agentfuse.ledgers.redis_links import PatientLink
from agentfuse.ledgers.redis_scripts import script_of
from agentfuse.ledgers.rules import check
from agentfuse.tickets import Stop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from agentfuse.ledgers.redis_wire import Reply, Word
    from agentfuse.ledgers.slices import SlicedLedger
    from agentfuse.tickets import Amounts, Balance, Entry, Lease, Limit, Refusal, Settlement

# What a ledger's URL may say behind its ``?``, beside what redis-py knows.
OPTIONS = ("namespace", "patience", "slices", "processes", "slice")

_log = logging.getLogger("agentfuse")


class RedisFace:
    """The ledger's methods over one way to the store: each is one script, so one trip.

    Time is the server's. Keys share the hash tag ``{namespace}``, so a cluster keeps a namespace on
    one node. Methods raise StoreUnavailable where the store is away, and ConfigurationError where
    its keys are not this ledger's.
    """

    def __init__(self, link: PatientLink, namespace: str) -> None:
        self._link = link
        self._prefix = bytes_of(f"{{{namespace}}}:")
        self._keys = tuple(self._prefix + name.encode() for name in wire.KEYS)
        self._born = b""
        self._tokens = count()
        self._begin_tokens()

    async def reserve(self, lease: Lease) -> Lease | Refusal | Stop:
        """Hold ``lease.amount`` on each account, or name the first limit that said no.

        Raises ConfigurationError for a negative amount or estimate, or one above 2**53.
        """
        check(lease.amount)
        check(lease.estimate)
        reply = await self._ask("reserve", wire.lease_words(lease), self._closed(lease.id))
        match reply[1]:
            case b"held":
                return replace(lease, deadline=int(reply[2]) / 1_000_000)
            case b"known":
                return wire.lease_of(lease.id, reply[2:])
            case b"stopped":
                return Stop(mark=str_of(reply[2]), reason=str_of(reply[3]))
            case _:
                return wire.refused(lease, reply[2:])

    async def settle(self, lease_id: str, actual: Amounts) -> Settlement:
        """Book ``actual`` as the lease's whole cost; a repeat is told what was booked first.

        An expired or released lease is corrected to ``actual``. Closed leases are remembered for 24
        hours; an id that this store does not know (never reserved, forgotten, or lost with an
        emptied store) has no accounts to book on: nothing is booked, and ``repeated`` is True.
        Raises ConfigurationError for a negative amount.
        """
        check(actual)
        booked = wire.amount_words(actual)
        words: list[Word] = [bytes_of(lease_id), *booked, self._token()]
        return wire.settlement_of(await self._ask("settle", words, self._closed(lease_id)))

    async def release(self, lease_id: str) -> None:
        """Drop the hold and book nothing; an expired lease gets its estimate back."""
        await self._ask("release", [bytes_of(lease_id)], self._closed(lease_id))

    async def renew(self, lease_id: str, ttl: float) -> bool:
        """Let an open lease last ``ttl`` seconds from now."""
        reply = await self._ask("renew", [bytes_of(lease_id), wire.micros_of(ttl)])
        return reply[1] == b"1"

    async def balances(self, keys: Sequence[str]) -> tuple[Balance, ...]:
        """Read accounts; one that nobody used holds nothing."""
        return wire.balances_of(await self._read("balances", [bytes_of(key) for key in keys]))

    async def spend(self, limits: Sequence[Limit], amount: Amounts, note: str = "") -> None:
        """Book ``amount`` on each limit's account, even past the limit.

        Raises ConfigurationError for a negative amount.
        """
        check(amount)
        text = wire.text_of(limits, note=note)
        words = [*wire.amount_words(amount), text, *wire.limit_words(limits)]
        await self._ask("spend", words, self._prefix + b"spend:" + self._token())

    async def open_leases(self) -> tuple[Lease, ...]:
        """List what is held now, oldest first."""
        return wire.leases_of(await self._read("open_leases", []))

    async def stop(self, mark: str, reason: str = "") -> None:
        """Pull a kill switch."""
        words = [bytes_of(mark), bytes_of(reason), wire.text_of((), note=reason)]
        await self._ask("stop", words)

    async def resume(self, mark: str) -> None:
        """Put a kill switch back."""
        await self._ask("resume", [bytes_of(mark), wire.text_of(())])

    async def stops(self) -> tuple[Stop, ...]:
        """List the kill switches that are pulled."""
        return wire.stops_of((await self._ask("stops", []))[1:])

    async def claim(self, name: str) -> bool:
        """Say True to the first who asks under a name."""
        words = [bytes_of(name), self._token()]
        return (await self._ask("claim", words, self._prefix + b"claims"))[1] == b"1"

    async def trail(self, last: int = 100) -> tuple[Entry, ...]:
        """List what happened of late, oldest first; about the last 10,000 lines are kept."""
        return wire.entries_of((await self._ask("trail", [last]))[1:]) if last > 0 else ()

    async def cut_slice(self, words: Sequence[Word], slices: Sequence[str]) -> Reply:
        """Account for a process's ``slices`` of one limit and cut the next; see lua/slice.lua."""
        closed = map(self._closed, slices)
        return await self._ask("slice", words, self._prefix + b"members", *closed)

    async def beat(self, words: Sequence[Word]) -> Reply:
        """Keep a process's slices alive and hear what it must know; see lua/beat.lua."""
        return await self._ask("beat", words, self._prefix + b"members")

    async def _read(self, name: str, words: Sequence[Word]) -> Reply:
        """Ask until everything that has expired is booked, a few hundred leases at a time."""
        while (reply := await self._ask(name, words))[1] == b"1":
            continue
        return reply[2:]

    async def _ask(self, name: str, words: Sequence[Word], *keys: bytes) -> Reply:
        reply = await self._link.call(script_of(name), (*self._keys, *keys), words)
        if reply[0] != self._born:
            self._notice_birth(reply[0])
        return reply

    def _notice_birth(self, born: bytes) -> None:
        """Say aloud that the store was emptied: its budgets begin anew."""
        if self._born:
            _log.warning(
                "the ledger at %s was emptied: what its budgets had spent is forgotten",
                self._link.address,
            )
        self._born = born

    def _closed(self, lease_id: str) -> bytes:
        return self._prefix + b"closed:" + bytes_of(lease_id)

    def _token(self) -> bytes:
        """Name one call, so that its repeats after a broken connection are known as such."""
        if self._process != os.getpid():
            self._begin_tokens()
        return b"%s-%x" % (self._secret, next(self._tokens))

    def _begin_tokens(self) -> None:
        self._process = os.getpid()
        self._secret = os.urandom(6).hex().encode()


class RedisLedger(RedisFace):
    """Limits and leases in Redis 6.2 or newer, Valkey, or a cluster of either.

    ``store`` is a URL (``redis://host:6379/0?namespace=acme``, ``rediss://``, ``unix://``,
    ``redis+cluster://``) or a client of redis-py. ``namespace`` keeps ledgers apart; the URL's own
    wins over none. ``patience`` is how many seconds a store may be away before StoreUnavailable is
    raised; the next call tries again. Its methods hold up the thread they run on; ``awaited()``
    gives the face for event loops, as many as you like (a client of redis-py's asyncio that was
    handed in belongs to the loop that uses it first).

    Every call is exact: no two machines together pass a limit. What Redis itself can lose is lost:
    with ``appendfsync always`` nothing that was answered, with ``everysec`` the last second when
    the machine fails, with a replica's promotion what had not reached it. The keys must not be
    evicted: run it with ``maxmemory-policy noeviction`` or one of the ``volatile`` policies.
    """

    def __init__(
        self, store: Any, namespace: str | None = None, *, patience: float | None = None
    ) -> None:
        options: dict[str, str] = {}
        place = place_of(store, OPTIONS) if isinstance(store, str) else None
        if place is not None:
            options = place.options
        self._store = store if place is None else place
        self._patience = _patience_of(patience, options)
        self.namespace = _namespace_of(namespace, options)
        self._blocking = blocking_link(self._store, self._patience)
        self._awaited: AwaitedRedisLedger | None = None
        super().__init__(PatientLink(self._blocking, self._patience), self.namespace)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Make the ledger that a URL names, with ``namespace`` and ``patience`` behind ``?``."""
        return cls(url)

    @property
    def address(self) -> str:
        """Where the store is, without the password."""
        return self._link.address

    def awaited(self) -> AwaitedRedisLedger:
        """Give the same ledger for event loops."""
        if self._awaited is None:
            link = awaited_link(self._store, self._blocking, self._patience)
            face = PatientLink(link, self._patience)
            self._awaited = AwaitedRedisLedger(face, self.namespace)
        return self._awaited

    def close(self) -> None:
        """Close the connections of both faces; the next use opens new ones."""
        self._blocking.close()
        if self._awaited is not None:
            self._awaited.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AwaitedRedisLedger(RedisFace):
    """The face of a RedisLedger for event loops; each loop has a client of its own."""

    def close(self) -> None:
        """Close the clients of the loops that still run."""
        self._link.close()


def redis_ledger_at(url: str) -> RedisLedger | SlicedLedger:
    """Open the ledger that a URL names: in slices where ``slices=1`` stands behind its ``?``.

    Raises ConfigurationError for a URL that says something else.
    """
    slices = place_of(url, OPTIONS).options.get("slices", "0")
    if slices not in {"0", "1"}:
        raise ConfigurationError(f"slices is 1 or 0, not {slices!r}")
    if slices == "0":
        return RedisLedger.from_url(url)
    from agentfuse.ledgers.slices import SlicedLedger

    return SlicedLedger.from_url(url)


def _patience_of(given: float | None, options: dict[str, str]) -> float:
    try:
        patience = float(options.get("patience", 5.0)) if given is None else given
    except ValueError:
        patience = 0.0
    if not patience > 0:
        raise ConfigurationError(f"a ledger's patience is some seconds, not {options or given!r}")
    return patience


def _namespace_of(given: str | None, options: dict[str, str]) -> str:
    name = given or options.get("namespace") or "agentfuse"
    if "{" in name or "}" in name:
        raise ConfigurationError(f"a ledger's namespace has no braces: {name!r}")
    return name
