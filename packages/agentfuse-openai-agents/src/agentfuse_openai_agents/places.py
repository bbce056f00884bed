"""Who serves a model: its provider, its name there, its address, and the dialect it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel

from agentfuse.errors import ConfigurationError
from agentfuse.providers.directory import PROVIDERS
from agentfuse.providers.names import target_of

if TYPE_CHECKING:
    from agents import Model

Flavour = Literal["responses", "chat"]
"""Whose order a stream's events come in: the API's own, or the SDK's for chat completions."""

_HOMES = {row.home.rstrip("/"): row.id for row in PROVIDERS if row.home}

# LitellmModel speaks chat completions, through the SDK's own stream handler.
_EXTENSIONS = "agents.extensions.models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model's calls go.

    ``spoken`` is the name as the model object holds it, with a prefix (``anthropic/claude-...``)
    where it routes by one; ``model`` is the provider's own. ``base_url`` is empty for the
    provider's own address.
    """

    provider: str
    model: str
    spoken: str
    base_url: str
    flavour: Flavour


def place_of(inner: Model) -> Place:
    """Read off a model where its calls go; one that names no model goes by its class's name."""
    said: Any = getattr(inner, "model", None)
    spoken = said if isinstance(said, str) and said else type(inner).__name__
    own = isinstance(inner, OpenAIResponsesModel | OpenAIChatCompletionsModel)
    vendor = _vendor_of(getattr(inner, "_client", None)) if own else ""
    return _place(spoken, _address_of(inner), vendor, _flavour_of(inner))


@lru_cache(maxsize=256)
def _place(spoken: str, address: str, vendor: str, flavour: Flavour) -> Place:
    """Tell where a name goes at an address; ``vendor`` is whose SDK asks, if that is known."""
    home = _HOMES.get(address, "")
    provider, model = (home or vendor, spoken) if vendor else _named(spoken, home)
    return Place(
        provider=provider,
        model=model,
        spoken=spoken,
        base_url="" if home else address,
        flavour=flavour,
    )


def _address_of(inner: Model) -> str:
    client = getattr(inner, "_client", None)
    address = getattr(client, "base_url", None) or getattr(inner, "base_url", None) or ""
    return str(address).rstrip("/")


def _vendor_of(client: object) -> str:
    return "azure" if "Azure" in type(client).__name__ else "openai"


def _named(spoken: str, home: str) -> tuple[str, str]:
    """Read a name such as ``anthropic/claude-...``; a name of nobody known is its own."""
    try:
        target = target_of(spoken, home)
    except ConfigurationError:
        return home, spoken
    return target.provider, target.model


def _flavour_of(inner: Model) -> Flavour:
    if isinstance(inner, OpenAIResponsesModel):
        return "responses"
    chosen: Any = getattr(inner, "_selected_api", None)  # AnyLLMModel speaks either
    if chosen is not None:
        return "responses" if chosen() == "responses" else "chat"
    theirs = type(inner).__module__.startswith(_EXTENSIONS)
    return "chat" if theirs or isinstance(inner, OpenAIChatCompletionsModel) else "responses"
