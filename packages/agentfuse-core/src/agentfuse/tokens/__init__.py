"""How many tokens a text, a request or a stream is, before the provider says so."""

from __future__ import annotations

from agentfuse.tokens.counter import TokenCounter
from agentfuse.tokens.counters import RequestCounter
from agentfuse.tokens.encodings import warm
from agentfuse.tokens.estimates import TokenEstimate
from agentfuse.tokens.gemma import GemmaCounter
from agentfuse.tokens.mistral import MistralCounter
from agentfuse.tokens.streams import StreamCounter
from agentfuse.tokens.text import count_text

__all__ = [
    "GemmaCounter",
    "MistralCounter",
    "RequestCounter",
    "StreamCounter",
    "TokenCounter",
    "TokenEstimate",
    "count_text",
    "warm",
]
