"""OpenAI's vocabularies, offline: unpacked once, at first use, and shared by all threads.

tiktoken fetches its vocabularies at first use; these ship with the package, so that a count is
exact on a machine without a network and on the first run.
"""

from __future__ import annotations

import zlib
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tiktoken import Encoding

Vocabulary = Literal["o200k_base", "cl100k_base"]

# The patterns and special tokens are tiktoken's (tiktoken_ext/openai_public.py, MIT); a test
# compares them with the installed tiktoken.
_WORD = r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"""
_LOWER = r"""[\p{Ll}\p{Lm}\p{Lo}\p{M}]"""
_SHORT = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
_O200K_PATTERN = (
    rf"""{_WORD}*{_LOWER}+{_SHORT}|{_WORD}+{_LOWER}*{_SHORT}"""
    r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)
_CL100K_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
PATTERNS: dict[Vocabulary, str] = {"o200k_base": _O200K_PATTERN, "cl100k_base": _CL100K_PATTERN}
SPECIAL_TOKENS: dict[Vocabulary, dict[str, int]] = {
    "o200k_base": {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    "cl100k_base": {
        "<|endoftext|>": 100257,
        "<|fim_prefix|>": 100258,
        "<|fim_middle|>": 100259,
        "<|fim_suffix|>": 100260,
        "<|endofprompt|>": 100276,
    },
}

_loaded: dict[Vocabulary, Encoding] = {}
_loading = Lock()


def encoding_of(vocabulary: Vocabulary) -> Encoding:
    """Give the encoder of a vocabulary, loaded at most once however many threads ask."""
    known = _loaded.get(vocabulary)
    if known is not None:
        return known
    with _loading:
        if vocabulary not in _loaded:
            _loaded[vocabulary] = _built(vocabulary)
        return _loaded[vocabulary]


def warm() -> None:
    """Load the vocabulary that nearly every count uses, so that no call waits for it."""
    encoding_of("o200k_base")


def ranks_of(vocabulary: Vocabulary) -> dict[bytes, int]:
    """Unpack a vocabulary file: the count, a length byte for each token, the bytes of all."""
    path = Path(__file__).parent / "vocabularies" / f"{vocabulary}.zlib"
    raw = zlib.decompress(path.read_bytes())
    start = 4 + int.from_bytes(raw[:4], "big")
    ends = tuple(accumulate(raw[4:start], initial=start))
    return {raw[ends[rank] : end]: rank for rank, end in enumerate(ends[1:])}


def _built(vocabulary: Vocabulary) -> Encoding:
    from tiktoken import Encoding

    return Encoding(
        name=vocabulary,
        pat_str=PATTERNS[vocabulary],
        mergeable_ranks=ranks_of(vocabulary),
        special_tokens=SPECIAL_TOKENS[vocabulary],
    )
