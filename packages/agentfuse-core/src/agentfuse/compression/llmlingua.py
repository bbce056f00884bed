"""LLMLingua as a way to shorten texts: a small model drops the tokens that say the least.

Source: https://github.com/microsoft/LLMLingua (LLMLingua-2, Pan et al., 2024, arXiv:2403.12968).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from agentfuse.errors import ConfigurationError

DEFAULT_MODEL = "microsoft/llmlingua-2-xlm-roberta-large-meetingbank"


@dataclass(frozen=True, slots=True)
class LLMLingua:
    """A function of a text and a ratio, for ``Compressor("summarise", shorten=LLMLingua())``.

    ``compressor`` is a ``llmlingua.PromptCompressor`` that is there already, or None to load
    ``model`` when it is first needed (a download of some 2 GB, on the CPU). Digits stay, since
    figures and identifiers are what notes are for. Raises ConfigurationError where the package is
    not installed: it is no extra of ours, since its last release (0.2.2) is of April 2024.
    """

    compressor: Any = None
    model: str = DEFAULT_MODEL
    _loaded: list[Any] = field(default_factory=list[Any], init=False, repr=False, compare=False)

    def __call__(self, text: str, ratio: float) -> str:
        """Shorten a text to about a ratio of its tokens."""
        if ratio >= 1 or not text.strip():
            return text
        compressor = self.compressor or self._load()
        result: Any = compressor.compress_prompt_llmlingua2(
            [text], rate=ratio, force_tokens=["\n", "?", ":"], force_reserve_digit=True
        )
        return str(result["compressed_prompt"])

    def _load(self) -> Any:
        if not self._loaded:
            try:
                library: Any = import_module("llmlingua")
            except ImportError as error:
                raise ConfigurationError(
                    "LLMLingua is not installed: pip install llmlingua (it brings torch with it)"
                ) from error
            loaded = library.PromptCompressor(self.model, use_llmlingua2=True, device_map="cpu")
            self._loaded.append(loaded)
        return self._loaded[0]
