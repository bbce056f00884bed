"""Embeddings of a provider: OpenAI's, or those of any server that speaks its language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agentfuse.embedders.units import sound, unit
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from openai import OpenAI

# https://platform.openai.com/docs/guides/embeddings: the length each model gives unless told.
DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbedder:
    """``client.embeddings``, one text a call. Each is a call that costs money and time.

    ``client`` is an ``openai.OpenAI``: with ``wrap_openai(client, fuse=...)`` its calls are metered
    and held to a budget like all others, and its errors are raised as they come. ``dim`` asks one
    of the text-embedding-3 models for shorter vectors, and says how long they are for a model of
    another server. The fingerprint is the model's name, its length and the server's address: who
    changes the model behind a name breaks it.
    """

    def __init__(
        self, client: OpenAI, model: str = "text-embedding-3-small", *, dim: int | None = None
    ) -> None:
        usual = DIMENSIONS.get(model)
        if dim is None and usual is None:
            raise ConfigurationError(
                f"how long are the vectors of {model!r}? Say OpenAIEmbedder(..., dim=768)"
            )
        self.dim = dim or usual or 0
        self.fingerprint = f"openai/{client.base_url}/{model}/{self.dim}"
        self._client = client
        self._asked: dict[str, Any] = {"model": model}
        if usual is not None and self.dim != usual:
            self._asked["dimensions"] = self.dim

    def embed(self, text: str) -> NDArray[np.float32]:
        """Give a text's vector; raises what the client raises, BudgetExceeded among it."""
        answer = self._client.embeddings.create(input=sound(text), **self._asked)
        vector = np.array(answer.data[0].embedding, np.float32)
        if len(vector) != self.dim:
            raise ConfigurationError(
                f"{self.fingerprint} gave a vector of {len(vector)} dimensions, not {self.dim}"
            )
        return unit(vector)
