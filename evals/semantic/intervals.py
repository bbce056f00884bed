"""Shares with the interval they may lie in."""

from __future__ import annotations

from math import sqrt

Z = 1.96  # 95 %


def interval(count: int, total: int) -> tuple[float, float]:
    """Give a share's 95 % interval in per cent: Wilson's; 3/n above where nothing was seen."""
    if not total:
        return 0.0, 100.0
    if not count:
        return 0.0, min(100.0, 300 / total)
    share = count / total
    middle = share + Z * Z / (2 * total)
    half = Z * sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    return 100 * (middle - half) / scale, 100 * (middle + half) / scale


def share(count: int, total: int) -> dict[str, float]:
    """Give a share in per cent with its interval, and what it was counted from."""
    low, high = interval(count, total)
    return {
        "percent": 100 * count / total if total else 0.0,
        "low": low,
        "high": high,
        "count": count,
        "of": total,
    }
