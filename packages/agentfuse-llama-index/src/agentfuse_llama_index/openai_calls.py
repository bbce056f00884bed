"""One call of ``chat.completions.create``: read in neutral words, and sent as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Reply
from agentfuse.model_copies import fresh
from agentfuse.providers.chat_replies import SHAPE, completion_of
from agentfuse.providers.chat_requests import message_body, request_of
from agentfuse.providers.directory import provider_of
from agentfuse.providers.names import Target
from agentfuse.providers.openai_chat import OpenAIChat, wants_usage
from agentfuse.providers.reach import require_reach
from agentfuse_llama_index.clients import TRAVEL, header_params, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from agentfuse.messages import Request

_LIMIT_WORDS = ("max_tokens", "max_completion_tokens")
# How many answers stay read, and how long the longest is: some megabytes at the most.
_MOST, _LONGEST = 256, 32_768


@lru_cache(maxsize=_MOST)
def _completion_of(raw: str) -> ChatCompletion:
    """Read an answer, once: nobody is given this very object."""
    return completion_of(Reply(choices=(), shape=SHAPE, raw=raw))


class ChatCodec(OpenAIChat):
    """Does as ``completion()``'s, for a caller that writes into the chunks it gets."""

    def result_of(self, reply: Reply) -> ChatCompletion:
        """Make a fresh ChatCompletion of any reply, from one that was read before."""
        if self._hit is not None or reply.shape != SHAPE or len(reply.raw) > _LONGEST:
            return super().result_of(reply)
        return fresh(_completion_of(reply.raw))

    def shown(self, chunk: ChatCompletionChunk) -> tuple[ChatCompletionChunk, ...]:
        """Give a copy where LlamaIndex joins a call's arguments (its ``update_tool_calls``)."""
        calls = any(getattr(each.delta, "tool_calls", None) for each in chunk.choices)
        return super().shown(chunk.model_copy(deep=True) if calls else chunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One call: what is asked, and the arguments it was asked in.

    ``reasons`` says of a model that OpenAI counts it as a reasoning one, as the user's LLM class
    does: such a model takes another word for its output limit and no temperature but 1.
    """

    request: Request
    given: Mapping[str, Any]
    reasons: Callable[[str], bool]

    @property
    def codec(self) -> ChatCodec:
        """Reads and makes ChatCompletion; usage that only our books ask for stays hidden."""
        asked = wants_usage(self.given)
        return ChatCodec(self.request.provider, self.request.model, include_usage=asked)

    def words_for(self, request: Request) -> dict[str, Any]:
        """Give the arguments: as they were, but for what the policy changed and for usage."""
        require_reach(self.request, request, "this OpenAI LLM")
        words = dict(self.given)
        row = provider_of(request.provider)
        if request.stream and row.usage_option:
            words["stream_options"] = {**(words.get("stream_options") or {}), "include_usage": True}
        if request.messages is not self.request.messages:
            plain = row.id in {"openai", "azure"}
            words["messages"] = [message_body(each, plain=plain) for each in request.messages]
        if request.model != self.request.model:
            self._address(words, request.model)
        if request.max_output_tokens != self.request.max_output_tokens:
            self._limit(words, request)
        if request.caching is not None and request.caching.key:
            words["prompt_cache_key"] = request.caching.key
        return words

    def _address(self, words: dict[str, Any], model: str) -> None:
        """Ask another model, in the words that one takes."""
        words["model"] = model
        if not self.reasons(model):
            return
        words.pop("temperature", None)
        limit = words.pop("max_tokens", None)
        if limit is not None:
            words["max_completion_tokens"] = limit

    def _limit(self, words: dict[str, Any], request: Request) -> None:
        """Cap the output by the word in use, or else by the one the model takes."""
        used = next((word for word in _LIMIT_WORDS if words.get(word) is not None), None)
        newer = self.reasons(request.model)
        word = used or ("max_completion_tokens" if newer else "max_tokens")
        words[word] = request.max_output_tokens


def chat_calls_of(
    client: Any, reasons: Callable[[str], bool]
) -> Callable[[Mapping[str, Any]], ChatCall]:
    """Give what reads the calls of one client."""
    provider, base_url = place_of(client, "openai")

    def read(given: Mapping[str, Any]) -> ChatCall:
        body = {k: v for k, v in given.items() if v is not None and k not in TRAVEL}
        body |= {**(given.get("extra_body") or {}), **header_params(client, given)}
        target = Target(provider=provider, model=str(given["model"]), api="openai.chat")
        streamed = bool(given.get("stream"))
        request = request_of(target, body, stream=streamed, base_url=base_url)
        return ChatCall(request=request, given=given, reasons=reasons)

    return read
