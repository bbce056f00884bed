"""The ways the world writes a model's name, most exact first."""

from __future__ import annotations

import re

# 2026-11-05, 20261105, @20261105, and the aliases that stand for a newest snapshot.
_SNAPSHOT = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8})|-latest|@default)$")

# Where Bedrock's inference profiles send a request: us.anthropic.claude-..., global.amazon.nova-...
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_PROFILE = re.compile(r"^(?:us|us-gov|eu|apac|ap|au|jp|ca|sa|uk|global)\.(?=[a-z0-9-]+\.)")
_BEDROCK = frozenset({"aws", "bedrock", "amazon", "amazon-bedrock", "bedrock_converse"})
_REVISION = re.compile(r"(?:-v\d+)?(?::\d+)?(?::\d+k)?$")

# How Google's own resource names begin.
_PATHS = frozenset({"models", "publishers", "projects"})

# OpenRouter's variants that change who serves a model or what is added, not which model it is.
# https://openrouter.ai/docs/features/provider-routing; ``:free`` is a model of its own.
_ROUTE = re.compile(r":(?:nitro|floor|online|exacto|extended|thinking|beta)$")


def spellings_of(model: str, provider: str = "") -> list[tuple[str, str, bool]]:
    """List (provider, name, exact) to look a model up by; not exact where a part was dropped.

    ``models/x``, ``openai/x``, resource names that end in ``/x``, Bedrock's profiles, OpenRouter's
    routes, dates and ``-latest`` are known. A fine-tuned name (``ft:base:org::id``) is never read
    as its base, which is 1.5 to 6 times cheaper.
    """
    name = model.strip().lower()
    provider = provider.strip().lower()
    if name.startswith("ft:") and not provider:
        provider = "openai"
    found = [(provider, name, True)]
    if provider == "openrouter":
        found.append((provider, _ROUTE.sub("", name), not _ROUTE.search(name)))
    prefix, slash, rest = name.rpartition("/")
    if slash and rest:
        found += _without_prefix(prefix, rest, provider)
        if not provider:
            found = found[1:]
        name = rest
    found += _without_route(found[-1][0], name)
    if provider:
        found += [("", spelled, False) for _, spelled, _ in found]
    return list(dict.fromkeys(found))


def supplement_name(name: str) -> str:
    """Give the name a fine-tuned model is listed under: without its date, organisation and id."""
    if not name.startswith("ft:"):
        return name
    return "ft:" + _SNAPSHOT.sub("", re.sub(r"-\d{4}$", "", name.split(":")[1]))


def _without_prefix(prefix: str, rest: str, provider: str) -> list[tuple[str, str, bool]]:
    maker = _maker_of(prefix)
    if prefix.partition("/")[0] == "openrouter":  # openrouter/anthropic/claude-...
        maker, rest = "openrouter", f"{prefix.partition('/')[2]}/{rest}".lstrip("/")
    same = {provider, maker} <= _BEDROCK or maker == provider or prefix.split("/", 1)[0] in _PATHS
    found = [(maker, rest, not provider or same)]
    if maker == "openrouter" or (provider == "openrouter" and "/" in rest):
        found.append(("openrouter", rest, True))
    if "/" in prefix and maker == prefix.partition("/")[0]:  # groq/openai/gpt-oss-20b
        found.insert(0, (maker, f"{prefix.partition('/')[2]}/{rest}", True))
    return found


def _without_route(provider: str, name: str) -> list[tuple[str, str, bool]]:
    """Drop what hides a model's plain name, one after another; none of it is exact."""
    found: list[tuple[str, str, bool]] = []
    if provider in _BEDROCK or _PROFILE.match(name):
        plain = _PROFILE.sub("", name)
        found.append(("aws", name, True))
        found.append(("aws", plain, False))
        found.append(("", _REVISION.sub("", plain.partition(".")[2] or plain), False))
    routed = _ROUTE.sub("", name)
    if routed != name:
        found.append((provider, routed, False))
    plain = _SNAPSHOT.sub("", routed)
    if plain != routed and not name.startswith("ft:"):
        found.append((provider, plain, False))
    return found


def _maker_of(prefix: str) -> str:
    """Read the provider that a name's prefix stands for; ``models/`` is Google's own."""
    if prefix.startswith("arn:aws"):
        return "aws"
    first = prefix.split("/", 1)[0]
    if first in _PATHS:
        return "anthropic" if prefix.endswith("publishers/anthropic/models") else "google"
    return first
