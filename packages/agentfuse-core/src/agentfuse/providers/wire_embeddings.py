"""OpenAI's embeddings, and all who speak them, on the wire: text in, vectors out, no words.

Source: https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.messages import Choice, Other, Reply, Request
from agentfuse.providers.wire_json import list_of
from agentfuse.providers.wires import changes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Json
    from agentfuse.providers.sse import Frame

SHAPE = "openai.embeddings"


class EmbeddingsWire:
    """POST /embeddings."""

    path = "/embeddings"
    shape = SHAPE
    provider = "openai"

    def request_of(self, body: Mapping[str, Json], provider: str, base_url: str) -> Request | None:
        """Read what is embedded: a text, tokens, or a list of either, all of it in ``params``."""
        model = body.get("model")
        if not isinstance(model, str):
            return None
        return Request(
            provider=provider,
            model=model,
            messages=(),
            api="embeddings",
            max_output_tokens=0,
            params={word: value for word, value in body.items() if word != "model"},
            base_url=base_url,
        )

    def body_sent(
        self, body: Mapping[str, Json], asked: Request, handed: Request
    ) -> Mapping[str, Json]:
        """Write what the policy changed."""
        changes = changes_of(body, asked, handed, ("max_output_tokens",))
        return {**body, **changes} if changes else body

    def reply_of(self, body: Mapping[str, Json], asked: Request, raw: str = "") -> Reply:
        """Read a list of vectors; they stay in ``raw``."""
        from agentfuse.usages import report_of

        vectors = list_of(body.get("data"))
        part = Other({"type": "embeddings", "count": len(vectors)})
        choice = Choice(parts=(part,), finish_reason="stop" if vectors else "")
        return Reply(
            choices=(choice,),
            report=report_of(body, provider=asked.provider, model=asked.model, api="embeddings"),
            model=str(body.get("model") or asked.model),
            shape=SHAPE,
            raw=raw or json.dumps(body),
        )

    def body_of(self, reply: Reply, body: Mapping[str, Json]) -> Mapping[str, Json]:
        """Give the vectors again; raises ConfigurationError for what holds none."""
        if reply.shape != SHAPE:
            raise ConfigurationError(
                f"a remembered answer of shape {reply.shape!r} holds no vectors for"
                f" {body.get('model')!r}"
            )
        kept: dict[str, Json] = json.loads(reply.raw)
        return kept

    def said_in(self, event: Mapping[str, Json]) -> str:
        """Say nothing: vectors are no words."""
        del event
        return ""

    def shown(self, frame: Frame, asked: Request) -> bytes:
        """Give an event as it came, should there ever be one."""
        del asked
        return frame.raw

    def joined(self, events: Iterator[Mapping[str, Json]]) -> Mapping[str, Json]:
        """Give the last event, should there ever be one."""
        body: Mapping[str, Json] = {}
        for event in events:
            body = event
        return body

    def frames_of(self, body: Mapping[str, Json], asked: Request) -> Iterator[bytes]:
        """Give nothing: embeddings are not streamed."""
        del body, asked
        return iter(())
