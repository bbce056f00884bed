"""What the policy is given: the user's rules, and its whole view of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agentfuse.nothing import NOTHING
from agentfuse.policy.cacheable import CacheRules
from agentfuse.policy.retrying import RetryRules

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentfuse.messages import Request
    from agentfuse.policy.prompts import Prefixes, Wanted
    from agentfuse.policy.retrying import Failure
    from agentfuse.ports import Cache, Clock, Flights, Guide, Health, Ledger, Teller
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
    from ``compress_at`` on, ``compress`` shortens requests. Each share in ``alert_at`` is told
    once. ``store_down`` says whether calls go on without a ledger ("open") or not ("closed").
    """

    cache: CacheRules = field(default_factory=CacheRules)
    clamp: bool = True
    min_output_tokens: int = 128
    lease_ttl: float = 900.0
    retry: RetryRules = field(default_factory=RetryRules)
    prompt_caching: Wanted = ""
    downgrade: Mapping[str, Substitute] = NOTHING
    downgrade_at: int = 800
    compress: Callable[[Request], Request] | None = None
    compress_at: int = 900
    alert_at: tuple[int, ...] = ()
    store_down: Literal["closed", "open"] = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The policy's whole view of the world.

    ``count`` asks the counter for an estimate before a call, and waits for it where it must;
    ``guide`` chooses models, None where the caller's own choice holds.
    """

    ledger: Ledger
    cache: Cache | None
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
    guide: Guide | None = None
