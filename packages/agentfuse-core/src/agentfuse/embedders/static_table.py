"""A table with one vector a token: ``tiny``, a twentieth of MiniLM's time and less of its sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.embedders.model_folders import digest_of, folder_of
from agentfuse.embedders.units import sound, unit
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TABLE = "tiny-int8.npy"
# [UNK]: a text of which no token is known is its vector, as near to all others of the kind.
UNKNOWN = 100


class StaticTable:
    """Mean vectors of tokens (as model2vec has them), from a table in int8: ``[128]``, 0.1 ms.

    ``folder`` holds ``tokenizer.json`` and ``tiny-int8.npy``, whose rows are records of ``vector``
    (int8 ``[dim]``) and ``scale`` (fp16); without one it is that of the package agentfuse-minilm.
    Raises ConfigurationError where there is none, or the table is another. It knows words and not
    their order: "dog bites man" and "man bites dog" are one text to it, so it takes a higher
    threshold, and the guard behind it matters more. A text of any length is seen whole.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        from tokenizers import Tokenizer

        place = folder_of("tiny", folder)
        self.fingerprint = f"tiny-int8/mean/{digest_of(place / TABLE)}"
        self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        table: NDArray[Any] = np.load(place / TABLE, allow_pickle=False)
        if table.dtype.names != ("vector", "scale"):
            raise ConfigurationError(f"{place / TABLE} is no table of vectors and scales")
        self._vectors: NDArray[np.int8] = np.ascontiguousarray(table["vector"])
        self._scales: NDArray[np.float32] = table["scale"].astype(np.float32)
        self.dim = int(self._vectors.shape[1])

    def embed(self, text: str) -> NDArray[np.float32]:
        """Give a text's vector."""
        ids = self._tokenizer.encode(sound(text), add_special_tokens=False).ids or [UNKNOWN]
        return unit(self._scales[ids] @ self._vectors[ids].astype(np.float32))
