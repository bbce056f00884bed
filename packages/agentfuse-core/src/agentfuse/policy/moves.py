"""What an agent does, in a form that two doings can be compared by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, cast

from agentfuse.conduct import Move
from agentfuse.policy.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.messages import Message, Reply, Request, ToolCall

_ANSWERING = frozenset({"tool", "function"})
# What of an action is shown as evidence, and what of a text is kept to be compared by meaning.
SHOWN, _COMPARED = 120, 500
# Arguments up to so many characters are remembered as they were put in order.
_REMEMBERED = 2_000
# No more of a long history is looked at than this, its newest messages.
_LATEST = 128


@dataclass(frozen=True, eq=False)
class Step:
    """Tools that the model called, and what came back: canonical, so that equal is the same.

    Each is put in order when it is first compared: of a long history only the latest are.
    """

    asked: tuple[ToolCall, ...]
    came: tuple[Message, ...]  # the latest first

    @cached_property
    def calls(self) -> tuple[tuple[str, str], ...]:
        """The tools' names and arguments."""
        return tuple([_call(call) for call in self.asked])

    @cached_property
    def results(self) -> tuple[str, ...]:
        """What came back, in the order in which it did."""
        return tuple([message.text for message in reversed(self.came)])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Step):
            return NotImplemented
        return self.calls == other.calls and self.results == other.results

    def __hash__(self) -> int:
        return hash((self.calls, self.results))

    @property
    def names(self) -> tuple[str, ...]:
        """The tools' names."""
        return tuple(name for name, _ in self.calls)

    def means(self, other: Step, alike: Callable[[str, str], bool]) -> bool:
        """Say whether another step does the same in other words, and came to the same.

        Words alone may differ: a number, a flag or a key that does is a difference.
        """
        if self.names != other.names or len(self.results) != len(other.results):
            return False
        called = zip(self.calls, other.calls, strict=True)
        if not all(_means(_value(a), _value(b), alike) for (_, a), (_, b) in called):
            return False
        came = zip(self.results, other.results, strict=True)
        return all(_means(a, b, alike) for a, b in came)

    def __str__(self) -> str:
        return ", ".join(f"{name}({arguments})" for name, arguments in self.calls)[:SHOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A move that was answered, at a time, for a cost in nanodollars.

    ``streak`` is how often its very question has been asked in a row with it, and ``total`` what
    all moves up to it have cost.
    """

    move: Move
    answer: tuple[str, ...]
    cost: int
    ended: float
    streak: int = 1
    total: int = 0

    def followed_by(self, move: Move) -> int:
        """Give the streak of a move that comes next."""
        return self.streak + 1 if move.key == self.move.key else 1


def move_of(request: Request, key: str | None, agent: tuple[str, ...]) -> Move | None:
    """Read a request as a move; None for one that is no conversation."""
    if request.api == "embeddings" or not request.messages:
        return None
    name = key or key_of(request) or _rough_key_of(request)
    newest: list[str] = []
    role = request.messages[-1].role
    for message in reversed(request.messages):
        if message.role != role:
            break
        newest.append(message.text)
    return Move(key=name, agent=agent, newest=(role, *reversed(newest)))


def _rough_key_of(request: Request) -> str:
    """Name a request by its words, where a parameter (a function, an object) cannot be spelt."""
    words = [
        (m.role, m.text, tuple((call.name, call.arguments) for call in m.tool_calls))
        for m in request.messages
    ]
    frame = (request.tenant, request.provider, request.model, len(request.tools))
    return f"rough {hash((*frame, tuple(sorted(request.params)), tuple(words)))}"


def answer_of(reply: Reply) -> tuple[str, ...]:
    """Give an answer in a form to compare: its text, and its calls without their ids."""
    if not reply.choices:
        return ()
    first = reply.choices[0]
    return (first.text[:_COMPARED], *(piece for c in first.tool_calls for piece in _call(c)))


def steps_in(messages: Sequence[Message]) -> list[Step]:
    """List the steps that followed the user's last words, the oldest first.

    A call that has no result yet ends no step. What the model said beside its calls is left out:
    it varies where what it does is the same.
    """
    steps: list[Step] = []
    came: list[Message] = []
    for message in reversed(messages[-_LATEST:]):
        if message.role in _ANSWERING:
            came.append(message)
        elif message.tool_calls:
            steps.append(Step(message.tool_calls, tuple(came)))
            came = []
        else:
            if message.role == "user":
                break
            came = []
    return steps[::-1]


def _value(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _means(one: Any, other: Any, alike: Callable[[str, str], bool]) -> bool:
    """Compare two JSON values, their texts by meaning."""
    if one == other:
        return type(one) is type(other)
    if isinstance(one, str) and isinstance(other, str):
        return alike(one[:_COMPARED], other[:_COMPARED])
    if type(one) is not type(other) or not isinstance(one, dict | list):
        return False
    mine, theirs = _pieces(one), _pieces(other)
    same = mine.keys() == theirs.keys()
    return same and all(_means(mine[key], theirs[key], alike) for key in mine)


def _pieces(value: Any) -> dict[Any, Any]:
    """Give what an object or an array holds, by key or place."""
    items: Any = getattr(value, "items", None)
    return dict(enumerate(cast("list[Any]", value)) if items is None else items())


def _call(call: ToolCall) -> tuple[str, str]:
    """Give a call's name and its arguments with their keys in order."""
    short = len(call.arguments) <= _REMEMBERED
    return call.name, (_known_order if short else _ordered)(call.arguments)


def _ordered(arguments: str) -> str:
    """Write arguments with their keys in order."""
    try:
        value: Any = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


# An agent resends each of its calls with every turn.
_known_order = lru_cache(maxsize=1024)(_ordered)
