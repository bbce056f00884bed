"""What calls cost: price cards, quotes before a call and exact bills after it."""

from __future__ import annotations

from agentfuse.pricing.book import Cost, PriceBook, free_card_of
from agentfuse.pricing.cards import PriceCard, Rates
from agentfuse.pricing.quotes import affordable_output, caching_of, choices_of, context_of, quote_of
from agentfuse.pricing.sources import PriceSource
from agentfuse.usages import report_of, stream_usage

__all__ = [
    "Cost",
    "PriceBook",
    "PriceCard",
    "PriceSource",
    "Rates",
    "affordable_output",
    "caching_of",
    "choices_of",
    "context_of",
    "free_card_of",
    "quote_of",
    "report_of",
    "stream_usage",
]
