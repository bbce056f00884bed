"""The terms that decide a price besides the model: batch, tier, speed and region."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.usage import PriceContext

# Words for a provider's standard terms, as recorded in responses of OpenAI, Anthropic, Google,
# Groq and Bedrock. Bought-ahead capacity is billed by the hour: its tokens count at list price.
STANDARD_TIERS = frozenset(
    {"", "default", "standard", "standard_only", "auto", "on_demand", "provisioned", "scale"}
)

# Never dearer than standard terms, whatever they are.
DISCOUNTS = frozenset({"flex", "batch"})

# Where a provider keeps the computation in one region for a surcharge.
REGIONS = frozenset({"us", "eu"})


def words_of(context: PriceContext) -> dict[str, str]:
    """Give the words of a context that are not standard, by kind: tier, speed, region.

    A batch is a tier, and wins over any other.
    """
    words: dict[str, str] = {}
    if context.batch or context.service_tier == "batch":
        words["tier"] = "batch"
    elif context.service_tier not in STANDARD_TIERS:
        words["tier"] = context.service_tier
    if context.speed not in STANDARD_TIERS:
        words["speed"] = context.speed
    if context.region in REGIONS:
        words["region"] = context.region
    return words


def marks_of(context: PriceContext) -> str:
    """Write the words behind a card's name: ``+batch+us``."""
    return "".join(f"+{word}" for word in dict.fromkeys(words_of(context).values()))
