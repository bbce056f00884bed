"""A simulated LLM provider on real loopback HTTP, for tests without a network or a bill."""

from __future__ import annotations

from agentfuse.testing.upstream.provider import Upstream
from agentfuse.testing.upstream.record import WireRequest
from agentfuse.testing.upstream.said import Asked, Call, Say

__all__ = ["Asked", "Call", "Say", "Upstream", "WireRequest"]
