"""What the supplement file says beyond genai-prices: entries, terms, writes, fees, quiet days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse.pricing.blends import multiple_of
from agentfuse.pricing.overrides import content_of, entries_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, time

    from agentfuse.pricing.cards import PriceCard
    from agentfuse.pricing.entries import Entry

_FILE = Path(__file__).with_name("supplement.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplement:
    """The file, read: entries by ``provider/model``, and rows by what they are about."""

    entries: Mapping[str, Entry]
    rows: Mapping[str, list[dict[str, Any]]]

    def entry_of(self, model: str, provider: str) -> Entry | None:
        """Find a whole entry; without a provider the one that makes the model."""
        if provider:
            return self.entries.get(f"{provider}/{model}")
        return next(
            (entry for key, entry in self.entries.items() if key.partition("/")[2] == model), None
        )

    def term(self, card: PriceCard, who: tuple[str, str], kind: str, word: str) -> PriceCard | None:
        """Give a card on a term (a ``tier`` or ``region``) that is a multiple of the standard."""
        for row in self._about("terms", *who):
            if row.get(kind) == word:
                return multiple_of(card, row["times"], row.get("differing", {}))
        return None

    def completed(self, card: PriceCard, provider: str, model: str) -> PriceCard:
        """Fill in what an entry leaves out: fees of tools, and writes that last twelve hours."""
        for row in self._about("fees", provider, model):
            fees = {tool: int(fee * 10**9) for tool, fee in row["tools"].items()}
            card = replace(card, tool_fees={**fees, **card.tool_fees})
        for row in self._about("writes", provider, model):
            lasting = multiple_of(card, row["times"])
            tiers = zip(card.tiers, lasting.tiers, strict=True)
            card = replace(
                card,
                rates=replace(card.rates, cache_write_12h=lasting.rates.cache_write_5m),
                tiers=tuple(
                    (start, replace(rates, cache_write_12h=dearer.cache_write_5m))
                    for (start, rates), (_, dearer) in tiers
                ),
            )
        return card

    def price_time(self, when: datetime, provider: str, model: str) -> datetime:
        """Give the time whose prices hold: on a quiet day its quiet hour stands for all."""
        for row in self._about("quiet_days", provider, model):
            hour: time = row["priced_at"]
            if when.weekday() in row["weekdays"]:
                return when.replace(hour=hour.hour, minute=hour.minute, second=0)
        return when

    def _about(self, kind: str, provider: str, model: str) -> Iterator[dict[str, Any]]:
        for row in self.rows[kind]:
            if row["provider"] == provider and model.startswith(tuple(row["models"])):
                yield row


@cache
def supplement() -> Supplement:
    """Read the file, once."""
    content = content_of(_FILE.read_text("utf-8"), _FILE.name)
    kinds = ("terms", "writes", "fees", "quiet_days")
    return Supplement(
        entries=entries_in(content["prices"], _FILE.name, "supplement"),
        rows={kind: list(content[kind]) for kind in kinds},
    )
