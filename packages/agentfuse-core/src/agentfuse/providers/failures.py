"""What a failed call means: its kind, whether it was billed, and whether asking again can help.

Errors are read by their shape (status, headers, body, class names), so that no SDK is imported and
both generations of each SDK (over httpx and over httpx2) read alike.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentfuse.errors import AgentFuseError, ConfigurationError, ProviderFailed
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json

Kind = Literal[
    "bad_request",
    "authentication",
    "permission",
    "not_found",
    "context_overflow",
    "content_filter",
    "rate_limited",
    "quota_exhausted",
    "overloaded",
    "server_error",
    "timeout",
    "connection",
    "interrupted",
    "malformed",
    "cancelled",
    "circuit_open",
    "unsupported",
    "unknown",
]
KINDS: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]  # typing keeps them there

RETRYABLE = frozenset(
    {"rate_limited", "overloaded", "server_error", "timeout", "connection", "interrupted"}
    | {"malformed"}
)
"""Kinds for which the same question may be answered later; an empty quota is not among them."""

PERHAPS_BILLED = frozenset({"timeout", "interrupted", "malformed", "cancelled"})
"""Kinds of calls that reached the provider and may have been answered, hence billed."""

# Never left this machine, or never reached an open port: httpx's and httpx2's exception names
# (https://www.python-httpx.org/exceptions/) and the operating system's.
_NEVER_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
    | {"LocalProtocolError", "InvalidURL", "ConnectionRefusedError", "gaierror"}
)
_CUT = frozenset(
    {"ReadError", "WriteError", "CloseError", "RemoteProtocolError", "NetworkError"}
    | {"TransportError", "StreamError", "ConnectionError", "APIConnectionError", "OSError"}
)
_TIMED_OUT = frozenset({"TimeoutException", "TimeoutError", "APITimeoutError"})
_CANCELLED = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"})
_BROKEN_JSON = frozenset({"JSONDecodeError", "APIResponseValidationError", "DecodingError"})
_OWN_MISTAKES = (TypeError, ValueError, LookupError, AttributeError, ImportError, AgentFuseError)
# How a framework says that it was asked for something it cannot send (openai-agents, pydantic-ai).
_CALLERS_MISTAKES = frozenset({"UserError"})

# https://platform.openai.com/docs/guides/error-codes, https://docs.anthropic.com/en/api/errors,
# https://api-docs.deepseek.com/quick_start/error_codes
_BY_STATUS: Mapping[int, Kind] = {
    401: "authentication",
    402: "quota_exhausted",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "server_error",
    413: "context_overflow",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_BY_CODE: Mapping[str, Kind] = {
    "context_length_exceeded": "context_overflow",
    "request_too_large": "context_overflow",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "insufficient_quota": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "billing_error": "quota_exhausted",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "timeout_error": "timeout",
    "server_error": "server_error",
    "api_error": "server_error",
    "invalid_request_error": "bad_request",
}
# Sentences of providers whose code says no more than "invalid request".
_BY_WORDS: tuple[tuple[str, Kind], ...] = (
    ("prompt is too long", "context_overflow"),
    ("maximum context length", "context_overflow"),
    ("context window", "context_overflow"),
    ("exceed context limit", "context_overflow"),
    ("exceeds the maximum number of tokens", "context_overflow"),
    ("too large for model", "context_overflow"),
    ("credit balance is too low", "quota_exhausted"),
    ("insufficient balance", "quota_exhausted"),
    ("content management policy", "content_filter"),
)
_READ_WORDS_AT = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed attempt.

    ``status`` is the HTTP status or 0; ``retry_after`` the provider's advice in seconds or None;
    ``billed`` says that the provider may have charged for it; ``retryable`` that asking the same
    again can help.
    """

    kind: Kind
    status: int = 0
    retry_after: float | None = None
    billed: bool = False
    retryable: bool = False
    message: str = ""


def failure_of(error: BaseException, *, now: float | None = None) -> Failure:
    """Classify what a provider's SDK (or the way to it) raised.

    ``now`` (seconds since the epoch) reads a Retry-After given as a date; the clock's by default.
    A call that got an HTTP error status was not billed; one that was cut after it had left, or that
    timed out waiting for the answer, may have been.
    """
    if isinstance(error, ProviderFailed):
        return _told(error)
    if isinstance(error, ConfigurationError):
        return Failure(kind="unsupported", message=str(error))
    status = _status_of(error)
    if status >= 400:  # noqa: PLR2004 - RFC 9110 section 15.5: errors start here
        return _refused(error, status, time.time() if now is None else now)
    kind, billed = _kind_unanswered(error)
    return Failure(
        kind=kind,
        status=status,
        billed=billed,
        retryable=kind in RETRYABLE,
        message=str(error) or type(error).__name__,
    )


