"""What of a conversation may be left out as a whole, so that the rest is one a provider takes.

A turn is what a user said with all that came of it. A step is what the model said with the results
of all its tool calls. OpenAI and Anthropic refuse a call without its result and the reverse:
https://platform.openai.com/docs/guides/function-calling,
https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.messages import Message

INSTRUCTING = frozenset({"system", "developer"})
ANSWERING = frozenset({"tool", "function"})


@dataclass(frozen=True, slots=True)
class Spans:
    """Where the pieces of a conversation lie; every place is an index into its messages.

    ``units`` may be left out, the oldest first: the turns before the last, then the steps of the
    last but for its newest. ``reach`` is where that newest step (or the user's last words) begins:
    from there on nothing is touched, since the model has not answered it yet.
    """

    units: tuple[range, ...]
    reach: int
    last_user: int

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Spans:
        """Find the pieces, in one pass."""
        users = [i for i, message in enumerate(messages) if message.role == "user"]
        last = users[-1] if users else -1
        roles = [message.role for message in messages]
        steps = [i for i in range(last + 1, len(messages)) if roles[i] not in ANSWERING]
        turns = pairwise(sorted({0, *users})) if users else ()
        units = [range(start, stop) for start, stop in (*turns, *pairwise(steps)) if start < stop]
        reach = steps[-1] if steps else max(last, 0)
        return cls(tuple(units), reach, last)

    def step_of(self, messages: Sequence[Message], place: int) -> range:
        """Give the step that a message is a part of: a call with its results."""
        start = place
        while start > 0 and messages[start].role in ANSWERING:
            start -= 1
        stop = start + 1
        while stop < len(messages) and messages[stop].role in ANSWERING:
            stop += 1
        return range(start, stop)
