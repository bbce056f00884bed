"""How much of the gap between two models was recovered, and how sure the rows are of it."""

from __future__ import annotations

from typing import Any

import numpy as np


def share_of(risen: Any, gap: Any) -> float:
    """Give what was gained above the weak model as a share of the gap; 1 where there is none."""
    total = float(gap.sum())
    return float(risen.sum()) / total if total else 1.0


def interval_of(risen: Any, gap: Any) -> tuple[float, float]:
    """Give the share's 95 % bootstrap interval over rows; draws without a gap have no share."""
    draw = np.random.default_rng(3)
    shares = []
    for _ in range(1000):
        rows = draw.integers(0, len(gap), len(gap))
        if gap[rows].sum() > 0:
            shares.append(share_of(risen[rows], gap[rows]))
    low, high = np.quantile(shares, (0.025, 0.975)) if shares else (float("nan"), float("nan"))
    return float(low), float(high)
