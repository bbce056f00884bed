"""One call on its way through a covered client, as bytes: no client library, no waiting."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentfuse.errors import BudgetExceeded, ConfigurationError, ProviderFailed
from agentfuse.patches.attempts import Try
from agentfuse.providers.endpoints import Endpoint, endpoint_of
from agentfuse.providers.reach import require_reach
from agentfuse.providers.wire_json import object_of
from agentfuse.providers.wires import WireCodec
from agentfuse.runtime.asking import is_asking
from agentfuse.runtime.sending import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json, Reply, Request
    from agentfuse.tickets import Answered

    Headers = Mapping[str, str]

_ERRORS = 400
_STREAM = "text/event-stream"


class Unanswered(Exception):  # noqa: N818 - told to the policy, never raised to a caller
    """An answer with an HTTP error status, as the policy reads failures."""

    def __init__(self, response: Any, body: str) -> None:
        super().__init__(f"HTTP status {response.status_code}")
        self.response = response
        self.status_code: int = response.status_code
        self.body = body


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call that is metered: where it goes, what was written, and what that asks."""

    endpoint: Endpoint
    url: str
    body: Mapping[str, Json]
    asked: Request
    attempt: Try

    @classmethod
    def of(cls, url: str, headers: Headers, content: bytes) -> Exchange | None:
        """Read a request to a metered address.

        None for what the provider will refuse unbilled, and for what an adapter around this client
        meters already. Raises ConfigurationError for a request signed for AWS, which may not be
        changed.
        """
        endpoint, body = endpoint_of(url), _object_in(content)
        if endpoint is None or body is None:
            return None
        asked = endpoint.wire.request_of(body, endpoint.provider, endpoint.base_url)
        if asked is None or is_asking(asked.model):
            return None
        if headers.get("authorization", "").startswith("AWS4-"):
            raise ConfigurationError(
                "a request signed for AWS cannot be metered: its body may not be changed"
            )
        betas = headers.get("anthropic-beta")
        if betas:  # they change what is answered, so they are part of the question
            asked = replace(asked, params={**asked.params, "betas": betas})
        return cls(endpoint, url, body, asked, Try.of(url, body, headers))

    @property
    def codec(self) -> WireCodec:
        """The codec of this call."""
        return WireCodec(self.endpoint.wire, self.body, self.asked)

    def content_for(self, handed: Request) -> bytes | None:
        """Write the body the policy hands over; None where it goes out as it came."""
        require_reach(self.asked, handed, "this client")
        body = self.endpoint.wire.body_sent(self.body, self.asked, handed)
        if body is self.body:
            return None
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )

    def url_for(self, handed: Request) -> str:
        """Give the address; Azure's names the deployment as the body names the model."""
        old, new = (f"/deployments/{quote(each.model)}/" for each in (self.asked, handed))
        return self.url if old == new else self.url.replace(old, new, 1)

    def verdict(self, response: Any, decoded: bytes) -> Reply | Exception:
        """Say what a whole response means: an answer to settle, or a failure that costs nothing.

        An answer that was paid but cannot be read is settled at its estimate. A redirect answers
        nothing: the client asks again elsewhere.
        """
        if response.has_redirect_location:
            return ProviderFailed("redirected", kind="connection")
        if response.status_code >= _ERRORS:
            return Unanswered(response, decoded.decode("utf-8", "replace"))
        try:
            return self.codec.reply_of(decoded)
        except (ValueError, TypeError, LookupError, AttributeError):
            return UNREADABLE

    def answer(self, ticket: Answered) -> tuple[dict[str, str], bytes]:
        """Write headers and content of an answer from memory, whole or as a stream."""
        codec = self.codec
        told: dict[str, str] = {"x-agentfuse": ticket.source}
        if ticket.hit is not None:
            told["x-agentfuse-entry"] = ticket.hit.entry_id
            told["x-agentfuse-score"] = f"{ticket.hit.score:.4f}"
        if self.asked.stream:
            headers = {"content-type": f"{_STREAM}; charset=utf-8", **told}
            return headers, b"".join(codec.chunks_of(ticket.reply))
        return {"content-type": "application/json", **told}, codec.result_of(ticket.reply)

    def told(self, error: Exception) -> Exception:
        """Say an error in the SDK's terms: a stop becomes the SDK's own error, all else stays."""
        if not isinstance(error, BudgetExceeded):
            return error
        kind = _stop_of(self.endpoint.wire.provider)
        stop = kind(
            str(error),
            refusal=error.refusal,
            partial_text=error.partial_text,
            results=error.results,
            receipt=error.receipt,
        )
        stop.__cause__ = error
        return stop


def is_metered(method: str, url: str, headers: Headers) -> bool:
    """Say whether a request is a call that costs tokens, before its body is read."""
    if method != "POST" or not headers.get("content-type", "").startswith("application/json"):
        return False
    return endpoint_of(url) is not None


def is_streamed(response: Any) -> bool:
    """Say whether an answer comes as events."""
    kind: str = response.headers.get("content-type", "")
    status: int = response.status_code
    return status < _ERRORS and kind.startswith(_STREAM)


def _object_in(content: bytes) -> Mapping[str, Json] | None:
    try:
        return object_of(json.loads(content)) or None
    except ValueError:
        return None


def _stop_of(sdk: str) -> type[BudgetExceeded]:
    if sdk == "anthropic":
        from agentfuse.patches.anthropic_errors import BudgetStop as AnthropicStop

        return AnthropicStop
    from agentfuse.patches.openai_errors import BudgetStop as OpenAIStop

    return OpenAIStop
