"""Everything AgentFuse raises, in one tree.

AgentFuseError
 ├── BudgetExceeded        a limit would be passed: nothing was sent, or the stream was stopped
 │    ├── RateLimited      it would be passed now, but not in a while
 │    ├── Killed           somebody pulled the kill switch
 │    └── LoopDetected     the call goes on with a loop
 ├── ContextTooLong        the input alone is longer than the model's window (also a ValueError)
 ├── UnknownPrice          a budgeted call on a model without a price (also a LookupError)
 ├── ConfigurationError    the caller's words are off (also a ValueError)
 ├── StoreUnavailable      a cache, ledger or spend book cannot be read or written
 ├── WouldSuspend          a blocking call met a port that wanted to wait
 └── ProviderFailed        the provider, or the way to it, failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from agentfuse.conduct import Loop
    from agentfuse.tickets import Refusal


class AgentFuseError(Exception):
    """The root of every error that AgentFuse raises itself."""


class BudgetExceeded(AgentFuseError):  # noqa: N818 - the product's published name
    """A call would pass a limit, so it was stopped.

    ``refusal`` names the limit with what was needed and what was left (nanodollars), or is None
    where a running stream used up its lease. ``partial_text`` is what that stream had said.
    ``results`` are the answers the run had already received, oldest first, and ``receipt`` is the
    run's receipt at the time of the stop. ``loop`` is what a LoopDetected saw, for others None.
    """

    def __init__(
        self,
        message: str,
        *,
        refusal: Refusal | None = None,
        partial_text: str = "",
        results: tuple[str, ...] = (),
        receipt: Any = None,
        loop: Loop | None = None,
    ) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.partial_text = partial_text
        self.results = results
        self.receipt = receipt
        self.loop = loop

    @classmethod
    def saying(cls, stop: BudgetExceeded, **own: Any) -> Self:
        """Say what another stop says, as an error of this class; ``own`` are its own words."""
        return cls(
            str(stop),
            refusal=stop.refusal,
            partial_text=stop.partial_text,
            results=stop.results,
            receipt=stop.receipt,
            loop=stop.loop,
            **own,
        )


class RateLimited(BudgetExceeded):
    """A call came too soon: it may be sent in ``retry_after`` seconds."""

    @property
    def retry_after(self) -> float:
        """Give the seconds to wait."""
        return self.refusal.wait if self.refusal is not None else 0.0


class Killed(BudgetExceeded):
    """A call was stopped by the kill switch; the message says which, and why it was pulled."""


class LoopDetected(BudgetExceeded):
    """A call was stopped since it goes on with a loop; ``loop`` is the evidence."""


class ContextTooLong(AgentFuseError, ValueError):  # noqa: N818 - named like the other stops
    """A request's input is longer than its model's window, so nothing was sent.

    ``tokens`` is the least it can be, ``window`` what the model takes.
    """

    def __init__(self, message: str, *, tokens: int = 0, window: int = 0) -> None:
        super().__init__(message)
        self.tokens = tokens
        self.window = window


class UnknownPrice(AgentFuseError, LookupError):  # noqa: N818 - the product's published name
    """No price is known for ``model``, so no budget could hold it."""

    def __init__(self, model: str, provider: str = "") -> None:
        where = f" of {provider}" if provider else ""
        super().__init__(
            f"no price is known for model {model!r}{where}: give one with"
            f" Fuse(prices={{{model!r}: {{'input': ..., 'output': ...}}}}) in dollars per million"
            " tokens, or choose on_unknown_model='free' if it costs nothing"
        )
        self.model = model
        self.provider = provider


class ConfigurationError(AgentFuseError, ValueError):
    """What the caller asked for cannot be done as it was written."""


class StoreUnavailable(AgentFuseError):  # noqa: N818 - the product's published name
    """A store cannot be read or written; the message names it."""


class WouldSuspend(AgentFuseError, RuntimeError):  # noqa: N818 - the product's published name
    """A blocking call met a port that wanted to wait: an async client in the blocking wiring."""


class ProviderFailed(AgentFuseError):  # noqa: N818 - the product's published name
    """The provider refused or broke; the SDK's own error is the ``__cause__``.

    ``kind`` is one of ``agentfuse.providers.failures.KINDS``; ``status`` the HTTP status (0 where
    there was none); ``retry_after`` the provider's own advice in seconds, or None. ``other_key``
    says that the failure speaks of the key that was used, and that another one can be asked.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        status: int = 0,
        retry_after: float | None = None,
        other_key: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.other_key = other_key
