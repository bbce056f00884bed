"""What was worked out of an object, remembered by what it is made of: agents ask the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from agentfuse.by_content import ByContent

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")


def remembered(make: Callable[..., Made]) -> Callable[..., Made]:
    """Ask ``make`` once for each content of all that tells about its arguments.

    What this gives takes that content, then the kind of thing it is of, and then the arguments:
    they are no part of what is remembered. What was changed in one since is another content.
    """
    # A place for each content, since it is not the content that is asked.
    places: ByContent[list[Made]] = ByContent(_free_place)

    def once(told: Any, kind: type, *arguments: Any) -> Made:
        place = places(told, kind)
        if not place:
            place.append(make(*arguments))
        return place[0]

    return once


def _free_place(*_: Any) -> list[Any]:
    return []
