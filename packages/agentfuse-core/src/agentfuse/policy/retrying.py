"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

from typing import Protocol

# The curve of the vendors' own SDKs (openai-python and anthropic-sdk-python,
# _constants.py: INITIAL_RETRY_DELAY, MAX_RETRY_DELAY): half a second, doubled, at most eight.
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0

# Advice beyond this is for the caller to follow: the same SDKs stop at a minute.
LONGEST_ADVICE = 60.0


class Failure(Protocol):
    """What has to be known of a failed attempt."""

    @property
    def kind(self) -> str:
        """The class of failure."""
        ...

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        ...

    @property
    def billed(self) -> bool:
        """Whether the provider may have billed it all the same."""
        ...

    @property
    def retry_after(self) -> float | None:
        """The provider's advice in seconds."""
        ...


def delay_of(failure: Failure, attempt: int, draw: float) -> float | None:
    """Give the seconds to wait before the next attempt, or None for no further one.

    ``attempt`` counts from 1; ``draw`` in [0, 1) spreads callers over the last quarter of the wait.
    """
    if not failure.retryable:
        return None
    if failure.retry_after is not None:
        return failure.retry_after if failure.retry_after <= LONGEST_ADVICE else None
    doubled = FIRST_DELAY * 2.0 ** (attempt - 1)
    return min(doubled, LONGEST_DELAY) * (1 - 0.25 * draw)
