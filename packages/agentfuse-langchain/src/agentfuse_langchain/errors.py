"""Our errors in LangChain's own terms, so that nothing there swallows, repeats or escapes them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.errors import AgentFuseError, BudgetExceeded

if TYPE_CHECKING:
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


@lru_cache(maxsize=32)
def _surfacing(kind: type[AgentFuseError]) -> type[AgentFuseError]:
    """Give a kind of error with the bases of a stop, under its own name."""
    named = {"__doc__": kind.__doc__, "__module__": kind.__module__, "is_retryable": False}
    make: Any = type
    surfacing: type[AgentFuseError] = make(kind.__name__, (kind, ModelError, GraphBubbleUp), named)
    return surfacing


def surfaced(error: AgentFuseError) -> AgentFuseError:
    """Say the same in LangChain's terms.

    As plain errors they would be repeated and turned into an answer by ModelRetryMiddleware, and a
    ModelFallbackMiddleware would escape to a model that may have no budget at all.
    """
    if isinstance(error, GraphBubbleUp):
        return error
    if isinstance(error, BudgetExceeded):
        return BudgetStop.saying(error)
    plain: Any = type(error)  # mypy finds no hash in a class
    kind = _surfacing(plain)
    twin = kind.__new__(kind, *error.args)
    twin.__dict__.update(error.__dict__)
    return twin


class _InLangchainsTerms:
    """Raises whatever error of ours comes up within so that it reaches the caller as it is."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AgentFuseError):
            twin = surfaced(error)
            if twin is not error:
                raise twin from error


IN_LANGCHAINS_TERMS = _InLangchainsTerms()
"""Entered around all that may raise an error of ours; it holds nothing, so one is enough."""
