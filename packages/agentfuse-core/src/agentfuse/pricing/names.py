"""The ways the world writes a model's name, most exact first."""

from __future__ import annotations

import re

# 2026-11-05, 20261105, @20261105, and the aliases that stand for a newest snapshot.
_SNAPSHOT = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8})|-latest)$")


def spellings_of(model: str, provider: str = "") -> list[tuple[str, str, bool]]:
    """List (provider, name, exact) to look a model up by; not exact where a part was dropped.

    ``models/x``, ``openai/x``, resource names that end in ``/x``, dates and ``-latest`` are known.
    A fine-tuned name (``ft:base:org::id``) is never read as its base, which is 1.5 to 6 times
    cheaper.
    """
    name = model.strip().lower()
    provider = provider.strip().lower()
    if name.startswith("ft:") and not provider:
        provider = "openai"
    found = [(provider, name, True)]
    prefix, slash, rest = name.rpartition("/")
    if slash and rest:
        maker = _maker_of(prefix)
        found = [*([(maker, rest, True)] if not provider else found), *found, (maker, rest, True)]
        name = rest
    plain = _SNAPSHOT.sub("", name)
    if plain != name and not name.startswith("ft:"):
        found.append((found[-1][0], plain, False))
    if provider:
        found += [("", spelled, False) for _, spelled, _ in found]
    return list(dict.fromkeys(found))


def _maker_of(prefix: str) -> str:
    """Read the provider that a name's prefix stands for; ``models/`` is Google's own."""
    if prefix.startswith("arn:aws:bedrock"):
        return "aws"
    first = prefix.split("/", 1)[0]
    return "google" if first in {"models", "publishers", "projects"} else first
