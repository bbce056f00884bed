"""An embedder by a word: ``minilm``, ``tiny``, ``numpy``, a model's name, or one of your own."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import agentfuse.embedders as kinds
from agentfuse.embedders.model_folders import folder_of
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentfuse.ports import Embedder

# Fuses come and go, one for each run perhaps; a model takes 0.3 s and 60 MB to load, and holds
# nothing of anybody's: fuses share it.
_loaded: dict[tuple[str, str], Embedder] = {}
_loading = Lock()


def embedder_named(choice: str | Embedder, *, models: Path | None = None) -> Embedder:
    """Find an embedder; one that is named is loaded once in a process.

    "minilm" is the default (ONNX Runtime, int8), "tiny" the static table, "numpy" MiniLM without
    ONNX Runtime; any other word with a slash is a model for sentence-transformers, such as
    "sentence-transformers/all-MiniLM-L6-v2" or "redis/langcache-embed-v2". ``models`` is a folder
    of model folders that comes before installed packages. Raises ConfigurationError for another
    word, for a package or model that is not there, and for an object that is no embedder.
    """
    if not isinstance(choice, str):
        return _checked(choice)
    if choice in _local():
        place = folder_of(choice, None, models)
        return _once((choice, str(place)), lambda: _local()[choice]()(place))
    if "/" in choice:
        return _once((choice, ""), lambda: kinds.SentenceTransformerEmbedder(choice))
    raise ConfigurationError(
        f"no embedder is called {choice!r}: say {', '.join(_local())}, the name of a model for"
        " sentence-transformers (org/name), or give an agentfuse.ports.Embedder"
    )


def _local() -> dict[str, Callable[[], Callable[[Path], Embedder]]]:
    """Give the classes by their words, each imported when it is called for."""
    return {
        "minilm": lambda: kinds.OnnxMiniLM,
        "tiny": lambda: kinds.StaticTable,
        "numpy": lambda: kinds.NumpyMiniLM,
    }


def _once(key: tuple[str, str], load: Callable[[], Embedder]) -> Embedder:
    with _loading:
        if key not in _loaded:
            _loaded[key] = load()
        return _loaded[key]


def _checked(embedder: Embedder) -> Embedder:
    lacking = [name for name in ("fingerprint", "dim", "embed") if not hasattr(embedder, name)]
    if lacking:
        raise ConfigurationError(
            f"{type(embedder).__name__} is no embedder: it lacks {', '.join(lacking)}"
            " (agentfuse.ports.Embedder says what they are)"
        )
    return embedder
