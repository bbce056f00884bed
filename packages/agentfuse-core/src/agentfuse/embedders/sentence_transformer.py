"""Any model of sentence-transformers: for those who have PyTorch, or want another model."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.embedders.units import sound, unit
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where there is no PyTorch, there are no types of it: a model is Any to us.
SentenceTransformer: Any = import_module("sentence_transformers").SentenceTransformer
torch: Any = import_module("torch")


class SentenceTransformerEmbedder:
    """A model by its name, its folder, or as a ``SentenceTransformer`` of your own.

    ``model`` is a ``str``, a ``Path`` or such an object. A name is looked up among what was
    downloaded before, and downloaded with ``download=True`` alone: ConfigurationError otherwise.
    One text is one run, and one runs at a time, since the tokenizers of transformers are not safe
    to share between threads. ``options`` go to ``SentenceTransformer`` (``device``, ``revision``,
    ``trust_remote_code`` ...).
    """

    def __init__(self, model: Any, *, download: bool = False, **options: Any) -> None:
        named = isinstance(model, str | Path)
        self._model: Any = _loaded(str(model), download=download, **options) if named else model
        self._lock = Lock()
        self.dim = len(self._encoded("dimensions"))
        length = self._model.max_seq_length
        self.fingerprint = f"sentence-transformers/{length}/{_digest_of(self._model)}"

    def embed(self, text: str) -> NDArray[np.float32]:
        """Give a text's vector; what the model cuts off (``max_seq_length``) is not seen."""
        return unit(self._encoded(sound(text)))

    def _encoded(self, text: str) -> NDArray[np.float32]:
        with self._lock:
            vector = self._model.encode(text, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(vector, np.float32)


def _loaded(name: str, *, download: bool, **options: Any) -> Any:
    try:
        return SentenceTransformer(name, local_files_only=not download, **options)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the model {name!r} cannot be loaded: {error}. Name a folder it lies in, or download"
            f" it once with SentenceTransformerEmbedder({name!r}, download=True)"
        ) from error


def _digest_of(model: Any) -> str:
    """Name the weights by what they are: the same name may get others with a new revision."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
