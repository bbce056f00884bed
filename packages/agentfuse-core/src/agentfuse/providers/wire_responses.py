"""OpenAI's Responses API on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.providers.responses_bodies import items_of, messages_of, params_of, tools_of
from agentfuse.providers.responses_events import (
    body_of_events,
    events_of_response,
    said_in_event,
)
from agentfuse.providers.responses_replies import SHAPE, reply_of_response, response_body
from agentfuse.providers.sse import frame_bytes
from agentfuse.providers.wires import changes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json, Reply
    from agentfuse.providers.sse import Frame

_READ = frozenset({"model", "input", "instructions", "tools", "stream", "max_output_tokens"})


class ResponsesWire:
    """POST /responses."""

    path = "/responses"
    shape = SHAPE
    provider = "openai"

    def request_of(self, body: Mapping[str, Json], provider: str, base_url: str) -> Request | None:
        """Read a Responses body; the same plain question to ``completion()`` has the same key."""
        model = body.get("model")
        if not isinstance(model, str):
            return None
        return Request(
            provider=provider,
            model=model,
            messages=messages_of(body),
            api="responses",
            max_output_tokens=body.get("max_output_tokens"),
            tools=tools_of(body),
            params=params_of(body, _READ) or NOTHING,
            stream=body.get("stream") is True,
            base_url=base_url,
        )

    def body_sent(
        self, body: Mapping[str, Json], asked: Request, handed: Request
    ) -> Mapping[str, Json]:
        """Write what the policy changed; instructions then stand among the items."""
        changes = changes_of(body, asked, handed, ("max_output_tokens",))
        if handed.messages != asked.messages:
            changes |= {"input": items_of(handed.messages), "instructions": None}
        return {**body, **changes} if changes else body

    def reply_of(self, body: Mapping[str, Json], asked: Request, raw: str = "") -> Reply:
        """Read a response."""
        return reply_of_response(body, provider=asked.provider, model=asked.model, raw=raw)

    def body_of(self, reply: Reply, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Write any reply as the response to a body."""
        return response_body(reply, body)

    def said_in(self, event: Mapping[str, Json]) -> str:
        """Give the words, reasoning, names and arguments of an event."""
        return said_in_event(event)

    def shown(self, frame: Frame, asked: Request) -> bytes:
        """Give an event as it came."""
        del asked
        return frame.raw

    def joined(self, events: Iterator[Mapping[str, Json]]) -> Mapping[str, Json]:
        """Join events."""
        return body_of_events(events)

    def frames_of(self, body: Mapping[str, Json], asked: Request) -> Iterator[bytes]:
        """Cut a response into events."""
        del asked
        return (frame_bytes(event, event["type"]) for event in events_of_response(body))
