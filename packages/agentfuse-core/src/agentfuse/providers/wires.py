"""The APIs whose calls can be metered on the wire, as bytes: what each asks, answers and streams.

Nothing here sends anything. A ``Wire`` knows one API's bodies; a ``WireCodec`` serves one call.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agentfuse.messages import Delta
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.messages import Json, Reply, Request
    from agentfuse.providers.sse import Frame


class Wire(Protocol):
    """One API: its bodies in our words, and ours in its."""

    @property
    def path(self) -> str:
        """What its addresses end with."""
        ...

    @property
    def shape(self) -> str:
        """The shape of replies that are kept in its own words."""
        ...

    @property
    def provider(self) -> str:
        """Who is asked where the host belongs to nobody known."""
        ...

    def request_of(self, body: Mapping[str, Json], provider: str, base_url: str) -> Request | None:
        """Read what is asked; None for a body that the provider will refuse unbilled."""
        ...

    def body_sent(
        self, body: Mapping[str, Json], asked: Request, handed: Request
    ) -> Mapping[str, Json]:
        """Write what the policy hands over: the same body where nothing differs."""
        ...

    def reply_of(self, body: Mapping[str, Json], asked: Request, raw: str = "") -> Reply:
        """Read an answer's body; ``raw`` is its text."""
        ...

    def body_of(self, reply: Reply, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Write any reply as the answer to what ``body`` asked."""
        ...

    def said_in(self, event: Mapping[str, Json]) -> str:
        """Give the text of a stream's event that is billed as output."""
        ...

    def shown(self, frame: Frame, asked: Request) -> bytes:
        """Give the caller a live event as it came, without what only we asked for."""
        ...

    def joined(self, events: Iterator[Mapping[str, Json]]) -> Mapping[str, Json]:
        """Join a stream's events, whole or cut, into an answer's body."""
        ...

    def frames_of(self, body: Mapping[str, Json], asked: Request) -> Iterator[bytes]:
        """Cut an answer's body into the frames of a true stream."""
        ...


@dataclass(frozen=True, slots=True)
class WireCodec:
    """Bytes off the wire and to the caller; ``body`` is what was asked, as it was written."""

    wire: Wire
    body: Mapping[str, Json]
    asked: Request

    def reply_of(self, result: bytes) -> Reply:
        """Read a whole answer; raises ValueError for what is no JSON."""
        text = result.decode("utf-8", "surrogatepass")
        return self.wire.reply_of(object_of(json.loads(text)), self.asked, text)

    def answer_of(self, result: bytes) -> bytes:
        """Give what came off the wire, as it is."""
        return result

    def result_of(self, reply: Reply) -> bytes:
        """Write any reply as a whole answer; one of the wire's own shape as it was."""
        if reply.shape == self.wire.shape:
            with suppress(UnicodeEncodeError):  # half of a surrogate pair has no bytes of its own
                return reply.raw.encode()
        return json.dumps(self.wire.body_of(reply, self.body), separators=(",", ":")).encode()

    def delta_of(self, chunk: Frame) -> Delta:
        """Read what an event adds to the billed output."""
        return Delta(self.wire.said_in(chunk.event))

    def shown(self, chunk: Frame) -> tuple[bytes, ...]:
        """Give what the caller sees of a live event."""
        raw = self.wire.shown(chunk, self.asked)
        return (raw,) if raw else ()

    def joined(self, chunks: Sequence[Frame]) -> Reply:
        """Read the events of a stream, whole or cut, as one answer."""
        body = self.wire.joined(chunk.event for chunk in chunks if chunk.event)
        return self.wire.reply_of(body, self.asked)

    def chunks_of(self, reply: Reply) -> Iterator[bytes]:
        """Replay a reply as the frames of a true stream."""
        return self.wire.frames_of(self.wire.body_of(reply, self.body), self.asked)


def changes_of(
    body: Mapping[str, Json], asked: Request, handed: Request, limit_words: Sequence[str]
) -> dict[str, Json]:
    """Give the fields for a model, an output maximum and a cache key that the policy has changed.

    The maximum goes under the first of ``limit_words`` that the body has, or else the first.
    """
    changes: dict[str, Json] = {}
    if handed.model != asked.model:
        changes["model"] = handed.model
    if handed.max_output_tokens != asked.max_output_tokens:
        word = next((word for word in limit_words if word in body), limit_words[0])
        changes[word] = handed.max_output_tokens
    if handed.caching is not None and handed.caching.key:
        changes["prompt_cache_key"] = handed.caching.key
    return changes
