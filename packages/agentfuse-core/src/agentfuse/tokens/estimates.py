"""How many tokens a request is thought to be, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Method = Literal["exact", "provider", "rules", "calibrated", "heuristic"]
Doubt = Literal["", "media", "opaque"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """Input tokens of a request: ``low <= tokens <= high``.

    ``high`` is what to set money aside for. ``method`` is exact (the provider's own vocabulary and
    known overheads), provider (its own count, which it calls an estimate), rules (measured
    overheads), calibrated (rules moved by what an earlier answer
    with the same model and tools was billed) or heuristic (a ratio). ``key`` and ``cold`` (the
    count before it was moved) are what learning needs; ``doubt`` marks counts of media and of what
    cannot be read. Estimates are equal without these.
    """

    tokens: int
    low: int
    high: int
    method: Method
    key: bytes = field(default=b"", compare=False, repr=False)
    cold: int = field(default=0, compare=False, repr=False)
    doubt: Doubt = field(default="", compare=False, repr=False)


def estimate_of(
    tokens: int, *, factor: int, cushion: int = 0, method: Method, doubt: Doubt = ""
) -> TokenEstimate:
    """Put bounds around a count: ``factor`` in thousandths, and ``cushion`` tokens on top."""
    high = -(-tokens * factor // 1000) + cushion
    return TokenEstimate(
        tokens=tokens,
        low=max(tokens * 1000 // factor - cushion, 0),
        high=high,
        method=method,
        cold=tokens,
        doubt=doubt,
    )
