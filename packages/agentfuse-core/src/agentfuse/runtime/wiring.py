"""Which concrete port stands behind each word: the only file that knows both."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from agentfuse.caches.addresses import cache_at
from agentfuse.caches.flights import AwaitedFlights, BlockingFlights, FlightTable
from agentfuse.caches.latest import Latest
from agentfuse.caches.memory import MemoryCache
from agentfuse.caches.threaded import on_a_thread
from agentfuse.errors import ConfigurationError
from agentfuse.ledgers.addresses import ledger_at
from agentfuse.ledgers.memory import MemoryLedger
from agentfuse.policy.cacheable import CacheRules
from agentfuse.policy.gate import Switches
from agentfuse.policy.given import Ports, Rules, at_once
from agentfuse.policy.limits import LimitRule, limit
from agentfuse.pricing import PriceBook
from agentfuse.providers.failures import failure_of
from agentfuse.runtime.counting import counting
from agentfuse.runtime.health import Health
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.keyrings import KeyRings
from agentfuse.runtime.prefixes import Prefixes, wanted_of
from agentfuse.runtime.renewal import Renewals
from agentfuse.runtime.retries import retry_rules_of, substitute_of
from agentfuse.runtime.routed import Routing
from agentfuse.runtime.settings import home, refresh_hours
from agentfuse.runtime.shortening import loop_rules_of, shortener_of
from agentfuse.runtime.side_calls import aimed, sending
from agentfuse.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.observe.spend_book import SpendBook
    from agentfuse.policy.guides import Guide
    from agentfuse.policy.limits import LimitScope
    from agentfuse.ports import Cache, Clock, Flights, Ledger, Memo, Semantics, Teller
    from agentfuse.runtime.semantic import SemanticCache
    from agentfuse.runtime.settings import Settings


Store = TypeVar("Store")


class BlockingClock:
    """The system's time; waiting holds the thread and suspends nothing."""

    now = staticmethod(time.time)  # a call asks for it some ten times

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)  # noqa: ASYNC251 - it is to hold the thread: see the docstring


class AwaitedClock(BlockingClock):
    """The system's time; waiting lets the event loop go on."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        import asyncio

        await asyncio.sleep(seconds)


class Closing(Protocol):
    """What holds a file or connections."""

    def close(self) -> None:
        """Close them; the next use opens them again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What a fuse and its sessions have in common."""

    settings: Settings
    ledger: Ledger
    cache: Cache | None
    semantic: SemanticCache | None
    flights: FlightTable
    book: PriceBook
    counter: TokenCounter
    switches: Switches
    renewals: Renewals
    clock: Clock
    memo: Memo
    health: Health
    keys: KeyRings
    prefixes: Prefixes
    routing: Routing


def shared_of(settings: Settings) -> Shared:
    """Make the stores and books of a fuse."""
    ledger = _ledger_of(settings)
    book = _book_of(settings)
    clock = settings.clock or BlockingClock()
    return Shared(
        settings=settings,
        ledger=ledger,
        switches=Switches(),
        memo=Latest(),
        renewals=Renewals(ledger, settings.lease_ttl),
        cache=_cache_of(settings),
        semantic=_semantic_of(settings),
        flights=FlightTable(),
        prefixes=Prefixes(),
        clock=clock,
        health=Health(clock, settings.retry_budget),
        keys=KeyRings(settings.keys, clock),
        book=book,
        counter=TokenCounter(settings.counters),
        routing=Routing(settings.route, book, _resolve),
    )


def closers_of(shared: Shared, book: SpendBook | None) -> tuple[Callable[[], object], ...]:
    """List what puts a fuse's stores away: those that came from an address are ours to close.

    A spend book is written down in any case; one that was given is left open to who gave it.
    """
    given = (shared.settings.ledger, shared.settings.cache)
    stores = zip((shared.ledger, shared.cache), given, strict=True)
    ours = [store for store, choice in stores if isinstance(choice, str | Path)]
    closers = [cast("Closing", store).close for store in ours if hasattr(store, "close")]
    if book is None:
        return tuple(closers)
    return (*closers, book.flush if book is shared.settings.spend_book else book.close)


def rules_of(settings: Settings) -> Rules:
    """Read the rules off the settings."""
    return Rules(
        cache=CacheRules(
            max_temperature=settings.max_temperature,
            side_effect_tools=frozenset(settings.side_effect_tools),
        ),
        clamp=settings.clamp,
        min_output_tokens=settings.min_output_tokens,
        lease_ttl=settings.lease_ttl,
        retry=retry_rules_of(settings),
        prompt_caching=wanted_of(settings.prompt_caching),
        downgrade={model: substitute_of(to) for model, to in settings.downgrade.items()},
        downgrade_at=round(settings.downgrade_at * 1000),
        compress=shortener_of(settings),
        compress_at=round(settings.compress_at * 1000),
        compress_above=settings.compress_above,
        compress_after=settings.compress_after,
        context_guard=settings.context_guard,
        context_windows=settings.context_windows,
        loops=loop_rules_of(settings),
        anomaly_at=settings.anomaly_at,
        alert_at=tuple(round(share * 1000) for share in settings.alert_at),
        store_down=settings.on_store_error,
    )


def limits_of(settings: Settings) -> tuple[LimitRule, ...]:
    """Read the limits on scopes; raises ConfigurationError for what is none."""
    given = settings.limits
    if isinstance(given, Mapping):
        return tuple(limit(cast("LimitScope", name), amount) for name, amount in given.items())
    stray = [rule for rule in cast("tuple[object, ...]", given) if not isinstance(rule, LimitRule)]
    if stray:
        raise ConfigurationError(f"limits takes what agentfuse.limit(...) gives, not {stray[0]!r}")
    return tuple(given)


def wire(shared: Shared, tell: Teller, *, blocking: bool, guide: Guide | None = None) -> Ports:
    """Make the policy's ports for blocking or for awaited callers, over the same stores."""
    own: Clock = BlockingClock() if blocking else AwaitedClock()
    flights: Any = BlockingFlights if blocking else AwaitedFlights
    cache = shared.cache if blocking else _off_the_loop(shared.cache)
    return Ports(
        ledger=shared.ledger if blocking else _off_the_loop(shared.ledger),
        cache=cache,
        semantic=_tier_of(shared.semantic, blocking=blocking),
        flights=_joined(flights(shared.flights), cache),
        health=shared.health,
        prefixes=shared.prefixes,
        clock=shared.settings.clock or own,
        book=shared.book,
        counter=shared.counter,
        count=counting(shared.counter, tell, blocking=blocking),
        tell=tell,
        failure_of=failure_of,
        draw=random.random,
        new_id=new_id,
        guide=guide,
        memo=shared.memo,
        aimed=aimed,
        send=sending(blocking=blocking),
        aside=at_once if blocking else on_a_thread,
    )


