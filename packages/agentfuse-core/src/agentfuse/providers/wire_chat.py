"""OpenAI's Chat Completions, and all who speak it, on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.providers.chat_replies import SHAPE, completion_body, reply_of_body
from agentfuse.providers.chat_requests import message_body, request_of
from agentfuse.providers.chat_streams import body_of_chunks, chunk_bodies_of, said_in_chunk
from agentfuse.providers.directory import provider_of
from agentfuse.providers.names import Target
from agentfuse.providers.openai_chat import wants_usage
from agentfuse.providers.sse import DONE, frame_bytes
from agentfuse.providers.wire_json import object_of
from agentfuse.providers.wires import changes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Reply, Request
    from agentfuse.providers.sse import Frame

# With include_usage every chunk but the last says that it has none. Inside a JSON text quotes are
# escaped, so these bytes are never part of what the model said.
_NO_USAGE = (b',"usage":null', b', "usage": null')
_LIMIT_WORDS = ("max_completion_tokens", "max_tokens")


class ChatWire:
    """POST /chat/completions."""

    path = "/chat/completions"
    shape = SHAPE
    provider = "openai"

    def request_of(self, body: Mapping[str, Json], provider: str, base_url: str) -> Request | None:
        """Read a chat body as ``completion()`` reads its arguments."""
        model = body.get("model")
        if not isinstance(model, str) or not isinstance(body.get("messages"), list):
            return None
        target = Target(provider=provider, model=model, api="openai.chat")
        return request_of(target, body, stream=body.get("stream") is True, base_url=base_url)

    def body_sent(
        self, body: Mapping[str, Json], asked: Request, handed: Request
    ) -> Mapping[str, Json]:
        """Write what the policy changed, and ask a stream for its usage."""
        words = (provider_of(asked.provider).limit_word, *_LIMIT_WORDS)
        changes = changes_of(body, asked, handed, words)
        if handed.messages != asked.messages:
            plain = asked.provider in {"openai", "azure"}
            changes["messages"] = [message_body(each, plain=plain) for each in handed.messages]
        if _forces_usage(asked):
            given = object_of(body.get("stream_options"))
            changes["stream_options"] = {**given, "include_usage": True}
        return {**body, **changes} if changes else body

    def reply_of(self, body: Mapping[str, Json], asked: Request, raw: str = "") -> Reply:
        """Read a ChatCompletion."""
        return reply_of_body(body, provider=asked.provider, model=asked.model, raw=raw)

    def body_of(self, reply: Reply, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Write any reply as a ChatCompletion."""
        del body
        return completion_body(reply)

    def said_in(self, event: Mapping[str, Json]) -> str:
        """Give the words, reasoning, names and arguments of a chunk."""
        return said_in_chunk(event)

    def shown(self, frame: Frame, asked: Request) -> bytes:
        """Give a chunk without the usage that only we asked for, and nothing where that is all."""
        if "usage" not in frame.event or not _forces_usage(asked):
            return frame.raw
        if frame.event["usage"] is None:
            return _without_null(frame.raw)
        return frame.raw if frame.event.get("choices") else b""

    def joined(self, events: Iterator[Mapping[str, Json]]) -> Mapping[str, Json]:
        """Join chunks."""
        return body_of_chunks(events)

    def frames_of(self, body: Mapping[str, Json], asked: Request) -> Iterator[bytes]:
        """Cut a ChatCompletion into chunks."""
        for chunk in chunk_bodies_of(body, include_usage=wants_usage(asked.params)):
            yield frame_bytes(chunk)
        yield DONE


def _forces_usage(asked: Request) -> bool:
    """Say whether a stream is asked for its usage although its caller does not want it."""
    option = provider_of(asked.provider).usage_option
    return asked.stream and option and not wants_usage(asked.params)


def _without_null(raw: bytes) -> bytes:
    for written in _NO_USAGE:
        if written in raw:
            return raw.replace(written, b"", 1)
    return raw
