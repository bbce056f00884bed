"""The vendors' own SDKs, metered: their clients are covered where their requests leave."""

from agentfuse.patches.wrapping import unwrap, wrap_anthropic, wrap_openai

__all__ = ["unwrap", "wrap_anthropic", "wrap_openai"]
