"""What agents do, and what is told of those that go round in circles or cost too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agentfuse.scopes import NO_SCOPE, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One call as an agent's doing: the whole question's ``key``, and what is ``newest`` in it.

    ``agent`` are the tags of who asks; ``newest`` is a role and the texts of the last messages.
    """

    key: str
    agent: tuple[str, ...]
    newest: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Repeats without progress: the latest ``actions``, over and over, ``times`` in all.

    ``what`` says what is repeated: tools (the same calls with the same results), requests (the
    very same question), or answers (the same answer to the same input). ``cost`` is what the
    repeats have cost so far, without the first round, in nanodollars; ``agents`` are the names of
    those who go round, where scopes tell them.
    """

    what: Literal["tools", "requests", "answers"]
    actions: tuple[str, ...]
    times: int
    cost: int = 0
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looping:
    """A call that goes on with a loop, and what was done: it was ``warn``, downgrade or stop."""

    id: str
    model: str
    loop: Loop
    action: Literal["warn", "downgrade", "stop"]
    scope: Scope = NO_SCOPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A call that cost many ``times`` what is ``usual`` for its agent and model (nanodollars)."""

    id: str
    model: str
    cost: int
    usual: int
    times: float
    scope: Scope = NO_SCOPE
