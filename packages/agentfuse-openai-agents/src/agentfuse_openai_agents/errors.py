"""The stop of a budget in the SDK's own terms, so that a run keeps what it had done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agents.exceptions import AgentsException

from agentfuse.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Generator


class BudgetStop(BudgetExceeded, AgentsException):
    """A model call would pass a limit, so it was stopped: nothing was sent, or its stream was cut.

    It is a BudgetExceeded with all that one carries (``refusal``, ``partial_text``, ``results``,
    ``receipt``), and an AgentsException, so the runner adds ``run_data``: the items, responses and
    usage of the run until then. It is never retried.
    """


@contextmanager
def in_the_sdks_terms() -> Generator[None]:
    """Raise a BudgetStop from whatever BudgetExceeded comes up within."""
    try:
        yield
    except BudgetStop:
        raise
    except BudgetExceeded as stop:
        raise BudgetStop.saying(stop) from stop