def _resolve(name: str) -> tuple[str, str]:
    substitute = substitute_of(name)
    return substitute.model, substitute.provider


def _book_of(settings: Settings) -> PriceBook:
    """Make the book of prices, with a source only where one was named."""
    source = None
    if settings.price_source is not None:
        from agentfuse.pricing.sources import DEFAULT_HOURS, PriceSource

        source = PriceSource(
            settings.price_source,
            home=home(),
            hours=refresh_hours() or DEFAULT_HOURS,
            allow_jumps=settings.allow_price_jumps,
        )
    return PriceBook(
        settings.prices,
        settings.on_unknown_model,
        deployments=settings.deployments,
        source=source,
    )


def _cache_of(settings: Settings) -> Cache | None:
    choice = settings.cache
    if choice is False:
        return None
    if choice is True:
        return MemoryCache(ttl=settings.cache_ttl, clock=settings.clock)
    if isinstance(choice, str | Path):
        return cache_at(choice, settings.cache_ttl, settings.clock)
    return choice


def _joined(flights: Flights, cache: Cache | None) -> Flights:
    """Join the calls of other processes too where the cache is shared with them and can do so."""
    over = getattr(cache, "flights_over", None)
    return flights if over is None else cast("Flights", over(flights))


def _semantic_of(settings: Settings) -> SemanticCache | None:
    choice = settings.semantic
    if choice is False:
        return None
    from agentfuse.runtime.semantic import SemanticCache

    if isinstance(choice, SemanticCache):
        return choice
    if choice is not True and not isinstance(cast("object", choice), str):
        raise ConfigurationError(
            f"semantic takes True, a preset or a SemanticCache, not {choice!r}"
        )
    return SemanticCache("balanced" if choice is True else choice, clock=settings.clock)


def _tier_of(semantic: SemanticCache | None, *, blocking: bool) -> Semantics | None:
    if semantic is None:
        return None
    return semantic.tier if blocking else semantic.tier.awaited()


def _ledger_of(settings: Settings) -> Ledger:
    choice = settings.ledger
    if choice is None:
        return MemoryLedger(settings.clock)
    if isinstance(choice, str | Path):
        return ledger_at(choice, settings.clock)
    return choice


def _off_the_loop(store: Store) -> Store:
    """Give the awaited face of a store that touches a disk or a network."""
    awaited = getattr(store, "awaited", None)
    return awaited() if awaited is not None else store
