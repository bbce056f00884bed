"""APIs that count a request and answer nothing: Anthropic's count_tokens, Gemini's countTokens.

Shapes: docs.anthropic.com/en/api/messages-count-tokens and ai.google.dev/api/tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.anthropic_messages import AnthropicMessages
from agentfuse.testing.upstream.anthropic_rules import message_problems
from agentfuse.testing.upstream.counting import MEDIA_TOKENS
from agentfuse.testing.upstream.problems import Problem, anthropic_error, anthropic_fault
from agentfuse.testing.upstream.said import compact, list_in, object_in
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.said import Json

COUNTING = frozenset({"anthropic.count_tokens", "google.countTokens"})
"""The APIs that only count; nothing is billed."""

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class AnthropicCounts:
    """POST /v1/messages/count_tokens: what a message with the same body is billed as input."""

    api = "anthropic.count_tokens"

    def __init__(self) -> None:
        self._messages = AnthropicMessages()

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Take x-api-key, or the bearer token of an OAuth client."""
        return self._messages.key_of(headers)

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Give the first thing Anthropic would refuse; here nobody sets a maximum."""
        for name in ("max_tokens", "stream", "temperature"):
            if name in body:
                return Problem(400, f"{name}: Extra inputs are not permitted")
        return next(message_problems({**body, "max_tokens": 1}, headers), None)

    def counted(self, model: str, body: Mapping[str, Json]) -> Json:
        """Count as the bill will."""
        asked = self._messages.asked_of({**body, "model": model, "max_tokens": 1})
        return {"input_tokens": self._messages.prompt_of(asked).tokens}

    def fault_of(self, status: int) -> Problem:
        """Give Anthropic's words for a failing status."""
        return anthropic_fault(status)

    def unauthorised(self, key: str) -> Problem:
        """Refuse an API key."""
        return self._messages.unauthorised(key)

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that does not exist."""
        return self._messages.unknown_model(model)

    def error_of(self, problem: Problem, request_id: str) -> Json:
        """Write a refusal's body."""
        return anthropic_error(problem, request_id)


class GeminiCounts:
    """POST /v1beta/models/NAME:countTokens, with contents or a whole generateContentRequest."""

    api = "google.countTokens"

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Take x-goog-api-key."""
        return headers.get("x-goog-api-key", "")

    def problem_of(self, body: Mapping[str, Json], headers: Mapping[str, str]) -> Problem | None:
        """Refuse a request without contents."""
        del headers
        if not list_in(_asked(body).get("contents")):
            return Problem(400, "* CountTokensRequest.contents: contents is not specified")
        return None

    def counted(self, model: str, body: Mapping[str, Json]) -> Json:
        """Count the words of contents, instructions and tools, and one for each turn."""
        asked = _asked(body)
        contents = [object_in(each) for each in list_in(asked.get("contents"))]
        turns = [*contents, object_in(asked.get("systemInstruction"))]
        parts = [object_in(part) for turn in turns for part in list_in(turn.get("parts"))]
        total = len(contents) + sum(_part_tokens(part, model) for part in parts)
        for tool in list_in(asked.get("tools")):
            total += count_text(compact(tool), model)
        return {"totalTokens": total, "promptTokensDetails": list(_details(total))}

    def fault_of(self, status: int) -> Problem:
        """Give a failing status a text."""
        return Problem(status, f"The request failed with status {status}.")

    def unauthorised(self, key: str) -> Problem:
        """Refuse an API key."""
        text = "API key not valid. Please pass a valid API key."
        return Problem(400 if key else 403, text)

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that does not exist."""
        return Problem(404, f"models/{model} is not found for API version v1beta")

    def error_of(self, problem: Problem, request_id: str) -> Json:
        """Write a refusal's body."""
        del request_id
        status = _STATUSES.get(problem.status, "UNKNOWN")
        return {"error": {"code": problem.status, "message": problem.message, "status": status}}


def _asked(body: Mapping[str, Json]) -> Mapping[str, Json]:
    return object_in(body.get("generateContentRequest")) or body


def _part_tokens(part: Mapping[str, Json], model: str) -> int:
    if isinstance(part.get("text"), str):
        return count_text(part["text"], model)
    if "inlineData" in part or "fileData" in part:
        return MEDIA_TOKENS
    return count_text(compact(part), model)


def _details(total: int) -> Iterator[dict[str, Json]]:
    yield {"modality": "TEXT", "tokenCount": total}
