"""Whom a model's name means, and what it takes to reach them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.providers.directory import BY_ID, BY_PREFIX, PROVIDERS, Api, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_KEY = "not-needed"
"""What stands in the Authorization header of a server that asks for no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a model's name says: ``model`` is as the provider writes it, without our prefix.

    ``api`` names the dialect on the wire; ``base_url`` is empty for the SDK's own default, and
    ``key_variable`` the environment variable that a key is expected in.
    """

    provider: str
    model: str
    api: Api
    base_url: str = ""
    key_variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All it takes to reach a provider: its address and the key meant for it, and for no other.

    ``api_version`` is Azure's; empty for the others.
    """

    provider: str
    api: Api
    base_url: str
    key: str = field(repr=False)
    api_version: str = ""


@lru_cache(maxsize=1024)
def target_of(model: str, provider: str = "") -> Target:
    """Read a model's name: ``gpt-5``, ``anthropic/claude-...``, ``groq/llama-...``, ``azure/...``.

    A ``provider`` (an id or a prefix) settles what a bare name leaves open. Raises
    ConfigurationError for a name that belongs to nobody known, and says how to write it.
    """
    row, name = _read(model.strip(), provider)
    if not name:
        raise ConfigurationError(f"{model!r} names a provider but no model")
    own_sdk_default = row.id in {"openai", "anthropic"}
    return Target(
        provider=row.id,
        model=name,
        api=row.api,
        base_url="" if own_sdk_default else row.home,
        key_variable=row.keys[0],
    )


def _read(model: str, provider: str) -> tuple[Provider, str]:
    prefix, slash, rest = model.partition("/")
    if provider:
        row = BY_PREFIX.get(provider) or BY_ID.get(provider)
        if row is None:
            raise ConfigurationError(f"unknown provider {provider!r}: known are {_known()}")
        return row, rest if slash and prefix in row.prefixes else model
    if slash and prefix in BY_PREFIX:
        return BY_PREFIX[prefix], rest
    for row in PROVIDERS:
        if row.models and re.match(row.models, model):
            return row, model
    raise ConfigurationError(
        f"cannot tell who serves the model {model!r}: write provider/model, as in"
        f" 'groq/{model or 'model'}'; known providers are {_known()}"
    )


def _known() -> str:
    return ", ".join(BY_PREFIX)


def access_of(
    target: Target, environ: Mapping[str, str], *, base_url: str = "", api_key: str = ""
) -> Access:
    """Find the address and key of a target: what was given wins over ``environ``, then its default.

    Only the provider's own variables are read: ``<PROVIDER>_API_KEY`` and ``<PROVIDER>_BASE_URL``.
    Raises ConfigurationError that names the variable that is missing.
    """
    row = BY_ID[target.provider]
    moved = environ.get(row.address_variable, "")
    address = base_url or _differing(target.base_url, row) or moved or row.home
    if not address:
        raise ConfigurationError(
            f"{row.id} has no address of its own: set {row.address_variable} or give base_url="
        )
    return Access(
        provider=row.id,
        api=row.api,
        base_url=address,
        key=api_key or _key_of(row, environ),
        api_version=_azure_version(environ) if row.id == "azure" else "",
    )


def address_of(target: Target, environ: Mapping[str, str], *, base_url: str = "") -> str:
    """Say where a request goes, empty for the provider's own: no two places share answers."""
    row = BY_ID[target.provider]
    return _differing(base_url or environ.get(row.address_variable, ""), row).rstrip("/")


def _differing(address: str, row: Provider) -> str:
    return "" if address.rstrip("/") == row.home.rstrip("/") else address


def _key_of(row: Provider, environ: Mapping[str, str]) -> str:
    for variable in row.keys:
        if environ.get(variable):
            return environ[variable]
    if not row.key_needed:
        return NO_KEY
    raise ConfigurationError(
        f"no key for {row.id}: set {' or '.join(row.keys)} (no other provider's key is tried)"
    )


def _azure_version(environ: Mapping[str, str]) -> str:
    version = environ.get("OPENAI_API_VERSION", "")
    if not version:
        raise ConfigurationError("azure needs an API version: set OPENAI_API_VERSION")
    return version
