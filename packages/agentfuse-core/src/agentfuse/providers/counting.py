"""Count APIs of providers: each asks over the network how many tokens a request is, for nothing.

They are never used unless given, as ``Fuse(counters=[AnthropicCounter(client)])``. Then each
budgeted call is preceded by one that counts, so they carry a short time limit; the awaited wiring
has them on a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.providers.anthropic_requests import body_of
from agentfuse.providers.gemini_requests import body_of as gemini_body_of
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.tokens import TokenEstimate

TIMEOUT = 2.0
"""Seconds that a count may take before the rules count instead."""

# Both providers call their counts estimates, off by a small amount:
# https://docs.anthropic.com/en/docs/build-with-claude/token-counting
_FACTOR, _CUSHION = 1020, 16

# What messages.count_tokens takes (https://docs.anthropic.com/en/api/messages-count-tokens)
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
_COUNTED_BESIDE = ("mcp_servers", "cache_control")


class AnthropicCounter:
    """Counts requests to Anthropic with its ``messages.count_tokens``.

    ``client`` is a blocking ``anthropic.Anthropic``; a count takes ``timeout`` seconds at most and
    is not tried again. Requests to other providers are none of its business, Claude's on Bedrock
    and Vertex included. Raises the SDK's errors, which a fuse tells once.
    """

    def __init__(self, client: Any, *, timeout: float = TIMEOUT) -> None:
        self._client = client.with_options(timeout=timeout, max_retries=0)

    def count(self, request: Request) -> TokenEstimate | None:
        """Ask how many input tokens a request is."""
        if request.provider != "anthropic":
            return None
        body = body_of(request)
        asked = {name: body[name] for name in _COUNTED if name in body}
        beside = {name: body[name] for name in _COUNTED_BESIDE if name in body}
        found = self._client.messages.count_tokens(**asked, extra_body=beside or None)
        return _estimate_of(found.input_tokens)


class GeminiCounter:
    """Counts requests to Gemini with its ``models.count_tokens``.

    ``client`` is a ``google.genai.Client``, for the Developer API or for Vertex AI; a count takes
    ``timeout`` seconds at most. Tools and instructions are counted with the messages. Raises the
    SDK's errors, which a fuse tells once.
    """

    def __init__(self, client: Any, *, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._timeout = round(timeout * 1000)

    def count(self, request: Request) -> TokenEstimate | None:
        """Ask how many input tokens a request is."""
        model = bare(request.model)
        if not model.startswith("gemini-"):
            return None
        body = gemini_body_of(request)
        if body is None:
            return None
        contents = body.pop("contents")
        if not self._client.vertexai:
            # The SDK hands the Developer API nothing but contents; the API itself takes a request.
            body = {
                "generateContentRequest": {"model": f"models/{model}", "contents": contents, **body}
            }
        options = {"timeout": self._timeout, "extra_body": body}
        found = self._client.models.count_tokens(
            model=model, contents=contents, config={"http_options": options}
        )
        return _estimate_of(found.total_tokens or 0)


def _estimate_of(tokens: int) -> TokenEstimate:
    return estimate_of(tokens, factor=_FACTOR, cushion=_CUSHION, method="provider")
