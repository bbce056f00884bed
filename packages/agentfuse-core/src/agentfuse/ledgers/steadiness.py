"""Whether a clock is to be believed when something old is to be let go of."""

from __future__ import annotations

HOUR = 3_600.0
DAY = 24 * HOUR

# An account whose window has ended: a month's is asked for until the next month's bill is checked.
ENDED_SECONDS = 35 * DAY

# A clock that leaps (set wrong by years, or a ledger nobody used) is not believed at once.
LEAP = 7 * DAY
STEADY_SECONDS = HOUR


class Steadiness:
    """Since when (``since``) a clock has moved without a leap, last seen ``at`` a Unix time.

    After a leap by more than a week, or back, nothing may be let go of for an hour: a month's
    budget must not be forgotten because a machine believes for a while that it is 2099.
    """

    __slots__ = ("at", "since")

    def __init__(self, at: float = 0.0, since: float = 0.0) -> None:
        self.at = at
        self.since = since

    def is_steady(self, now: float) -> bool:
        """Look at the clock, and say whether it has been steady for long enough."""
        if not 0 <= now - self.at <= LEAP:
            self.since = now
        self.at = now
        return now - self.since >= STEADY_SECONDS
