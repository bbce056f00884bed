"""Which API an address belongs to, and whose: by the end of its path and by its host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentfuse.providers.directory import PROVIDERS
from agentfuse.providers.wire_chat import ChatWire
from agentfuse.providers.wire_embeddings import EmbeddingsWire
from agentfuse.providers.wire_messages import MessagesWire
from agentfuse.providers.wire_responses import ResponsesWire

if TYPE_CHECKING:
    from agentfuse.providers.wires import Wire

WIRES: tuple[Wire, ...] = (ChatWire(), ResponsesWire(), MessagesWire(), EmbeddingsWire())

# https://learn.microsoft.com/azure/ai-foundry/openai/reference (the resource's own host), and the
# two that Microsoft's other AI resources have.
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_HOSTS = {urlsplit(row.home).netloc: row for row in PROVIDERS if row.home}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API at a provider; ``base_url`` is empty for the provider's own address."""

    wire: Wire
    provider: str
    base_url: str


@lru_cache(maxsize=256)
def endpoint_of(url: str) -> Endpoint | None:
    """Recognise the address of a call; None for one that is not metered (files, batches ...)."""
    address = urlsplit(url)
    path = address.path.rstrip("/")
    for wire in WIRES:
        if path.endswith(wire.path):
            return _at(wire, address.scheme, address.netloc, path.removesuffix(wire.path))
    return None


def _at(wire: Wire, scheme: str, host: str, path: str) -> Endpoint:
    root = f"{scheme}://{host}"
    if wire.provider == "openai" and host.endswith(_AZURE):
        return Endpoint(wire, "azure", root)  # the path names a deployment, as the body does
    row = next(
        (row for home, row in _HOSTS.items() if host == home or _is_within(host, home)), None
    )
    if row is None:
        return Endpoint(wire, wire.provider, root + path)
    own = root + path == row.home.rstrip("/")
    return Endpoint(wire, row.id, "" if own else root + path)


def _is_within(host: str, home: str) -> bool:
    """Say whether a host is a region of another: ``eu.api.openai.com``."""
    return host.endswith(f".{home}")
