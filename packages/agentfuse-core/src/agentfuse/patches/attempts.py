"""The attempts of one call that an SDK repeats by itself, each of which passes by alone.

They follow each other in one context, and the SDKs number them in a header (openai and anthropic,
``_base_client.py``: ``_build_headers``).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentfuse.courses import Course, failure_receipt_of, keep_in, keep_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.courses import Attempt
    from agentfuse.tickets import Admitted

_RETRIES = "x-stainless-retry-count"


@dataclass(frozen=True, slots=True)
class _Trail:
    """What was asked in vain just before, in this context."""

    url: str = ""
    body: Mapping[str, Any] | None = None
    failed: tuple[Attempt, ...] = ()


_NOTHING = _Trail()
_trail: ContextVar[_Trail] = ContextVar("agentfuse_sdk_attempts", default=_NOTHING)


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: ``number`` counts from 1, ``failed`` are those before it."""

    url: str
    body: Mapping[str, Any]
    number: int
    failed: tuple[Attempt, ...]

    @classmethod
    def of(cls, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Try:
        """Read which attempt a request is, and what became of the others."""
        tried = headers.get(_RETRIES, "")
        number = 1 + int(tried) if tried.isdigit() else 1
        before = _trail.get()
        same = number > 1 and before.url == url and before.body == body
        return cls(url, body, number, before.failed if same else ())

    def numbered(self, ticket: Admitted) -> Admitted:
        """Write on a ticket which attempt it is for, and which failed before."""
        if self.number == 1:
            return ticket
        first = ticket.asked
        course = ticket.course or Course(id=ticket.id, first=first, step=first)
        return replace(ticket, attempt=self.number, course=replace(course, failed=self.failed))

    def failed_with(self, error: BaseException, response: Any = None) -> None:
        """Remember an attempt that failed, and leave its receipt where the SDK's error shows it."""
        receipt = failure_receipt_of(error)
        if receipt is None:
            return
        if response is not None:
            keep_with(response, receipt)
        _trail.set(_Trail(self.url, self.body, receipt.failed))

    def refused_with(self, error: BaseException) -> None:
        """Add what was asked in vain before to the receipt of a call that may not go on."""
        receipt = failure_receipt_of(error)
        if receipt is not None and self.failed:
            keep_in(error, replace(receipt, failed=(*self.failed, *receipt.failed)))
