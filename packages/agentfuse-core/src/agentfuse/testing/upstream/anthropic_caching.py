"""What Anthropic refuses about marks for its cache of prompts.

Source: docs.anthropic.com/en/docs/build-with-claude/prompt-caching and the messages of the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.problems import Problem
from agentfuse.testing.upstream.said import list_in, object_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.said import Json

MOST_MARKS = 4
_TTLS = ("5m", "1h")
_THINKING = frozenset({"thinking", "redacted_thinking"})


def caching_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    """Find what is wrong with the marks of a request, the first thing first."""
    blocks = [block for block in _blocks_in_order(body) if block.get("cache_control")]
    automatic = 1 if body.get("cache_control") else 0
    if len(blocks) + automatic > MOST_MARKS:
        text = (
            "A maximum of 4 blocks with cache_control may be provided."
            f" Found {len(blocks) + automatic}."
        )
        yield Problem(400, text)
    ttls = [object_in(block["cache_control"]).get("ttl", "5m") for block in blocks]
    if any(ttl not in _TTLS for ttl in ttls):
        yield Problem(400, "cache_control.ttl: Input should be '5m' or '1h'")
    if ttls != sorted(ttls, key=_TTLS.index, reverse=True):
        text = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
        yield Problem(400, text)
    for block in blocks:
        if block.get("type") in _THINKING:
            yield Problem(400, "thinking.cache_control: Extra inputs are not permitted")
        if block.get("type") == "text" and not block.get("text"):
            yield Problem(400, "cache_control cannot be set for empty text blocks")


def _blocks_in_order(body: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    yield from map(object_in, list_in(body.get("tools")))
    yield from map(object_in, list_in(body.get("system")))
    for message in list_in(body.get("messages")):
        yield from map(object_in, list_in(object_in(message).get("content")))
