"""A Lua script as Redis is asked to run it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """What Redis is asked to run: its text, and the SHA-1 by which EVALSHA finds it."""

    text: bytes
    sha: bytes


def compiled(text: str) -> Script:
    """Name a script as Redis does."""
    data = text.encode()
    # Redis knows scripts by SHA-1 (https://redis.io/docs/latest/commands/evalsha/).
    sha = hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()
    return Script(data, sha)
