"""The module that speaks a target's dialect, and the process's SDK clients."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.providers.clients import ClientPool

if TYPE_CHECKING:
    from agentfuse.providers.names import Target


def speech_of(target: Target) -> Any:
    """Give the module that speaks the target's dialect."""
    if target.api == "anthropic.messages":
        from agentfuse.providers import anthropic_messages

        return anthropic_messages
    from agentfuse.providers import openai_chat

    return openai_chat


@lru_cache(maxsize=1)
def client_pool() -> ClientPool:
    """Give the process's SDK clients."""
    return ClientPool()
