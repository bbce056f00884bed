"""Gemini's models by Gemma's vocabulary, with the extra ``agentfuse-core[gemini]``.

Which model has which vocabulary is google-genai's own table; what stands around the texts is
counted by the rules, since the vocabulary alone does not say it.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Text
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.families import bare, family_of
from agentfuse.tokens.gemini_rules import frame_of, words_of
from agentfuse.tokens.images import image_tokens, size_of
from agentfuse.tokens.text import CHUNK
from agentfuse.tokens.tool_text import functions_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.messages import Message, Request
    from agentfuse.tokens.estimates import TokenEstimate
    from agentfuse.tokens.gemini_rules import ToolWords

    Encode = Callable[[list[str]], int]

# Texts agree within a hundredth with what Google bills; what tools add is measured less closely.
_FACTOR, _CUSHION = 1020, 16
_TOOL_FACTOR, _TOOL_CUSHION = 1300, 100


class GemmaCounter:
    """Counts requests to Gemini with the vocabulary that google-genai's LocalTokenizer uses.

    That vocabulary comes with no package. It is taken from ``vocabulary`` (a SentencePiece file:
    Gemma 3's ``tokenizer.model``), or from where google-genai keeps it once it has fetched it;
    ``download`` lets google-genai fetch it now, at the first count. Without any of these a count
    raises FileNotFoundError, which a fuse tells once before it counts by the rules. Documents,
    sounds and films are left to the rules.
    """

    def __init__(self, vocabulary: str | Path | None = None, *, download: bool = False) -> None:
        self._vocabulary = None if vocabulary is None else Path(vocabulary)
        self._download = download

    def count(self, request: Request) -> TokenEstimate | None:
        """Count a request to a Gemini model; raises ImportError without the extra."""
        model = bare(request.model)
        if not model.startswith("gemini-"):
            return None
        media = [_picture_tokens(part, model) for part in _beyond_text(request)]
        functions = functions_of(request.tools)
        encode = self._encoder(model)
        if encode is None or None in media or len(functions) < len(request.tools):
            return None
        words = words_of(functions)
        texts = [*words.names, *words.texts]
        for message in request.messages:
            texts += _texts_in(message)
        tokens = encode(_pieces_of(texts)) + sum(each or 0 for each in media)
        tokens += _frame_tokens(request, words)
        if request.tools:
            return estimate_of(tokens, factor=_TOOL_FACTOR, cushion=_TOOL_CUSHION, method="rules")
        return estimate_of(tokens, factor=_FACTOR, cushion=_CUSHION, method="exact")

    def _encoder(self, model: str) -> Encode | None:
        """Give what counts the tokens of texts; None for a model that no vocabulary is known of."""
        if self._vocabulary is not None:
            return _from_file(self._vocabulary)
        return _from_google(model, self._download)


def _frame_tokens(request: Request, words: ToolWords) -> int:
    frame = frame_of(bare(request.model))
    calls = sum(len(message.tool_calls) for message in request.messages)
    history = max(frame.turn * len(request.messages) + frame.call * calls, 0)
    return history + words.frame(frame)


def _pieces_of(texts: list[str]) -> list[str]:
    """Cut long texts, since SentencePiece takes more than linear time."""
    return [text[at : at + CHUNK] for text in texts for at in range(0, len(text), CHUNK)]


def _texts_in(message: Message) -> list[str]:
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    for call in message.tool_calls:
        texts += [call.name, call.arguments]
    return texts


def _beyond_text(request: Request) -> list[Any]:
    return [
        part for message in request.messages for part in message.parts if not isinstance(part, Text)
    ]


def _picture_tokens(part: Any, model: str) -> int | None:
    if not isinstance(part, Media) or part.kind != "image" or not part.data:
        return None
    size = size_of(part.data)
    return None if size is None else image_tokens(model, family_of(model).name, size)[0]


@lru_cache(maxsize=4)
def _from_file(path: Path) -> Encode:
    from sentencepiece import SentencePieceProcessor

    pieces: Any = SentencePieceProcessor()
    if not path.is_file():
        raise FileNotFoundError(f"there is no vocabulary at {path}")
    pieces.LoadFromSerializedProto(path.read_bytes())
    return lambda texts: sum(len(found) for found in pieces.encode(texts))


@lru_cache(maxsize=64)
def _from_google(model: str, download: bool) -> Encode | None:  # noqa: FBT001 - part of the key
    from google.genai import _local_tokenizer_loader as loader
    from google.genai.local_tokenizer import LocalTokenizer

    try:
        name = loader.get_tokenizer_name(model)
    except ValueError:
        return None
    if not download and not _is_kept(loader, name):
        raise FileNotFoundError(
            f"the vocabulary of {model} is not on this machine: give GemmaCounter a file, or let"
            " it download"
        )
    tokenizer: Any = LocalTokenizer(model)

    def count(texts: list[str]) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental
            return int(tokenizer.count_tokens(texts).total_tokens or 0) if texts else 0

    return count


def _is_kept(loader: Any, name: str) -> bool:
    """Say whether google-genai has fetched a vocabulary before: under its address's SHA-1."""
    import hashlib  # with tempfile 10 ms, which only this needs
    import tempfile

    kept = getattr(loader, "_TOKENIZERS", {}).get(name)
    if kept is None:
        return False
    file = hashlib.sha1(kept.model_url.encode(), usedforsecurity=False).hexdigest()
    return (Path(tempfile.gettempdir()) / "vertexai_tokenizer_model" / file).is_file()
