"""Find the price card for a model, and price what a provider reports."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal

from agentfuse.errors import ConfigurationError, UnknownPrice
from agentfuse.money import MAX_NANO, cost_of, dollars_of, nano_of_pico
from agentfuse.nothing import NOTHING
from agentfuse.pricing.cards import FREE, PriceCard
from agentfuse.pricing.ceilings import max_output_of
from agentfuse.pricing.sources import PriceSource
from agentfuse.pricing.watching import OwnPrices
from agentfuse.usage import STANDARD

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from agentfuse.pricing.entries import Entry
    from agentfuse.pricing.overrides import Prices
    from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport

OnUnknownModel = Literal["raise", "max_of_family", "free"]

# Tools of the provider's own that no list charges for.
_FREE_TOOLS = frozenset({"web_fetch", "tool_search"})

# Some prices hold by the hour (DeepSeek's peak hours begin on the half hour at the finest), so a
# card is compiled anew for every half hour in which it is asked for.
_WINDOW = 1800

# Seconds between two looks at a price file or at what a source has fetched.
_LOOK = 2.0

# Names come from outside: what is remembered by them is kept bounded.
_MOST_CARDS = 4096

Key = tuple[str, str] | tuple[str, str, "PriceContext"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost; ``card_id`` names the price list's entries that say so.

    ``approximate`` marks an inconsistent usage or terms that no list states.
    """

    nanodollars: int
    approximate: bool = False
    card_id: str = ""

    @property
    def usd(self) -> Decimal:
        """The cost in exact dollars."""
        return dollars_of(self.nanodollars)


