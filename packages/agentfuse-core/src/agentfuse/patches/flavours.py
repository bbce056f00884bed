"""httpx and httpx2: two modules of one shape whose classes do not mix, and which core imports not.

openai 2 and anthropic before 1 stand on httpx, later ones on httpx2. Which one a client stands on
is read off the client, so that what is handed back is of its own kind.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODULES = ("httpx", "httpx2")
_REFUSED = 402  # Payment Required (RFC 9110, section 15.5.3)


class _Refusal:
    """A response that stands for a call that was not made; mixed into a module's Response.

    The SDKs ask a response whether it succeeded outside of what they try again or wrap, so an
    error raised there reaches the caller as it is, once. openai before 2.54 wraps and repeats
    whatever a transport raises, its own errors included.
    """

    error: Exception

    @property
    def is_success(self) -> bool:
        """Raise the error."""
        raise self.error

    def raise_for_status(self) -> Any:
        """Raise the error."""
        raise self.error


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of the two modules."""

    module: Any

    def is_blocking(self, http_client: Any) -> bool:
        """Tell a blocking client from an awaited one."""
        return isinstance(http_client, self.module.Client)

    def request(self, original: Any, url: str, content: bytes) -> Any:
        """Write a request anew with another body."""
        kept = [(k, v) for k, v in original.headers.raw if k.lower() != b"content-length"]
        return self.module.Request(
            original.method, url, headers=kept, content=content, extensions=original.extensions
        )

    def answer(self, headers: Mapping[str, str], content: bytes) -> Any:
        """Make the response of a call that did not have to be made."""
        stream = self.module.ByteStream(content)
        return self.module.Response(200, headers=headers, stream=stream)

    def refusal(self, error: Exception) -> Any:
        """Make a response that raises ``error`` as soon as it is asked whether it succeeded."""
        response = mixed(_Refusal, self.module.Response)(
            _REFUSED,
            headers={"x-should-retry": "false"},
            stream=self.module.ByteStream(b""),
            extensions={"reason_phrase": b"Stopped by AgentFuse"},
        )
        response.error = error
        return response

    def whole(self, response: Any, raw: bytes) -> Any:
        """Give a response whose body was read from the wire, as if it were still to come."""
        response.stream = self.module.ByteStream(raw)
        return response

    def streamed(self, response: Any, body: object) -> Any:
        """Give a response with our body, which is decoded already, in place of its own."""
        own = {b"content-encoding", b"content-length", b"transfer-encoding"}
        kept = [(k, v) for k, v in response.headers.raw if k.lower() not in own]
        return self.module.Response(
            response.status_code, headers=kept, stream=body, extensions=response.extensions
        )

    def decoded(self, response: Any, raw: bytes) -> bytes:
        """Undo a response's content encoding (gzip, br ...); empty where that is broken."""
        if "content-encoding" not in response.headers:
            return raw
        stream = self.module.ByteStream(raw)
        try:
            content = self.module.Response(200, headers=response.headers, stream=stream).read()
        except self.module.DecodingError:
            return b""
        return bytes(content)


@lru_cache(maxsize=64)
def mixed(own: type, theirs: type) -> Any:
    """Make the class that is ours and a module's at once."""
    return type(own.__name__.lstrip("_"), (own, theirs), {})


def flavour_of(http_client: Any) -> Flavour:
    """Tell which module a client stands on; raises ConfigurationError where it is neither."""
    for kind in type(http_client).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in _MODULES and hasattr(http_client, "_transport"):
            return Flavour(sys.modules[name])
    raise ConfigurationError(
        f"only clients over httpx or httpx2 can be covered, not {type(http_client).__name__}"
    )
