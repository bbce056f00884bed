"""Vectors in memory, and on disk between two starts: everything here keeps ``ports.Index``.

Each name is imported when it is first asked for, and says what to install where that is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from agentfuse.caches.vectors.faiss_index import FaissIndex
    from agentfuse.caches.vectors.numpy_index import NumpyIndex
    from agentfuse.caches.vectors.snapshots import Snapshot, load, save

__all__ = ["FaissIndex", "NumpyIndex", "Snapshot", "load", "save"]

# The module of each name, and the extra that brings what the module imports.
_ROOMS = {
    "FaissIndex": ("faiss_index", "faiss"),
    "NumpyIndex": ("numpy_index", "semantic"),
    "Snapshot": ("snapshots", "semantic"),
    "load": ("snapshots", "semantic"),
    "save": ("snapshots", "semantic"),
}


def __getattr__(name: str) -> Any:
    """Import a name from its module when it is first used, and keep it."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    room, extra = _ROOMS[name]
    try:
        value = getattr(import_module(f"{__name__}.{room}"), name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'{name} needs {error.name}: pip install "agentfuse-core[{extra}]"'
        ) from error
    globals()[name] = value
    return value
