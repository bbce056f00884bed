"""A request that a vendor refuses, and the bodies its refusals come in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.testing.upstream.said import Json

_SERVER_ERROR = 500
_REASONING = re.compile(r"^(o\d|gpt-[5-9])")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is refused; ``param`` and ``code`` are OpenAI's."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


def openai_error(problem: Problem) -> Json:
    """Write a problem as OpenAI does (platform.openai.com/docs/guides/error-codes)."""
    return {
        "error": {
            "message": problem.message,
            "type": problem.kind,
            "param": problem.param,
            "code": problem.code,
        }
    }


def anthropic_error(problem: Problem, request_id: str) -> Json:
    """Write a problem as Anthropic does (docs.anthropic.com/en/api/errors)."""
    error = {"type": problem.kind, "message": problem.message}
    return {"type": "error", "error": error, "request_id": request_id}


def openai_fault(status: int) -> Problem:
    """Give OpenAI's words for a failing status."""
    match status:
        case 429:
            text = "Rate limit reached for requests. Please try again later."
            return Problem(429, text, "requests", None, "rate_limit_exceeded")
        case 503:
            text = "The engine is currently overloaded, please try again later"
            return Problem(503, text, "server_error", None, "engine_overloaded")
        case _ if status >= _SERVER_ERROR:
            text = "The server had an error while processing your request. Sorry about that!"
            return Problem(status, text, "server_error")
        case _:
            return Problem(status, f"The request failed with status {status}.")


_ANTHROPIC_FAULTS = {
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use this resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


def anthropic_fault(status: int) -> Problem:
    """Give Anthropic's words for a failing status."""
    failed = "api_error" if status >= _SERVER_ERROR else "invalid_request_error"
    other = (failed, f"The request failed with status {status}.")
    kind, text = _ANTHROPIC_FAULTS.get(status, other)
    return Problem(status, text, kind)


def reasons(model: str) -> bool:
    """Tell whether OpenAI lists a model as a reasoning model (o-series, gpt-5 and later)."""
    return bool(_REASONING.match(model)) and "-chat" not in model
