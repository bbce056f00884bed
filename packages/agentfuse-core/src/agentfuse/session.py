"""A named run as a context manager, and the report over everything that was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from agentfuse.completions import acompletion, completion
from agentfuse.runtime.default import default_fuse
from agentfuse.runtime.journal import default_spend_book

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agentfuse.completions import Messages
    from agentfuse.money import Dollars
    from agentfuse.observe.run_receipt import RunReceipt
    from agentfuse.observe.spend_book import SpendReport
    from agentfuse.runtime.fuse import Fuse

DEFAULT_MODEL = "gpt-4o"


class AgentSession:
    """An agent's run: its calls and its tools on one budget, and one receipt.

    ``AgentSession("my_agent", budget_usd=5.00)`` shares the process's own ledger and cache, so a
    session opened again under the same name goes on where it was; ``fuse`` puts the run inside
    another one. ``model`` is asked where a call names none. Works as ``with`` and ``async with``.
    """

    def __init__(
        self,
        name: str,
        budget_usd: Dollars | None = None,
        *,
        model: str = DEFAULT_MODEL,
        tenant_id: str | None = None,
        fuse: Fuse | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.tenant_id = tenant_id
        if fuse is None:
            self.fuse = default_fuse().run(name, budget_usd)
        else:
            self.fuse = fuse.session(name, budget_usd)

    def completion(self, messages: Messages, *, model: str | None = None, **options: Any) -> Any:
        """Do as ``agentfuse.completion`` inside this run."""
        ask: Callable[..., Any] = completion  # whole or streamed: the options say which
        return ask(model or self.model, messages, **self._own(options))

    async def acompletion(
        self, messages: Messages, *, model: str | None = None, **options: Any
    ) -> Any:
        """Do as ``agentfuse.acompletion`` inside this run."""
        ask: Callable[..., Any] = acompletion
        return await ask(model or self.model, messages, **self._own(options))

    def record_tool_call(self, name: str, cost: Dollars) -> None:
        """Book what a tool has cost, in dollars, on the same budget."""
        self.fuse.record_tool_call(name, cost)

    def get_receipt(self) -> RunReceipt:
        """Sum up the run: spent, saved, of what budget, how many answers from the cache."""
        return self.fuse.receipt()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the run; its receipt can still be read."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the run; its receipt can still be read."""

    def _own(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"tenant_id": self.tenant_id, **options, "fuse": self.fuse}


def get_spend_report() -> SpendReport:
    """Sum up what every process of this user has spent, in Decimal dollars.

    ``{"total_usd": ..., "by_model": {model: ...}}`` over all runs whose journal is the default one
    (in ``AGENTFUSE_HOME``, or the platform's data folder); it survives restarts.
    """
    return default_spend_book().report()
