"""Anthropic's Messages API, and all who speak it, on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.providers import anthropic_requests
from agentfuse.providers.anthropic_bodies import messages_of, params_of, tools_of
from agentfuse.providers.anthropic_events import events_of_message, message_body
from agentfuse.providers.anthropic_replies import SHAPE, reply_of_message
from agentfuse.providers.anthropic_streams import body_of_events, said_in_event
from agentfuse.providers.cache_marks import marked_body, marked_tools
from agentfuse.providers.sse import frame_bytes
from agentfuse.providers.wire_json import list_of
from agentfuse.providers.wires import changes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Reply
    from agentfuse.providers.sse import Frame

_READ = frozenset({"model", "messages", "system", "tools", "stream", "max_tokens"})


class MessagesWire:
    """POST /v1/messages."""

    path = "/v1/messages"
    shape = SHAPE
    provider = "anthropic"

    def request_of(self, body: Mapping[str, Json], provider: str, base_url: str) -> Request | None:
        """Read a Messages body so that the same question to ``completion()`` has the same key."""
        model, limit = body.get("model"), body.get("max_tokens")
        if not isinstance(model, str) or not isinstance(limit, int):
            return None
        return Request(
            provider=provider,
            model=model,
            messages=messages_of(body),
            api="anthropic.messages",
            max_output_tokens=limit,
            tools=tools_of(body),
            params=params_of(body, _READ) or NOTHING,
            stream=body.get("stream") is True,
            base_url=base_url,
        )

    def body_sent(
        self, body: Mapping[str, Json], asked: Request, handed: Request
    ) -> Mapping[str, Json]:
        """Write what the policy changed."""
        changes = changes_of(body, asked, handed, ("max_tokens",))
        if handed.messages != asked.messages:
            written = anthropic_requests.body_of(handed)
            changes |= {word: written[word] for word in ("messages", "system") if word in written}
            if "tools" in body:
                changes["tools"] = marked_tools(list_of(body["tools"]), handed.caching)
            return {**body, **changes}
        return marked_body({**body, **changes} if changes else body, handed.caching)

    def reply_of(self, body: Mapping[str, Json], asked: Request, raw: str = "") -> Reply:
        """Read a Message."""
        return reply_of_message(body, provider="anthropic", model=asked.model, raw=raw)

    def body_of(self, reply: Reply, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Write any reply as a Message."""
        del body
        return message_body(reply)

    def said_in(self, event: Mapping[str, Json]) -> str:
        """Give the words, thinking, names and arguments of an event."""
        return said_in_event(event)

    def shown(self, frame: Frame, asked: Request) -> bytes:
        """Give an event as it came."""
        del asked
        return frame.raw

    def joined(self, events: Iterator[Mapping[str, Json]]) -> Mapping[str, Json]:
        """Join events."""
        return body_of_events(events)

    def frames_of(self, body: Mapping[str, Json], asked: Request) -> Iterator[bytes]:
        """Cut a Message into events."""
        del asked
        return (frame_bytes(event, event["type"]) for event in events_of_message(body))
