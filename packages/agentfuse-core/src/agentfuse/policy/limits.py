"""Budgets on scopes, as the user writes them, and what they come to for one call."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from agentfuse.errors import ConfigurationError
from agentfuse.money import MAX_NANO, budget_of
from agentfuse.policy.windows import SECONDS, Per, calendar_window, sliding_window, zone_of
from agentfuse.tickets import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.money import Dollars
    from agentfuse.policy.windows import Window
    from agentfuse.scopes import Scope
    from agentfuse.tickets import Unit

LimitScope = Literal["run", "session", "user", "team", "tenant", "model", "tag"]
LIMIT_SCOPES: tuple[LimitScope, ...] = get_args(LimitScope)
_PERS: tuple[Per, ...] = get_args(Per)
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A limit for each id of a scope, or for the one ``id``; made by ``agentfuse.limit``."""

    scope: LimitScope
    amount: int
    _: KW_ONLY
    unit: Unit = "nanodollars"
    id: str = ""
    per: Per = ""
    zone: str = "UTC"
    sliding: bool = False
    pace: int = 0

    def applied(self, scope: Scope, model: str, now: float) -> Iterator[Limit]:
        """Give the limits that this rule sets for a call of ``model`` within ``scope``."""
        for holder in self._holders(scope, model):
            if holder and self.id in ("", holder):
                yield self._limit(holder, now)

    def _holders(self, scope: Scope, model: str) -> tuple[str, ...]:
        if self.scope == "tag":
            return scope.tags
        return (model,) if self.scope == "model" else (getattr(scope, self.scope),)

    def _limit(self, holder: str, now: float) -> Limit:
        bare = Limit(self.scope, holder, self.amount, unit=self.unit, pace=self.pace)
        if not self.per or self.pace:
            return bare
        window = self._window(now)
        counted = tuple(f"{bare.key}/{name}" for name in window.counted)
        return Limit(
            self.scope,
            holder,
            self.amount,
            unit=self.unit,
            window=window.name,
            resets=window.resets,
            counted=counted,
        )

    def _window(self, now: float) -> Window:
        if self.sliding:
            return sliding_window(SECONDS[self.per], now)
        return calendar_window(self.per, self.zone, now)


def limit(  # noqa: PLR0913 - one word for each thing a limit can say
    scope: LimitScope,
    usd: Dollars | None = None,
    *,
    tokens: int | None = None,
    requests: int | None = None,
    id: str = "",  # noqa: A002 - the word it is about
    per: Per = "",
    zone: str = "UTC",
    sliding: bool = False,
    rate: bool = False,
) -> LimitRule:
    """Limit what each id of a ``scope`` may use up: ``limit("user", "$1.00", per="day")``.

    ``scope`` is run, session, user, team or tenant (the ids of ``agentfuse.scope``), model, or tag;
    ``id`` names a single one (``limit("model", "$10", id="gpt-5")``). Give one of ``usd``
    (``"$1.00"``, ``Decimal``, int or float dollars), ``tokens`` (input and output together) or
    ``requests``. ``per`` is minute, hour, day, week or month, by the calendar of ``zone`` (an IANA
    name), or, ``sliding``, any span of that length; empty is for ever. ``rate=True`` spreads it
    evenly instead: all of it may come at once, and comes back unit by unit over the span (GCRA).

    Raises ConfigurationError for limits that contradict themselves and for unknown zones.
    """
    given = {"usd": usd, "tokens": tokens, "requests": requests}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ConfigurationError(f"a limit is in usd, tokens or requests: give one, not {named}")
    _require(scope in LIMIT_SCOPES, f"a limit's scope is one of {LIMIT_SCOPES}, not {scope!r}")
    _require(per in _PERS, f"a limit holds per one of {_PERS}, not {per!r}")
    _require(not (sliding or rate) or per in SECONDS, "sliding and rate need per= up to a week")
    _require(not (sliding and rate), "a limit slides or is a rate, not both")
    _require(not (rate and usd is not None), "a rate is in requests or tokens")
    zone_of(zone)
    unit, amount = _amount_of(usd, tokens, requests)
    pace = _pace_of(amount, per) if rate else 0
    return LimitRule(
        scope, amount, unit=unit, id=id, per=per, zone=zone, sliding=sliding, pace=pace
    )


def _amount_of(usd: Dollars | None, tokens: int | None, requests: int | None) -> tuple[Unit, int]:
    if usd is not None:
        return "nanodollars", budget_of(usd)
    return ("tokens", _count_of(tokens)) if requests is None else ("requests", _count_of(requests))


def _count_of(value: object) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NANO
    _require(whole, f"a limit of tokens or requests is a whole number, not {value!r}")
    return int(str(value))


def _pace_of(amount: int, per: Per) -> int:
    """Give the microseconds in which one unit comes back, rounded up: never more than granted."""
    _require(amount > 0, "a rate lets something through")
    return -(-round(SECONDS[per] * _MICRO) // amount)


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ConfigurationError(message)
