"""The ledger's Lua files, each behind the one that all of them begin with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from agentfuse.connections.redis_scripts import Script, compiled

FOLDER = Path(__file__).parent / "lua"


@cache
def script_of(name: str) -> Script:
    """Read ``lua/<name>.lua``."""
    return compiled(lua_of("ledger") + lua_of(name))


def lua_of(name: str) -> str:
    """Read one file as it is."""
    return (FOLDER / f"{name}.lua").read_text("utf-8")
