"""What a user may set, checked once; the only place that reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from agentfuse.errors import ConfigurationError
from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Literal

    from agentfuse.compression import Compressor, Strategy
    from agentfuse.messages import Request
    from agentfuse.money import Dollars
    from agentfuse.observe.alerts import Warned
    from agentfuse.observe.spend_book import SpendBook
    from agentfuse.policy.limits import LimitRule
    from agentfuse.policy.loops import Action, LoopRules
    from agentfuse.ports import Cache, Clock, Ledger, Listener
    from agentfuse.routing import Cascade, Router
    from agentfuse.runtime.semantic import SemanticCache
    from agentfuse.tokens import RequestCounter

DAY = 86_400.0
_FOREVER = 1e6  # hours


class Options(TypedDict, total=False):
    """The keyword arguments of ``Fuse``, each with its default in ``Settings``."""

    name: str
    tenant: str | None
    limits: Mapping[str, Dollars] | Sequence[LimitRule]
    route: Router | Cascade | None
    downgrade: Mapping[str, str]
    downgrade_at: float
    compress: Strategy | Compressor | Callable[[Request], Request] | None
    compress_at: float
    compress_above: int | None
    compress_after: int | None
    context_guard: bool
    context_windows: Mapping[str, int]
    loops: Action | LoopRules | None
    anomaly_at: float | None
    alert_at: Sequence[float]
    on_alert: Callable[[Warned], object] | None
    alert_webhook: str | None
    cache: bool | str | Path | Cache
    cache_ttl: float
    semantic: bool | str | SemanticCache
    max_temperature: float
    side_effect_tools: Sequence[str]
    clamp: bool
    min_output_tokens: int
    lease_ttl: float
    max_retries: int
    deadline: float | None
    fallbacks: Mapping[str, Sequence[str]]
    retry_models: Mapping[str, Sequence[str]]
    larger_window: Mapping[str, str]
    retry_budget: float
    breaker: bool | None
    hedge_after: float | None
    keys: Mapping[str, Sequence[str]]
    prompt_caching: bool | Literal["5m", "1h"]
    prices: Mapping[str, Mapping[str, Any]] | str | Path | None
    on_unknown_model: Literal["raise", "max_of_family", "free"]
    deployments: Mapping[str, str]
    price_source: str | Path | None
    allow_price_jumps: bool
    counters: Sequence[RequestCounter]
    ledger: Ledger | str | Path | None
    on_store_error: Literal["closed", "open"]
    clock: Clock | None
    listeners: Sequence[Listener]
    spend_book: bool | str | Path | SpendBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a fuse.

    Whose calls: ``name`` names the run in refusals and receipts. ``tenant`` keeps answers apart:
    None is a tenant of its own. ``limits`` are budgets for each id of a scope, beside the run's
    own: ``{"user": "$1.00"}`` holds each user named by ``agentfuse.scope(user=...)`` to a dollar,
    and a list of ``agentfuse.limit(...)`` knows windows, tokens, requests and rates.

    Which model: ``route`` chooses it for each call of its strong model (``agentfuse.routing``).

    Near a limit: ``downgrade`` names the cheaper model that takes over, where it is cheaper for the
    request at hand, once a share of ``downgrade_at`` of a limit is spent: ``{"gpt-4o":
    "gpt-4o-mini"}``, or ``"anthropic/claude-haiku-4-5"`` for another provider's, where the caller's
    way of asking can reach it. Each
    share in ``alert_at`` is told once for each limit and window: as an event, to ``on_alert``, and
    as JSON to the URL ``alert_webhook``. ``clamp`` lowers the output maximum of a request that set
    none so that it fits what is left, but not below ``min_output_tokens``.

    How long a request is: ``compress`` makes it shorter from a share of ``compress_at`` of a limit
    on, above ``compress_above`` input tokens, after ``compress_after`` steps, and where it would
    not fit its model's window. It is ``"keep_recent"``, ``"sliding_window"``, a ``Compressor`` or
    a function from a request to a shorter one. What its model cannot read raises ContextTooLong
    before it is sent, unless ``context_guard`` is False; ``context_windows`` are tokens for models
    of the user's own, or where the list is wrong.

    What goes wrong: ``loops`` is what happens where an agent goes round in circles: "warn",
    "downgrade", "stop", a ``LoopRules`` or None. A call that costs ``anomaly_at`` times what is
    usual for its tags and model is told like an alert; None tells none.

    Where money is kept: ``ledger`` is in memory, or the address of a SQLite file, a Redis or a
    PostgreSQL that processes share; while that is out of reach calls are refused, unless
    ``on_store_error`` is "open". A reservation lasts ``lease_ttl`` seconds, and is renewed while
    its call is alive. ``spend_book`` is the journal behind ``get_spend_report``.

    What is remembered: ``cache`` is True (in memory), False, a path (SQLite behind memory, survives
    restarts) or a ``Cache``; an answer is fresh for ``cache_ttl`` seconds. ``semantic`` also
    answers a question that means the same as an earlier one: True or a preset ("strict",
    "balanced", "wide"), or a ``SemanticCache``; it is off by default. A request with a
    ``temperature`` above ``max_temperature`` is never answered from memory, nor is an answer kept
    that calls one of ``side_effect_tools``.

    What it costs: ``prices`` are the user's own (dollars per million tokens), a mapping or a TOML
    or JSON file, read again when it changes; ``deployments`` say which model stands behind a name
    (``{"my-deploy": "gpt-4o"}``). ``price_source`` is a path or URL of a price list to fetch every
    ``AGENTFUSE_REGISTRY_REFRESH_HOURS``, off by default; a version with a price that changes
    tenfold is refused unless ``allow_price_jumps``. ``counters`` count the input of budgeted calls
    before the rules do (``agentfuse.tokens.RequestCounter``).

    When a call fails: ``max_retries`` counts further attempts after a passing failure, of all calls
    together no more than the share ``retry_budget`` over a minute; adapters leave them to the
    client they wrap. ``retry_models`` names the models of these retries (``{"gpt-4o":
    ["gpt-4o-mini"]}``). Then each of a model's ``fallbacks`` is asked once (``{"gpt-4o":
    ["gpt-4.1", "anthropic/claude-haiku-4-5"]}``), another provider's where the caller's way of
    asking can reach it; a conversation that is too long goes to the model in ``larger_window``, or
    through ``compress``. No attempt begins ``deadline`` seconds after the call did. ``breaker``
    leaves a model alone for a while that keeps failing: None is where fallbacks are named.
    ``completion()`` asks a second time at once where a whole answer takes longer than
    ``hedge_after`` seconds: both are paid. ``keys`` are several keys of a provider for it: one that
    is at its limit rests.

    ``prompt_caching`` has the provider keep the beginning of prompts: True where it was seen to
    come back, "5m" or "1h" at once and for so long.
    """

    name: str = ""
    tenant: str | None = None
    limits: Mapping[str, Dollars] | Sequence[LimitRule] = ()
    route: Router | Cascade | None = None
    downgrade: Mapping[str, str] = NOTHING
    downgrade_at: float = 0.8
    compress: Strategy | Compressor | Callable[[Request], Request] | None = None
    compress_at: float = 0.9
    compress_above: int | None = None
    compress_after: int | None = None
    context_guard: bool = True
    context_windows: Mapping[str, int] = NOTHING
    loops: Action | LoopRules | None = "warn"
    anomaly_at: float | None = 4.0
    alert_at: Sequence[float] = (0.6, 0.8, 0.9, 1.0)
    on_alert: Callable[[Warned], object] | None = None
    alert_webhook: str | None = None
    cache: bool | str | Path | Cache = True
    cache_ttl: float = DAY
    semantic: bool | str | SemanticCache = False
    max_temperature: float = 0.5
    side_effect_tools: Sequence[str] = ()
    clamp: bool = True
    min_output_tokens: int = 128
    lease_ttl: float = 900.0
    max_retries: int = 0
    deadline: float | None = None
    fallbacks: Mapping[str, Sequence[str]] = NOTHING
    retry_models: Mapping[str, Sequence[str]] = NOTHING
    larger_window: Mapping[str, str] = NOTHING
    retry_budget: float = 0.2
    breaker: bool | None = None
    hedge_after: float | None = None
    keys: Mapping[str, Sequence[str]] = field(default=NOTHING, repr=False)
    prompt_caching: bool | Literal["5m", "1h"] = False
    prices: Mapping[str, Mapping[str, Any]] | str | Path | None = None
    on_unknown_model: Literal["raise", "max_of_family", "free"] = "raise"
    deployments: Mapping[str, str] = NOTHING
    price_source: str | Path | None = None
    allow_price_jumps: bool = False
    counters: Sequence[RequestCounter] = ()
    ledger: Ledger | str | Path | None = None
    on_store_error: Literal["closed", "open"] = "closed"
    clock: Clock | None = None
    listeners: Sequence[Listener] = ()
    spend_book: bool | str | Path | SpendBook = True

    @classmethod
    def of(cls, options: Options) -> Settings:
        """Check the words and the bounds; raises ConfigurationError for one that is off."""
        known = {f.name for f in fields(cls)}
        for word in options:
            if word not in known:
                raise ConfigurationError(f"Fuse knows no option {word!r}; it knows {sorted(known)}")
        settings = cls(**cast("dict[str, Any]", options))
        for word in ("cache_ttl", "lease_ttl", "min_output_tokens"):
            _require(getattr(settings, word) > 0, word, getattr(settings, word), "above zero")
        for word in ("max_temperature", "max_retries", "retry_budget"):
            _require(getattr(settings, word) >= 0, word, getattr(settings, word), "zero or more")
        for word in ("compress_above", "compress_after"):
            value = getattr(settings, word)
            _require(value is None or value > 0, word, value, "above zero")
        times = settings.anomaly_at
        _require(times is None or times > 1, "anomaly_at", times, "above one")
        for word in ("downgrade_at", "compress_at"):
            share = getattr(settings, word)
            _require(0 < share <= 1, word, share, "a share")
        alerts = settings.alert_at
        _require(all(0 < share <= 1 for share in alerts), "alert_at", alerts, "shares")
        for word in ("deadline", "hedge_after"):
            time = getattr(settings, word)
            _require(time is None or time > 0, word, time, "above zero, or None")
        caching = settings.prompt_caching
        _require(
            caching in (True, False, "5m", "1h"), "prompt_caching", caching, "a bool or a time"
        )
        down = settings.on_store_error
        _require(down in ("closed", "open"), "on_store_error", down, "'closed' or 'open'")
        return settings


