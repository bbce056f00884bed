"""OpenAI's embeddings: texts or tokens read, vectors written that hang on the text alone.

Shapes: platform.openai.com/docs/api-reference/embeddings.
"""

from __future__ import annotations

import base64
import struct
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING

from agentfuse.testing.upstream.counting import Block, Prompt
from agentfuse.testing.upstream.openai_words import OpenAIWords
from agentfuse.testing.upstream.problems import Problem
from agentfuse.testing.upstream.said import Asked, Turn, compact, list_in
from agentfuse.tokens import count_text
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.counting import PromptMemory
    from agentfuse.testing.upstream.said import Answer, Event, Json

_DIMENSIONS = 1536  # text-embedding-3-small's


class Embeddings(OpenAIWords):
    """POST /v1/embeddings; its answers have no choices, hence cost no output."""

    api = "embeddings"

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Refuse an empty input, as OpenAI does."""
        del headers
        if body.get("input"):
            return None
        return Problem(400, "'$.input' is invalid.", param="input")

    def asked_of(self, body: Mapping[str, Json]) -> Asked:
        """Parse a request; what is embedded is its one turn."""
        text = " ".join(str(each) for each in _inputs_of(body))
        return Asked(
            api=self.api,
            model=body["model"],
            body=body,
            messages=(),
            turns=(Turn("user", text),),
            n=0,
        )

    def prompt_of(self, asked: Asked) -> Prompt:
        """Count the texts and nothing around them."""
        counts = [_tokens_in(each, asked.model) for each in _inputs_of(asked.body)]
        return Prompt((Block(asked.text, sum(counts)),), overhead=0)

    def prompt_billed(self, memory: PromptMemory, key: str, prompt: Prompt) -> Usage:
        """Bill all of it: nothing is cached."""
        del memory, key
        return Usage(input_tokens=prompt.tokens)

    def usage_of(self, answer: Answer) -> dict[str, Json]:
        """Write the usage."""
        tokens = answer.billed.input_tokens
        return {"prompt_tokens": tokens, "total_tokens": tokens, **answer.override}

    def reply_of(self, asked: Asked, answer: Answer) -> Json:
        """Write the vectors, as numbers or in base64."""
        body = asked.body
        data = [
            {"object": "embedding", "index": index, "embedding": _vector_of(each, body)}
            for index, each in enumerate(_inputs_of(body))
        ]
        usage = self.usage_of(answer)
        return {"object": "list", "data": data, "model": asked.model, "usage": usage}

    def events_of(self, asked: Asked, answer: Answer) -> Iterator[Event]:
        """Write no events: embeddings are not streamed."""
        del asked, answer
        return iter(())

    def finish_of(self, answer: Answer) -> str:
        """Name no reason: nothing was said that could end."""
        del answer
        return ""


def _inputs_of(body: Mapping[str, Json]) -> list[Json]:
    """Give what is embedded one by one: a text or token list alone is one input."""
    given = body["input"]
    if isinstance(given, str) or all(isinstance(each, int) for each in given):
        return [given]
    return list_in(given)


def _tokens_in(given: Json, model: str) -> int:
    return count_text(given, model) if isinstance(given, str) else len(given)


def _vector_of(given: Json, body: Mapping[str, Json]) -> Json:
    seed = blake2b(compact(given).encode(errors="replace"), digest_size=8).digest()
    draw = Random(seed)  # noqa: S311 - made up, not secret
    size = body.get("dimensions") or _DIMENSIONS
    numbers = struct.pack(f"<{size}f", *(draw.uniform(-1, 1) for _ in range(size)))
    if body.get("encoding_format") == "base64":
        return base64.b64encode(numbers).decode()
    return list(struct.unpack(f"<{size}f", numbers))
