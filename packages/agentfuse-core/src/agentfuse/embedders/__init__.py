"""Texts as vectors: everything here keeps ``ports.Embedder``.

Each name is imported when it is first asked for, and says what to install where that is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from agentfuse.embedders.fetching import fetch
    from agentfuse.embedders.named import embedder_named
    from agentfuse.embedders.numpy_minilm import NumpyMiniLM
    from agentfuse.embedders.onnx_minilm import OnnxMiniLM
    from agentfuse.embedders.presets import threshold_of
    from agentfuse.embedders.remote import OpenAIEmbedder
    from agentfuse.embedders.sentence_transformer import SentenceTransformerEmbedder
    from agentfuse.embedders.static_table import StaticTable

__all__ = [
    "NumpyMiniLM",
    "OnnxMiniLM",
    "OpenAIEmbedder",
    "SentenceTransformerEmbedder",
    "StaticTable",
    "embedder_named",
    "fetch",
    "threshold_of",
]

# The module of each name, and the extra that brings what the module imports.
_ROOMS = {
    "NumpyMiniLM": ("numpy_minilm", "semantic"),
    "OnnxMiniLM": ("onnx_minilm", "semantic"),
    "OpenAIEmbedder": ("remote", "semantic"),
    "SentenceTransformerEmbedder": ("sentence_transformer", "sentence-transformers"),
    "StaticTable": ("static_table", "semantic"),
    "embedder_named": ("named", "semantic"),
    "fetch": ("fetching", "semantic"),
    "threshold_of": ("presets", "semantic"),
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
