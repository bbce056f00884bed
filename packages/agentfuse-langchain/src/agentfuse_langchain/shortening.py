"""A long conversation made short: what is oldest goes, in pieces that leave the rest whole."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING

from langchain_core.messages.utils import count_tokens_approximately

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.messages import AnyMessage


def shortened(messages: Sequence[AnyMessage], share: float = 0.5) -> list[AnyMessage]:
    """Drop the oldest turns, then the oldest steps of the last turn, down to a share of the tokens.

    A turn begins with what the user said; a step is what the model said with the results of all its
    tool calls. System messages, the user's last words and the last step stay, whatever their size.
    """
    sizes = [count_tokens_approximately([message]) for message in messages]
    room, left = share * sum(sizes), sum(sizes)
    dropped: set[int] = set()
    for span in _spans_of([message.type for message in messages]):
        if left <= room:
            break
        places = [place for place in span if messages[place].type != "system"]
        dropped.update(places)
        left -= sum(sizes[place] for place in places)
    return [message for place, message in enumerate(messages) if place not in dropped]


def _spans_of(types: Sequence[str]) -> Iterator[range]:
    """Give what may be dropped, oldest first."""
    users = [place for place, kind in enumerate(types) if kind == "human"]
    last = users[-1] if users else -1
    turns = pairwise(sorted({0, *users})) if users else ()
    steps = [place for place in range(last + 1, len(types)) if types[place] != "tool"]
    return (range(start, stop) for start, stop in chain(turns, pairwise(steps)))
