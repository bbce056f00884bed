"""The ledger's Lua files, each behind the one that all of them begin with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    """What Redis is asked to run: its text, and the SHA-1 by which EVALSHA finds it."""

    text: bytes
    sha: bytes


@cache
def script_of(name: str) -> Script:
    """Read ``lua/<name>.lua``."""
    return compiled(lua_of("ledger") + lua_of(name))


def lua_of(name: str) -> str:
    """Read one file as it is."""
    return (FOLDER / f"{name}.lua").read_text("utf-8")


def compiled(text: str) -> Script:
    """Name a script as Redis does."""
    data = text.encode()
    # Redis knows scripts by SHA-1 (https://redis.io/docs/latest/commands/evalsha/).
    sha = hashlib.sha1(data, usedforsecurity=False).hexdigest().encode()
    return Script(data, sha)
