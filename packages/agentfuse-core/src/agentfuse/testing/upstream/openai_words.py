"""What OpenAI's two APIs share: keys, refusals, the cache's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.problems import Problem, openai_error, openai_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.testing.upstream.counting import Prompt, PromptMemory
    from agentfuse.testing.upstream.said import Json
    from agentfuse.usage import Usage

_ENDS = 8


class OpenAIWords:
    """The parts of a dialect that hold for every OpenAI API."""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """Take the bearer token; other headers are accepted as compatible servers do."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return bearer or headers.get("x-api-key", "") or headers.get("api-key", "")

    def prompt_billed(self, memory: PromptMemory, key: str, prompt: Prompt) -> Usage:
        """Bill a prompt with OpenAI's automatic cache."""
        return memory.automatic(key, prompt)

    def fault_of(self, status: int) -> Problem:
        """Give OpenAI's words for a failing status."""
        return openai_fault(status)

    def unauthorised(self, key: str) -> Problem:
        """Refuse an API key, showing its ends as OpenAI does."""
        if not key:
            return Problem(401, "You didn't provide an API key.")
        shown = f"{key[:4]}***{key[-4:]}" if len(key) > _ENDS else "***"
        text = (
            f"Incorrect API key provided: {shown}. You can find your API key at"
            " https://platform.openai.com/account/api-keys."
        )
        return Problem(401, text, code="invalid_api_key")

    def unknown_model(self, model: str) -> Problem:
        """Refuse a model that does not exist."""
        text = f"The model `{model}` does not exist or you do not have access to it."
        return Problem(404, text, code="model_not_found")

    def error_of(self, problem: Problem, request_id: str) -> Json:
        """Write a refusal; the request's id goes into a header only."""
        del request_id
        return openai_error(problem)
