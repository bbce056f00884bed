"""On whose behalf LangChain makes a call: ids in its RunnableConfig, as an AgentFuse scope."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from agentfuse import scope
from agentfuse.nothing import NOTHING
from agentfuse.scopes import SCOPES, current_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from agentfuse.scopes import Scope

    Ids = Mapping[str, str]

PREFIX = "agentfuse_"
"""What an id's key in ``metadata`` or ``configurable`` begins with: ``agentfuse_user`` ..."""

# LangGraph's own name for a conversation.
THREAD = "thread_id"
_NO_SCOPE = nullcontext()
_KEYS = frozenset({THREAD, *(f"{PREFIX}{name}" for name in SCOPES)})


def ids_in(config: Mapping[str, Any] | None, *, metadata: Mapping[str, Any] | None = None) -> Ids:
    """Read the ids of a call, nearest first: its ``metadata``, its config, the config around it.

    The config around a call is LangChain's context variable, which LangGraph sets for each node. A
    conversation (``thread_id``) is the session where nobody named a better one.
    """
    found = [metadata]
    for each in (config, var_child_runnable_config.get()):
        if each:
            found += (each.get("metadata"), each.get("configurable"))
    places = [place for place in found if place and not _KEYS.isdisjoint(place)]
    if not places:
        return NOTHING
    named = {name: _id_in(places, f"{PREFIX}{name}") for name in SCOPES}
    if not named["session"] and not current_scope().session:
        named["session"] = _id_in(places, THREAD)
    return {name: each for name, each in named.items() if each}


def _id_in(places: list[Mapping[str, Any]], key: str) -> str:
    """Give an id as text: a number is as good a name as a word."""
    found = next((place[key] for place in places if place.get(key) is not None), "")
    return str(found)


def opened(ids: Ids) -> AbstractContextManager[Scope | None]:
    """Open the scope of these ids, if there are any."""
    named: Any = ids
    return scope(**named) if ids else _NO_SCOPE


def scope_of_hook(run_manager: Any) -> AbstractContextManager[Scope | None]:
    """Open the scope of a model's hook: its run manager carries the call's metadata anywhere."""
    return opened(ids_in(None, metadata=getattr(run_manager, "metadata", None)))


def begun_within(ids: Ids, chunks: Iterator[Any]) -> Iterator[Any]:
    """Begin a stream in a scope; none is held while the consumer has its turn."""
    try:
        with opened(ids):
            first = next(chunks, None)
        if first is not None:
            yield first
            yield from chunks
    finally:
        close: Any = getattr(chunks, "close", None)
        close()


async def abegun_within(ids: Ids, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Do as ``begun_within``, awaited."""
    try:
        with opened(ids):
            first = await anext(chunks, None)
        if first is not None:
            yield first
            async for chunk in chunks:
                yield chunk
    finally:
        close: Any = getattr(chunks, "aclose", None)
        await close()