class PriceBook:
    """Prices by model: the caller's own first, then a source's, the supplement's, genai-prices'.

    ``prices`` are dollars per million tokens by model, or a TOML or JSON file of them, which is
    read again when it changes; a key may name the provider too (``"azure/gpt-4o"``).
    ``on_unknown_model`` says what a model without a price costs: ``raise`` UnknownPrice,
    ``max_of_family`` (the dearest of its namesakes) or ``free``. ``deployments`` say which model
    stands behind a name of one's own (``{"my-deploy": "gpt-4o"}``: Azure's deployments, Bedrock's
    application profiles). ``source`` is a list to fetch now and then, off by default. ``now`` gives
    seconds since the epoch. Raises ConfigurationError for prices that cannot be read.
    """

    def __init__(
        self,
        prices: Prices | None = None,
        on_unknown_model: OnUnknownModel = "raise",
        *,
        deployments: Mapping[str, str] = NOTHING,
        source: PriceSource | str | os.PathLike[str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if on_unknown_model not in ("raise", "max_of_family", "free"):
            raise ConfigurationError(
                f"on_unknown_model is 'raise', 'max_of_family' or 'free', not {on_unknown_model!r}"
            )
        self._own = OwnPrices(prices)
        self._deployments = {
            name.strip().lower(): model for name, model in (deployments or NOTHING).items()
        }
        self._source = _source_of(source)
        self._fetched: Mapping[str, Entry] | None = None
        self._on_unknown_model = on_unknown_model
        self._now = now
        self._window = -1
        self._looked = self._look_at = 0.0
        self._cards: dict[Key, PriceCard | None] = {}
        self._assumptions: dict[Key, PriceCard] = {}
        self._lock = Lock()

    def card(self, model: str, provider: str = "", context: PriceContext = STANDARD) -> PriceCard:
        """Give the card of a model under a context's terms (tier, batch, speed, region).

        Raises UnknownPrice where no price is known and the book was told to raise.
        """
        return self._known(model, provider, context) or self._assumed(model, provider, context)

    def cost(self, report: UsageReport, provider: str = "", asked: str = "") -> Cost:
        """Price a report, each item by its own model, rounded up once to nanodollars.

        A cost that the provider reports itself wins. ``asked`` is the model that was asked for: its
        price stands for an answer under a name nobody has a price for (a deployment, a snapshot),
        and the caller's own price of ``gpt-4o`` for a ``gpt-4o-2024-08-06`` too. Raises
        UnknownPrice as ``card`` does.
        """
        reported = _reported(report.reported_cost)
        if reported is not None:
            return Cost(reported, report.approximate, "reported")
        pico, approximate, ids = 0, report.approximate, dict[str, None]()
        for item in report.items:
            card = self._card_of(item, provider, asked)
            pico += card.cost(item.usage)
            approximate = approximate or card.approximate or _has_unpriced(item.usage, card)
            ids[card.id] = None
        return Cost(nano_of_pico(pico), approximate, ",".join(ids))

    def _known(self, model: str, provider: str, context: PriceContext) -> PriceCard | None:
        """Look a price up, or remember that there is none."""
        now = self._now()
        if not self._looked <= now < self._look_at:
            self._look_around(now)
        key = _named(model, provider, context)
        card = self._cards.get(key)
        if card is None and key not in self._cards:
            card = self._found(model, provider, context)
            with self._lock:
                if len(self._cards) >= _MOST_CARDS:
                    self._cards.clear()
                self._cards[key] = card
        return card

    def _look_around(self, now: float) -> None:
        """Forget the cards where another half hour, the file or the source has other prices."""
        with self._lock:
            self._looked, self._look_at = now, now + _LOOK
            window = int(now // _WINDOW)
            changed = self._own.look_again() or window != self._window
            if self._source is not None:
                self._source.keep_fresh()
                changed = changed or self._source.entries is not self._fetched
                self._fetched = self._source.entries
            if changed:
                self._cards, self._assumptions, self._window = {}, {}, window

    def _found(self, model: str, provider: str, context: PriceContext) -> PriceCard | None:
        from agentfuse.pricing import catalogue

        stands_for = self._deployments.get(model.strip().lower())
        own = self._own_entry(model, provider)
        if own is None and stands_for is not None:
            model = stands_for
            own = self._own_entry(model, provider)
        own = own or self._fetched_entry(model, provider)
        if own is not None:
            return own.card_at(context, self._now())
        return catalogue.card_of(model, provider, context, self._now())

    def _assumed(self, model: str, provider: str, context: PriceContext) -> PriceCard:
        """Do with a model without a price what the book was told to."""
        from agentfuse.pricing import catalogue

        key = _named(model, provider, context)
        card = self._assumptions.get(key)
        if card is not None:
            return card
        if self._on_unknown_model == "max_of_family":
            card = catalogue.dearest_of(model, provider, context, self._now())
        elif self._on_unknown_model == "free":
            card = free_card_of(model)
        if card is None:
            raise UnknownPrice(model, provider)
        with self._lock:
            if len(self._assumptions) >= _MOST_CARDS:
                self._assumptions.clear()
            self._assumptions[key] = card
        return card

    def _card_of(self, item: BilledUsage, provider: str, asked: str) -> PriceCard:
        """Give the card of an answer's model, or of the model that was asked for in its stead."""
        if not asked or item.model == asked:
            return self.card(item.model, provider, item.context)
        if self._own.entries and item.model.startswith(asked):
            own = self._own_entry(item.model, provider)
            if own is None and self._own_entry(asked, provider) is not None:
                return self.card(asked, provider, item.context)
        known = self._known(item.model, provider, item.context)
        return known or self.card(asked, provider, item.context)

    def _own_entry(self, model: str, provider: str) -> Entry | None:
        entries = self._own.entries
        key = _key_in(entries, model, provider) if entries else None
        return None if key is None else entries[key]

    def _fetched_entry(self, model: str, provider: str) -> Entry | None:
        if self._source is None:
            return None
        entries = self._source.entries
        key = _key_in(entries, model, provider)
        if key is None:
            return None
        self._source.used.add(key)
        return entries[key]


def free_card_of(model: str) -> PriceCard:
    """Give a card on which everything is free, with the model's usual maximum of output."""
    return PriceCard(id=f"{model}@free", rates=FREE, max_output_tokens=max_output_of(model))


def _named(model: str, provider: str, context: PriceContext) -> Key:
    """Name a card; the usual terms go without saying, as hashing them takes a look at each."""
    return (model, provider) if context is STANDARD else (model, provider, context)


def _source_of(given: PriceSource | str | os.PathLike[str] | None) -> PriceSource | None:
    if given is None or isinstance(given, PriceSource):
        return given
    return PriceSource(given)


def _key_in(entries: Mapping[str, Entry], model: str, provider: str) -> str | None:
    """Find how a list spells a model: with the provider, as it is, or without a prefix."""
    name = model.strip().lower()
    spelled = (f"{provider.lower()}/{name}", name, name.rpartition("/")[2])
    return next((key for key in spelled if key in entries), None)


def _has_unpriced(usage: Usage, card: PriceCard) -> bool:
    tools = usage.tool_requests
    return bool(tools) and not tools.keys() <= card.tool_fees.keys() | _FREE_TOOLS


def _reported(cost: Decimal | None) -> int | None:
    """Read a reported cost as nanodollars; one that is no amount of money is not believed."""
    if cost is None or not cost.is_finite() or not 0 <= cost <= dollars_of(MAX_NANO):
        return None
    return cost_of(cost)
