"""What each vendor API must be able to do for the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.counting import Prompt, PromptMemory
    from agentfuse.testing.upstream.problems import Problem
    from agentfuse.testing.upstream.said import Answer, Asked, Event, Json
    from agentfuse.usage import Usage


class Vendor(Protocol):
    """What every API has: a name, a key, rules, and words for a refusal."""

    @property
    def api(self) -> str:
        """The API's name in records."""
        ...

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Find the API key in lower-case headers; empty where there is none."""
        ...

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Check a request by the vendor's published rules."""
        ...

    def fault_of(self, status: int) -> Problem:
        """Give the vendor's words for a failing status."""
        ...

    def unauthorised(self, key: str) -> Problem:
        """Refuse an API key."""
        ...

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that does not exist."""
        ...

    def error_of(self, problem: Problem, request_id: str) -> Json:
        """Write a refusal's body."""
        ...


@runtime_checkable
class Counting(Vendor, Protocol):
    """An API that only counts: it asks no model and bills nothing."""

    def counted(self, model: str, body: Mapping[str, Json]) -> Json:
        """Write how many tokens a request without a problem is."""
        ...


class Dialect(Vendor, Protocol):
    """One API of one vendor that answers: its rules, its words, its events."""

    def asked_of(self, body: Mapping[str, Json]) -> Asked:
        """Parse a request that has no problem."""
        ...

    def prompt_of(self, asked: Asked) -> Prompt:
        """Count the prompt, in the order in which it is cached."""
        ...

    def prompt_billed(self, memory: PromptMemory, key: str, prompt: Prompt) -> Usage:
        """Bill the prompt, with what this vendor takes from its cache."""
        ...

    def usage_of(self, answer: Answer) -> dict[str, Json]:
        """Write the usage as the vendor does."""
        ...

    def reply_of(self, asked: Asked, answer: Answer) -> Json:
        """Write the whole answer."""
        ...

    def events_of(self, asked: Asked, answer: Answer) -> Iterator[Event]:
        """Write the answer as the vendor streams it."""
        ...

    def finish_of(self, answer: Answer) -> str:
        """Name in the vendor's word why the (first) answer ended."""
        ...
