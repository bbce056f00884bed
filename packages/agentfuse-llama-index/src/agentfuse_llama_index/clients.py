"""An SDK client's twin whose calls go through a fuse, and what a client says of where it asks."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from agentfuse.providers.directory import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Json

TRAVEL = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
"""Arguments of the SDKs' methods that say how a call travels; ``extra_body`` joins the body."""

_HOMES = {row.home.rstrip("/"): row.id for row in PROVIDERS if row.home}
# By the end of the client's class name (openai, anthropic): whose prices hold behind it.
_CLOUDS = {"AzureOpenAI": "azure", "Bedrock": "aws", "BedrockMantle": "aws", "Vertex": "google"}
# Who asks, and how the connection is kept: no part of what is asked.
_OF_THE_ROAD = frozenset(
    {"accept", "accept-encoding", "api-key", "authorization", "connection", "content-type"}
    | {"openai-organization", "openai-project", "user-agent", "x-api-key"}
)


def place_of(client: Any, vendor: str) -> tuple[str, str]:
    """Name the provider behind a client, and its address unless that is the provider's own."""
    address = str(client.base_url).rstrip("/")
    if address in _HOMES:
        return _HOMES[address], ""
    name = type(client).__name__
    return next((_CLOUDS[end] for end in _CLOUDS if name.endswith(end)), vendor), address


def header_params(client: Any, given: Mapping[str, Any]) -> dict[str, Json]:
    """Tell the headers that may change an answer, as a digest only: they may hold secrets."""
    headers: dict[str, Any] = {
        **(getattr(client, "_custom_headers", None) or {}),
        **(given.get("extra_headers") or {}),
    }
    telling = {
        name.lower(): str(value)
        for name, value in headers.items()
        if name.lower() not in _OF_THE_ROAD
    }
    params: dict[str, Json] = {}
    if telling:
        text = json.dumps(telling, sort_keys=True)
        params["extra_headers"] = f"sha256:{sha256(text.encode()).hexdigest()[:32]}"
    if given.get("extra_query"):
        params["extra_query"] = given["extra_query"]
    return params


def twin_of(thing: object, **others: Any) -> Any:
    """Copy an SDK's client or resource, sharing all it holds, but for what is given by name.

    The SDKs keep resources as cached properties in the instance: what is given takes their place.
    """
    twin: Any = object.__new__(type(thing))
    twin.__dict__.update(thing.__dict__)
    twin.__dict__.update(others)
    return twin
