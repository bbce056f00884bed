"""What a semantic cache has done, in counts and in honest intervals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

_Z = 1.959964  # the normal distribution's 97.5 % point: an interval of 95 %


def wilson(wrong: int, checked: int) -> tuple[float, float]:
    """Give the interval of 95 % around a share: Wilson's score interval (1927).

    Unlike the usual formula it is right for few cases, and for none: 0 wrong of 300 leaves up to
    1.3 % (the rule of three says 3/n, 1.0 %, one-sided). Nothing checked says nothing: (0, 1).
    """
    if not checked:
        return 0.0, 1.0
    share, square = wrong / checked, _Z * _Z
    middle = share + square / (2 * checked)
    reach = _Z * sqrt(share * (1 - share) / checked + square / (4 * checked * checked))
    whole = 1 + square / checked
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """What a semantic cache has done since it was made.

    Of the ``lookups``, ``hits`` were served; ``vetoes`` counts candidates above the threshold that
    were not, by reason. ``rejected`` hits were called wrong by ``Fuse.reject``. Of the ``checked``
    calls on trial (those that would have been served), ``wrong`` would have got another answer
    than the model's. ``entries`` are kept now.
    """

    lookups: int = 0
    hits: int = 0
    kept: int = 0
    rejected: int = 0
    checked: int = 0
    wrong: int = 0
    entries: int = 0
    vetoes: Mapping[str, int] = NOTHING

    @property
    def wrong_between(self) -> tuple[float, float]:
        """The interval of 95 % for the share of wrong answers among hits, by the trials."""
        return wilson(self.wrong, self.checked)

    def __str__(self) -> str:
        """Say it in one line."""
        low, high = self.wrong_between
        trials = f"{self.wrong} of {self.checked} on trial wrong ({low:.1%} to {high:.1%})"
        vetoed = sum(self.vetoes.values())
        return (
            f"{self.hits} of {self.lookups} lookups hit, {vetoed} candidates vetoed,"
            f" {trials if self.checked else 'none on trial'}, {self.rejected} rejected,"
            f" {self.entries} entries"
        )


@dataclass(slots=True)
class Counts:
    """The running counts, safe for threads."""

    _numbers: Counter[str] = field(default_factory=Counter[str])
    _vetoes: Counter[str] = field(default_factory=Counter[str])
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *names: str) -> None:
        """Count one of each."""
        with self._lock:
            self._numbers.update(names)

    def veto(self, reason: str) -> None:
        """Count a candidate that was not served."""
        with self._lock:
            self._vetoes[reason] += 1

    def report(self, entries: int) -> CacheReport:
        """Sum up."""
        with self._lock:
            return CacheReport(entries=entries, vetoes=dict(self._vetoes), **self._numbers)
