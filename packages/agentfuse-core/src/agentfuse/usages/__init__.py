"""What an answer billed, read from any provider's JSON: one report, whoever answered."""

from __future__ import annotations

from agentfuse.usages.plain import plain_body
from agentfuse.usages.shapes import report_of, told_report
from agentfuse.usages.streams import stream_usage

__all__ = ["plain_body", "report_of", "stream_usage", "told_report"]
