"""The stop of a budget in LlamaIndex, whose agents may swallow it once and no more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from agentfuse.courses import handed_on
from agentfuse.errors import BudgetExceeded

if TYPE_CHECKING:
    from types import TracebackType

    from agentfuse import Fuse
    from agentfuse.messages import Request

_KEPT = 32


class BudgetStop(BudgetExceeded):
    """A model call would pass a limit, so it was stopped: nothing was sent, or its stream was cut.

    It is a BudgetExceeded with all that one carries (``refusal``, ``partial_text``, ``results``,
    ``receipt``). Workflows raise it, as it is, from ``await handler``. What a tool raises they hand
    to the model as the tool's result: a stop within a tool is therefore raised again by the agent's
    next call, which would carry it.
    """

    @classmethod
    def of(cls, stop: BudgetExceeded) -> BudgetStop:
        """Say the same under LlamaIndex's name."""
        told = cls.saying(stop)
        handed_on(told, stop)  # a copy that is raised later has no cause
        return told


@dataclass(frozen=True, slots=True, eq=False)
class _Stopped:
    """A stop that was raised, and the budget that its run had then (nanodollars)."""

    stop: BudgetStop
    budget: int | None


class _Stops:
    """The last stops of each fuse, oldest first; safe for threads."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Fuse, deque[_Stopped]] = WeakKeyDictionary()
        self._lock = Lock()

    def note(self, fuse: Fuse, stop: BudgetStop) -> None:
        """Remember that a stop was raised."""
        with self._lock:
            kept = self._of.setdefault(fuse, deque(maxlen=_KEPT))
            # A copy: the one that was raised holds on to frames, and by them to the fuse.
            kept.append(_Stopped(BudgetStop.of(stop), fuse.receipt().budget))

    def take(self, request: Request) -> BudgetStop | None:
        """Find a stop that a request would carry to a model as text, and forget it."""
        if not self._of:
            return None
        said = [text for message in request.messages if (text := message.text)]
        with self._lock:
            for fuse, kept in list(self._of.items()):
                for each in list(kept):
                    if any(str(each.stop) in text for text in said):
                        kept.remove(each)
                        if fuse.receipt().budget == each.budget:
                            return each.stop
        return None


_stops = _Stops()


class InLlamaTerms:
    """Raises a BudgetStop from whatever BudgetExceeded comes up within."""

    __slots__ = ("_fuse",)

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse

    def __enter__(self) -> None:
        """Let the call go on."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say a stop in LlamaIndex's terms, and remember it."""
        if isinstance(error, BudgetExceeded) and not isinstance(error, BudgetStop):
            told = BudgetStop.of(error)
            _stops.note(self._fuse, told)
            raise told from error


def raise_swallowed(request: Request) -> None:
    """Raise the BudgetStop that a tool's result in this request tells of.

    A budget that was raised since lets the request pass: the user knows, and goes on.
    """
    stop = _stops.take(request)
    if stop is not None:
        raise stop
