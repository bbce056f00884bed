"""How a call fares over its attempts: what failed and why, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.scopes import NO_SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.decisions import Decision
    from agentfuse.messages import Request
    from agentfuse.scopes import Scope

# Where an error keeps the receipt of the call that it ended, whoever's error it is.
_KEPT_AS = "agentfuse_failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that failed: whom it asked, why (``kind``), and what is booked for it."""

    model: str
    provider: str
    kind: str
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a call has fared so far.

    ``id`` is the call's, from which each attempt has its own. ``first`` is what was asked of the
    provider at first, ``step`` what is asked at this step of the fallback chain; ``retries`` were
    made and ``fallbacks`` taken, and ``widened`` says that an overflow had its one remedy.
    """

    id: str
    first: Request
    step: Request
    failed: tuple[Attempt, ...] = ()
    retries: int = 0
    fallbacks: int = 0
    widened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A failed attempt that is made again in ``delay`` seconds, since ``kind`` may pass."""

    id: str
    model: str
    provider: str
    kind: str
    attempt: int
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack:
    """A call for ``model`` that goes ``to`` another one of ``to_provider``, since ``kind``.

    ``kind`` is the class of the failure, or ``circuit_open`` where the model was not even asked.
    """

    id: str
    model: str
    provider: str
    to: str
    to_provider: str
    kind: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedged:
    """A call that took long was asked a second time; whoever answers first wins.

    The loser is told as ``Failed`` of kind ``outrun`` (or what else became of it), with its cost.
    """

    id: str
    model: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened:
    """A model failed so often that it is left alone for ``seconds``."""

    model: str
    provider: str
    base_url: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReceipt:
    """What a call came to that got no answer: every attempt, and what is booked for it.

    ``model`` and ``provider`` are who was asked at first; ``failed`` the attempts, oldest first,
    and empty where nothing was sent. ``kind`` is the last attempt's, or ``refused``; ``error``
    names the class of what the caller got. It is told once, when the call is given up, and adds
    nothing to the bill: each attempt was told as ``Failed`` before, with its cost. (What a limit
    stopped before anything was sent is told as ``Refused`` or ``Looping``; its error has a receipt
    all the same.)
    """

    id: str
    model: str
    provider: str
    kind: str
    error: str
    failed: tuple[Attempt, ...] = ()
    seconds: float = 0.0
    scope: Scope = NO_SCOPE
    decision: Decision | None = None

    @property
    def attempts(self) -> int:
        """How many times a provider was asked in vain."""
        return len(self.failed)

    @property
    def spent(self) -> int:
        """What all attempts have cost, in nanodollars."""
        return sum(attempt.cost for attempt in self.failed)


def failure_receipt_of(error: BaseException) -> FailureReceipt | None:
    """Give the receipt of the call that ended in ``error``; None where no call of ours did.

    Read through what the error was raised from, so an SDK's or framework's own words for it do.
    """
    for each in _line_of(error):
        receipt = _kept_in(each)
        if receipt is not None:
            return receipt
    return None


def keep_in(error: BaseException, receipt: FailureReceipt) -> None:
    """Leave a receipt with the error that the caller gets.

    Not as an attribute: an exception that is a frozen dataclass takes none.
    """
    error.__dict__[_KEPT_AS] = receipt


def keep_with(response: Any, receipt: FailureReceipt) -> None:
    """Leave a receipt with an HTTP response (of httpx or its kin), which an SDK's error carries."""
    response.extensions[_KEPT_AS] = receipt


def handed_on(told: BaseException, error: BaseException) -> None:
    """Let an error that is told in another's place have its receipt."""
    receipt = _kept_in(error)
    if receipt is not None:
        keep_in(told, receipt)


def _line_of(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it comes from; some frameworks raise errors from themselves."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        shown = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or shown


def _kept_in(error: BaseException) -> FailureReceipt | None:
    """Find what was left with an error, or with the HTTP response that it tells of."""
    own = error.__dict__.get(_KEPT_AS)
    if own is None:
        extensions: Any = getattr(getattr(error, "response", None), "extensions", None)
        own = extensions.get(_KEPT_AS) if hasattr(extensions, "get") else None
    return own if isinstance(own, FailureReceipt) else None
