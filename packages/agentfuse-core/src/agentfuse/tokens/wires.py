"""Bodies as they go over the wire, read into the one shape that the rules count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from agentfuse.messages import Request
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.wire_anthropic import anthropic_messages
from agentfuse.tokens.wire_bedrock import bedrock_messages, bedrock_params, bedrock_tools
from agentfuse.tokens.wire_google import google_messages, google_params, google_tools
from agentfuse.tokens.wire_openai import chat_messages, cohere_messages, responses_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentfuse.messages import Message

Api = Literal[
    "chat.completions",
    "responses",
    "anthropic.messages",
    "anthropic.count_tokens",
    "google.generateContent",
    "google.countTokens",
    "bedrock.converse",
    "bedrock.invoke",
    "cohere.chat",
    "embeddings",
]

_CONTENTS = {"messages", "input", "instructions", "system", "tools", "model"}

_MESSAGES: dict[str, Callable[[Mapping[str, Any]], list[Message]]] = {
    "responses": responses_messages,
    "anthropic.messages": anthropic_messages,
    "anthropic.count_tokens": anthropic_messages,
    "google.generateContent": google_messages,
    "google.countTokens": google_messages,
    "bedrock.converse": bedrock_messages,
    "bedrock.invoke": anthropic_messages,
    "cohere.chat": cohere_messages,
}


def request_of(body: Mapping[str, Any], model: str, api: str, provider: str = "") -> Request:
    """Read a wire body in the dialect ``api`` names; an unknown dialect is read as chat."""
    return Request(
        provider=provider,
        model=model or str(body.get("model") or ""),
        messages=tuple(_MESSAGES.get(api, chat_messages)(body)),
        api=api,
        tools=tuple(_tools_of(body, api)),
        params=_params_of(body, api),
    )


def _tools_of(body: Mapping[str, Any], api: str) -> list[Mapping[str, Any]]:
    if api.startswith("google."):
        return google_tools(object_of(body.get("generateContentRequest")) or body)
    if api == "bedrock.converse":
        return bedrock_tools(body)
    return [object_of(tool) for tool in items_of(body.get("tools"))]


def _params_of(body: Mapping[str, Any], api: str) -> dict[str, Any]:
    if api.startswith("google."):
        return google_params(object_of(body.get("generateContentRequest")) or body)
    if api == "bedrock.converse":
        return bedrock_params(body)
    return {key: value for key, value in body.items() if key not in _CONTENTS}
