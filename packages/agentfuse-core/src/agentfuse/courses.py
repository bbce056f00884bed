"""How a call fares over its attempts: what failed and why, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.messages import Request


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
