"""Recorded responses served again from the loopback, and read by the providers' own clients."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASKED = {"model": "recorded", "messages": [{"role": "user", "content": "again"}]}


def body_of(recorded: dict[str, Any]) -> bytes:
    """Give the response's bytes as they were received."""
    text = recorded["response_body"]
    encoded = recorded.get("response_encoding") == "base64"
    return base64.b64decode(text) if encoded else text.encode()


def read_as_json(recorded: dict[str, Any]) -> Any:
    """Read a response without any client: its JSON, or the list of its events."""
    body = body_of(recorded)
    if recorded.get("response_encoding") == "base64":
        return _frames(body)
    if not recorded["stream"]:
        return json.loads(body)
    told = (line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:"))
    return [json.loads(each) for each in told if each and each != "[DONE]"]


def read_by_client(recorded: dict[str, Any]) -> Any:
    """Read a response with the openai or anthropic client; None where neither speaks its API."""
    call = _CALLS.get(recorded["api"])
    if call is None or recorded.get("response_encoding") == "base64":
        return None
    with _served(recorded) as address:
        answer = call(address, stream=bool(recorded["stream"]))
        return list(answer) if recorded["stream"] else answer


def _frames(body: bytes) -> list[Any]:
    """Take the JSON out of Amazon's event stream (application/vnd.amazon.eventstream)."""
    events: list[Any] = []
    while body:
        total, headers = int.from_bytes(body[:4]), int.from_bytes(body[4:8])
        event = json.loads(body[12 + headers : total - 4] or b"null")
        inner = event.get("bytes") if isinstance(event, dict) else None
        events.append(json.loads(base64.b64decode(inner)) if inner else event)
        body = body[total:]
    return events


@contextmanager
def _served(recorded: dict[str, Any]) -> Iterator[str]:
    """Answer every request with the recorded status, content type and body."""
    body = body_of(recorded)

    class Recorded(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(recorded["status"])
            self.send_header("content-type", recorded["content_type"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _chat(address: str, *, stream: bool) -> Any:
    return _openai(address).chat.completions.create(**_ASKED, stream=stream)


def _responses(address: str, *, stream: bool) -> Any:
    return _openai(address).responses.create(model="recorded", input="again", stream=stream)


def _completions(address: str, *, stream: bool) -> Any:
    return _openai(address).completions.create(model="recorded", prompt="again", stream=stream)


def _embeddings(address: str, *, stream: bool) -> Any:
    del stream
    return _openai(address).embeddings.create(
        model="recorded", input="again", encoding_format="float"
    )


def _messages(address: str, *, stream: bool) -> Any:
    from anthropic import Anthropic

    client = Anthropic(base_url=address, api_key="none", max_retries=0)
    return client.messages.create(**_ASKED, max_tokens=16, stream=stream)


def _openai(address: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=address, api_key="none", max_retries=0)


_CALLS: dict[str, Any] = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "openai-completions": _completions,
    "embeddings": _embeddings,
    "anthropic-messages": _messages,
    "bedrock-invoke": _messages,
}
