"""What the policy is given: the user's rules, and its whole view of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agentfuse.nothing import NOTHING
from agentfuse.policy.cacheable import CacheRules
from agentfuse.policy.retrying import RetryRules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentfuse.lengths import Shortener
    from agentfuse.messages import Reply, Request
    from agentfuse.policy.guides import Guide
    from agentfuse.policy.loops import LoopRules
    from agentfuse.policy.prompts import Prefixes, Wanted
    from agentfuse.policy.retrying import Failure
    from agentfuse.ports import (
        Cache,
        Clock,
        Flights,
        Health,
        Ledger,
        Memo,
        Semantics,
        Teller,
    )
    from agentfuse.pricing import PriceBook
    from agentfuse.tokens import TokenCounter, TokenEstimate


@dataclass(frozen=True, slots=True)
class Substitute:
    """A cheaper model; an empty ``provider`` is the one that was asked."""

    model: str
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user allows, beside the limits.

    ``clamp`` lowers the output maximum of a request that set none, so that its worst case fits what
    is left, but never below ``min_output_tokens``. A lease lasts ``lease_ttl`` seconds.
    Once ``downgrade_at`` thousandths of a limit are spent, the models in ``downgrade`` give way;
    from ``compress_at`` on, and above ``compress_above`` tokens or ``compress_after`` steps,
    ``compress`` shortens requests. ``context_guard`` refuses what no model can read;
    ``context_windows`` are the user's own. ``loops`` says what is a loop and what then; a call
    that costs ``anomaly_at`` times what is usual is told. Each share in ``alert_at`` is told once.
    ``store_down`` says whether calls go on without a ledger ("open") or not ("closed").
    """

    cache: CacheRules = field(default_factory=CacheRules)
    clamp: bool = True
    min_output_tokens: int = 128
    lease_ttl: float = 900.0
    retry: RetryRules = field(default_factory=RetryRules)
    prompt_caching: Wanted = ""
    downgrade: Mapping[str, Substitute] = NOTHING
    downgrade_at: int = 800
    compress: Shortener | None = None
    compress_at: int = 900
    compress_above: int | None = None
    compress_after: int | None = None
    context_guard: bool = True
    context_windows: Mapping[str, int] = NOTHING
    loops: LoopRules | None = None
    anomaly_at: float | None = None
    alert_at: tuple[int, ...] = ()
    store_down: Literal["closed", "open"] = "closed"


async def at_once(step: Callable[[], Any]) -> Any:
    """Do a step here and now, as blocking callers do."""
    return step()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The policy's whole view of the world.

    ``count`` asks the counter for an estimate before a call, and waits for it where it must.
    ``aimed`` and ``send`` are for calls the policy makes itself: whom a request goes to, and
    asking them (with an API key, or the environment's). ``guide`` chooses models, None where the
    caller's own choice holds. ``aside`` does what takes milliseconds where it holds up no loop.
    """

    ledger: Ledger
    cache: Cache | None
    semantic: Semantics | None
    flights: Flights
    health: Health
    prefixes: Prefixes
    clock: Clock
    book: PriceBook
    counter: TokenCounter
    count: Callable[[Request], Awaitable[TokenEstimate]]
    tell: Teller
    failure_of: Callable[[BaseException], Failure]
    draw: Callable[[], float]
    new_id: Callable[[], str]
    memo: Memo
    aimed: Callable[[Request], Request]
    send: Callable[[Request, str], Awaitable[Reply]]
    guide: Guide | None = None
    aside: Callable[[Callable[[], Any]], Awaitable[Any]] = at_once
