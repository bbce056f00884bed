"""One call of ``messages.create``: read in neutral words, and sent as it was written."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.providers import anthropic_requests
from agentfuse.providers.reach import require_reach
from agentfuse.providers.wire_json import object_of
from agentfuse_llama_index.anthropic_answers import MessageCodec, ParsedCodec
from agentfuse_llama_index.anthropic_words import messages_of, params_of, tools_of
from agentfuse_llama_index.clients import TRAVEL, header_params, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The SDK's arguments that are no parameters of the question.
_NOT_PARAMS = frozenset({"model", "max_tokens", "messages", "system", "tools", "stream"}) | TRAVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCall:
    """One call: what is asked, and the arguments it was asked in."""

    request: Request
    given: Mapping[str, Any]
    codec: Any

    def words_for(self, request: Request) -> dict[str, Any]:
        """Give the arguments: as they were, but for what the policy changed."""
        require_reach(self.request, request, "this Anthropic LLM")
        words = dict(self.given)
        if request.model != self.request.model:
            words["model"] = request.model
        if request.max_output_tokens != self.request.max_output_tokens:
            words["max_tokens"] = request.max_output_tokens
        if request.messages is not self.request.messages:
            body = anthropic_requests.body_of(request)
            words["messages"] = body["messages"]
            words["system"] = body.get("system", words.get("system"))
        return words


def message_calls_of(client: Any) -> Callable[[Mapping[str, Any]], MessageCall]:
    """Give what reads one client's calls of ``messages.create``."""
    reads = _reader(client)

    def read(given: Mapping[str, Any]) -> MessageCall:
        request = reads(given)
        codec = MessageCodec(request.provider, request.model)
        return MessageCall(request=request, given=given, codec=codec)

    return read


def parse_calls_of(client: Any) -> Callable[[Mapping[str, Any]], MessageCall]:
    """Give what reads one client's calls of ``beta.messages.parse``: answers in a user's class."""
    reads = _reader(client)

    def read(given: Mapping[str, Any]) -> MessageCall:
        kind = given["output_format"]
        request = reads({**given, "output_format": TypeAdapter(kind).json_schema()})
        codec = ParsedCodec(request.provider, request.model, kind)
        return MessageCall(request=request, given=given, codec=codec)

    return read


def _usual_limit() -> int | None:
    """Give what LlamaIndex fills in where the user set no maximum, since the API wants one."""
    anthropic = sys.modules.get("llama_index.llms.anthropic.base")
    return getattr(anthropic, "DEFAULT_ANTHROPIC_MAX_TOKENS", None)


def _reader(client: Any) -> Callable[[Mapping[str, Any]], Request]:
    provider, base_url = place_of(client, "anthropic")

    def read(given: Mapping[str, Any]) -> Request:
        rest = {name: value for name, value in given.items() if name not in _NOT_PARAMS}
        limit = given.get("max_tokens")
        beside = {**object_of(given.get("extra_body")), **header_params(client, given)}
        return Request(
            provider=provider,
            model=str(given["model"]),
            messages=messages_of(given.get("system"), given["messages"]),
            max_output_tokens=None if limit == _usual_limit() else limit,
            output_ceiling=limit,
            tools=tools_of(given.get("tools") or ()),
            params=params_of({**rest, **beside}) or NOTHING,
            stream=bool(given.get("stream")),
            base_url=base_url,
        )

    return read
