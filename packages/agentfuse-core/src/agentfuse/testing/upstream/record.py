"""What went over the wire, kept for the tests that ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Condition
from typing import TYPE_CHECKING, Any

from agentfuse.nothing import NOTHING
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.testing.upstream.said import Json

NO_USAGE = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One request as it arrived, and what became of it.

    ``api`` is chat.completions, responses, embeddings or anthropic.messages, or of those that only
    count anthropic.count_tokens or google.countTokens; ``headers`` have lower-case names; ``at`` is
    Unix time in seconds. ``status`` is 0 until headers are sent. ``chunks_sent`` counts a stream's
    events. ``aborted`` says that the client left before the end. ``usage`` is the vendor's own
    usage object, ``billed`` the same in AgentFuse's words; both empty for a failure and a count,
    and for a stream that broke off they cover what was sent. ``finish`` is the vendor's word.
    """

    api: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Json]
    at: float
    model: str = ""
    streamed: bool = False
    status: int = 0
    chunks_sent: int = 0
    aborted: bool = False
    usage: Mapping[str, Json] = NOTHING
    billed: Usage = NO_USAGE
    finish: str = ""


class Records:
    """All requests in the order in which they came; safe for threads."""

    def __init__(self) -> None:
        self._requests: list[WireRequest] = []
        self._running = 0
        self._changed = Condition()

    def open(self, request: WireRequest) -> Entry:
        """Keep a request that has just come in."""
        with self._changed:
            entry = Entry(self, self._requests, len(self._requests))
            self._requests.append(request)
            self._running += 1
        return entry

    def change(self, place: tuple[list[WireRequest], int], changes: Mapping[str, Any]) -> None:
        """Note what became of a request."""
        with self._changed:
            requests, index = place
            requests[index] = replace(requests[index], **changes)

    def close(self) -> None:
        """Note that a request has ended."""
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The requests so far, running ones included."""
        with self._changed:
            return tuple(self._requests)

    def wait_idle(self, timeout: float) -> bool:
        """Wait up to so many seconds until nothing runs; tell whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout)

    def forget(self) -> None:
        """Drop all requests; those still running end in the old list."""
        with self._changed:
            self._requests = []


class Entry:
    """One request's place in the records."""

    def __init__(self, records: Records, requests: list[WireRequest], index: int) -> None:
        self._records = records
        self._place = (requests, index)

    def note(self, **changes: Any) -> None:
        """Set fields of the request's record."""
        self._records.change(self._place, changes)

    def end(self) -> None:
        """Note that the request has ended."""
        self._records.close()