def _require(holds: bool, word: str, value: object, what: str) -> None:  # noqa: FBT001 - a test's result
    if not holds:
        raise ConfigurationError(f"{word} must be {what}, not {value!r}")


def environment() -> Mapping[str, str]:
    """Give the process's variables: the keys and addresses of the providers."""
    return os.environ


def refresh_hours() -> float | None:
    """Give how many hours pass between two fetches of a price source, or None for the default.

    From ``AGENTFUSE_REGISTRY_REFRESH_HOURS``; raises ConfigurationError for what is no time.
    """
    given = os.environ.get("AGENTFUSE_REGISTRY_REFRESH_HOURS")
    if not given:
        return None
    try:
        hours = float(given)
    except ValueError:
        hours = 0.0
    if not 0 < hours < _FOREVER:
        raise ConfigurationError(
            f"AGENTFUSE_REGISTRY_REFRESH_HOURS is a number of hours above zero, not {given!r}"
        )
    return hours


def models_folder() -> Path | None:
    """Give the folder of model folders, ``AGENTFUSE_MODELS``, or None: installed packages alone."""
    chosen = os.environ.get("AGENTFUSE_MODELS")
    return Path(chosen) if chosen else None


def home() -> Path:
    """Give the folder of what survives a restart: ``AGENTFUSE_HOME``, or the platform's own."""
    chosen = os.environ.get("AGENTFUSE_HOME")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("agentfuse", appauthor=False)
