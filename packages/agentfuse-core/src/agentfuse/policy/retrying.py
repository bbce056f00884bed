"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.policy.given import Substitute

# The curve of the vendors' own SDKs (openai-python and anthropic-sdk-python,
# _constants.py: INITIAL_RETRY_DELAY, MAX_RETRY_DELAY): half a second, doubled, at most eight.
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0

# Advice beyond this is for the caller to follow: the same SDKs stop at a minute.
LONGEST_ADVICE = 60.0

# All who were told "in ten seconds" would come back at once; up to a tenth later they do not.
ADVICE_SPREAD = 0.1

# What another model may still answer, beside what may pass by itself: an account, a key or a model
# that is gone, and a conversation that does not fit. What the caller wrote wrongly is wrong there
# too, and what a filter stopped is not carried to the next.
ELSEWHERE = frozenset(
    {"quota_exhausted", "authentication", "permission", "not_found", "context_overflow"}
)

# What says that a model is ill. A refusal says that the account, the key or the request is.
ILLNESS = frozenset(
    {"overloaded", "server_error", "timeout", "connection", "interrupted", "malformed"}
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """What may follow a failed attempt.

    ``max_retries`` further attempts at the same step, the nth of a model in ``retry_models`` asking
    the nth name there; then each of its ``fallbacks``, once. An overflow goes once to the
    ``larger_window``. All within ``deadline`` seconds of the call's beginning. ``breaks`` says that
    models which keep failing are left alone for a while. A call that takes longer than
    ``hedge_after`` seconds is asked twice at once, where its way of asking can.
    """

    max_retries: int = 0
    deadline: float | None = None
    fallbacks: Mapping[str, tuple[Substitute, ...]] = NOTHING
    retry_models: Mapping[str, tuple[Substitute, ...]] = NOTHING
    larger_window: Mapping[str, Substitute] = NOTHING
    breaks: bool = False
    hedge_after: float | None = None


def delay_of(failure: Failure, attempt: int, draw: float) -> float | None:
    """Give the seconds to wait before the next attempt, or None for no further one.

    ``attempt`` counts from 1; ``draw`` in [0, 1) spreads callers over the last quarter of the wait,
    and over a tenth beyond the provider's advice, which is a floor.
    """
    if not failure.retryable:
        return None
    if failure.retry_after is not None:
        if failure.retry_after > LONGEST_ADVICE:
            return None
        return failure.retry_after * (1 + ADVICE_SPREAD * draw)
    doubled = FIRST_DELAY * 2.0 ** (attempt - 1)
    return min(doubled, LONGEST_DELAY) * (1 - 0.25 * draw)
