"""Which module speaks a provider's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentfuse.providers.names import Target


def speech_of(target: Target) -> Any:
    """Give the module that builds the target's requests, asks them, and makes their codecs."""
    if target.api == "anthropic.messages":
        from agentfuse.providers import anthropic_messages

        return anthropic_messages
    from agentfuse.providers import openai_chat

    return openai_chat
