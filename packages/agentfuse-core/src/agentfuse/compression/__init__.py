"""Long conversations made short, whole pieces at a time; see docs/compression.md."""

from __future__ import annotations

from agentfuse.compression.compressor import Compressor, Strategy
from agentfuse.compression.llmlingua import LLMLingua
from agentfuse.compression.outputs import shortened_output

__all__ = ["Compressor", "LLMLingua", "Strategy", "shortened_output"]
