"""A text cut into a model's tokens, in windows that the model can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from agentfuse.embedders.units import sound

if TYPE_CHECKING:
    from pathlib import Path

# The model was trained on texts of up to 256 tokens (its sentence_bert_config.json), and cut there
# two long texts that end differently would be one. So a longer text is read window by window, as
# far as the tier's longest question reaches in the worst case (a token for each of 2,000 letters).
MAX_TOKENS = 256
MAX_WINDOWS = 8


class Words:
    """The tokenizer of ``tokenizer.json``; safe for many threads, as nothing in it changes."""

    def __init__(self, path: Path) -> None:
        self._tokenizer: Any = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=MAX_TOKENS)

    def windows_of(self, text: str) -> list[list[int]]:
        """Give a text's token ids, with [CLS] and [SEP] around each window."""
        encoded = self._tokenizer.encode(sound(text))
        return [each.ids for each in (encoded, *encoded.overflowing)][:MAX_WINDOWS]