def _told(error: ProviderFailed) -> Failure:
    """Read a failure that is in our words already; the SDK's own error behind it says the most."""
    kind: Any = error.kind
    billed = kind in PERHAPS_BILLED and error.status < 400  # noqa: PLR2004
    retryable = kind in RETRYABLE
    cause = error.__cause__
    if cause is not None and not isinstance(cause, AgentFuseError):
        told = failure_of(cause)
        billed, retryable = told.billed, told.retryable
    return Failure(
        kind=kind,
        status=error.status,
        retry_after=0.0 if error.other_key else error.retry_after,
        billed=billed,
        retryable=retryable or error.other_key,
        message=str(error),
    )


def _refused(error: BaseException, status: int, now: float) -> Failure:
    """Read an answer with an HTTP error status."""
    headers = _headers_of(error)
    kind = _kind_of_status(status, _codes_of(error), str(error).lower())
    advised = headers.get("x-should-retry")  # sent by OpenAI and Anthropic, obeyed by their SDKs
    return Failure(
        kind=kind,
        status=status,
        retry_after=retry_after_of(headers, now=now),
        billed=False,
        retryable=kind in RETRYABLE and advised != "false",
        message=str(error),
    )


def _kind_of_status(status: int, codes: tuple[str, ...], words: str) -> Kind:
    named = _named(codes)
    if named is not None and named not in {"bad_request", "server_error", "rate_limited"}:
        return named
    if status in _READ_WORDS_AT:
        for phrase, kind in _BY_WORDS:
            if phrase in words:
                return kind
    return _BY_STATUS.get(status) or ("server_error" if status >= 500 else "bad_request")  # noqa: PLR2004


def _named(codes: tuple[str, ...]) -> Kind | None:
    """Look the provider's words up, most telling first."""
    for code in codes:
        if code in _BY_CODE:
            return _BY_CODE[code]
    return None


# First match wins: a ConnectTimeout, say, is told as an APITimeoutError that it caused.
_UNANSWERED: tuple[tuple[frozenset[str], Kind], ...] = (
    (_CANCELLED, "cancelled"),
    (_BROKEN_JSON, "malformed"),
    (_NEVER_SENT, "connection"),
    (_TIMED_OUT, "timeout"),
    (_CUT, "interrupted"),
)


def _kind_unanswered(error: BaseException) -> tuple[Kind, bool]:
    """Read an error without an error status: its kind, and whether it may have been billed."""
    names = _names_along(error)
    for telling, kind in _UNANSWERED:
        if names & telling:
            return kind, kind in PERHAPS_BILLED
    codes = _codes_of(error)
    if codes:  # an error event inside a stream that had begun
        return _named(codes) or "server_error", True
    own = isinstance(error, _OWN_MISTAKES) or bool(names & _CALLERS_MISTAKES)
    return "unknown", not own


def _names_along(error: BaseException) -> set[str]:
    """Give the class names of an error and of what caused it, down to the transport's own."""
    names: set[str] = set()
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            break
        names.update(kind.__name__ for kind in type(seen).__mro__)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return names


def _status_of(error: BaseException) -> int:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


def _headers_of(error: BaseException) -> Mapping[str, str]:
    return getattr(getattr(error, "response", None), "headers", None) or {}


def _codes_of(error: BaseException) -> tuple[str, ...]:
    """Give the provider's words for the error, from its body, most telling first."""
    body = getattr(error, "body", None)
    outer = object_of(_json_or_none(body) if isinstance(body, str) else body)
    detail = object_of(outer.get("error")) or outer
    inner = object_of(detail.get("innererror"))
    found: list[Json] = [detail.get("code"), detail.get("type"), inner.get("code")]
    return tuple(word.lower() for word in found if isinstance(word, str))


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def retry_after_of(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read the provider's advice in seconds from ``retry-after-ms`` or ``Retry-After``.

    Retry-After is seconds or an HTTP date (RFC 9110, section 10.2.3), read against ``now`` in
    seconds since the epoch; what cannot be read is no advice.
    """
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
