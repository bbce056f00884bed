"""How many tokens a text, a request or a stream is, before the provider says so."""

from __future__ import annotations

from agentfuse.tokens.text import count_text

__all__ = ["count_text"]
