"""Which model answers: learned from outcomes and held to a target, by rule, or by agreement."""

from __future__ import annotations

from agentfuse.routing.cascade import Cascade
from agentfuse.routing.fitting import fit
from agentfuse.routing.knowledge import Knowledge
from agentfuse.routing.outcomes import Outcome, outcomes_of
from agentfuse.routing.router import Router
from agentfuse.routing.strategies import (
    CHEAPEST_FIRST,
    FALLBACK_CHAIN,
    FASTEST_FIRST,
    PATTERNS,
    Judge,
    Split,
    Tiers,
)

__all__ = [
    "CHEAPEST_FIRST",
    "FALLBACK_CHAIN",
    "FASTEST_FIRST",
    "PATTERNS",
    "Cascade",
    "Judge",
    "Knowledge",
    "Outcome",
    "Router",
    "Split",
    "Tiers",
    "fit",
    "outcomes_of",
]
