"""The stop of a budget in LangChain's own terms, so that nothing there swallows or repeats it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentfuse.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.exceptions import ModelError
    from langgraph.errors import GraphBubbleUp
else:
    # A failed model call (langchain-core 1.7.3 and newer) that says `is_retryable = False`:
    # ModelRetryMiddleware gives up on it at once.
    try:
        from langchain_core.exceptions import ModelError
    except ImportError:
        from langchain_core.exceptions import LangChainException as ModelError

    # What LangGraph hands up through every node, middleware and tool as it is, and never writes
    # into a checkpoint as an answer: after a top-up `agent.invoke(None, config)` goes on.
    try:
        from langgraph.errors import GraphBubbleUp
    except ImportError:

        class GraphBubbleUp(Exception):  # noqa: N818 - LangGraph's own name
            """Stands in where LangGraph is not installed."""


class BudgetStop(BudgetExceeded, ModelError, GraphBubbleUp):  # noqa: N818 - the product's published name
    """A model call would pass a limit, so it was stopped: nothing was sent, or its stream was cut.

    It is a BudgetExceeded with all that one carries (``refusal``, ``partial_text``, ``results``,
    ``receipt``). ModelRetryMiddleware does not repeat it, ModelFallbackMiddleware does not escape
    to another model, and a checkpointed agent goes on after ``fuse.top_up(...)`` where it stopped.
    """

    is_retryable = False

    @classmethod
    def of(cls, stop: BudgetExceeded) -> BudgetStop:
        """Say the same in LangChain's terms."""
        return cls(
            str(stop),
            refusal=stop.refusal,
            partial_text=stop.partial_text,
            results=stop.results,
            receipt=stop.receipt,
        )


@contextmanager
def in_langchains_terms() -> Generator[None]:
    """Raise a BudgetStop from whatever BudgetExceeded comes up within."""
    try:
        yield
    except BudgetStop:
        raise
    except BudgetExceeded as stop:
        raise BudgetStop.of(stop) from stop
