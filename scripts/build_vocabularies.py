"""Pack tiktoken's vocabulary files into the compact form that agentfuse-core ships.

Usage: ``python scripts/build_vocabularies.py FOLDER``, where FOLDER holds tiktoken's own files in
any naming (each is known by its sha256, the same that ``tiktoken_ext.openai_public`` expects).
The packed form, deflated, is the number of tokens (four bytes), one length byte for each, then the
raw bytes of all, in rank order: 1.42 MB for both. LZMA would save 0.23 MB and cost 40 ms at load,
and not every Python is built with it.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from pathlib import Path

TARGET = Path(__file__).parents[1] / "packages/agentfuse-core/src/agentfuse/tokens/vocabularies"

# From tiktoken_ext/openai_public.py (tiktoken 0.14).
NAME_OF_SHA256 = {
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": "o200k_base",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": "cl100k_base",
}


def tokens_of(text: bytes) -> list[bytes]:
    """Read the lines ``base64 rank`` as tokens in rank order; a gap in the ranks is an error."""
    ranked = [line.split() for line in text.splitlines() if line]
    tokens = {int(rank): base64.b64decode(token) for token, rank in ranked}
    return [tokens[rank] for rank in range(len(ranked))]


def packed(tokens: list[bytes]) -> bytes:
    """Deflate the count, the lengths and the bytes of the tokens."""
    lengths = bytes(len(token) for token in tokens)
    return zlib.compress(len(tokens).to_bytes(4, "big") + lengths + b"".join(tokens), 9)


def main(folder: Path) -> None:
    """Pack every vocabulary of ``folder`` that is known by its hash, and say what is missing."""
    missing = dict(NAME_OF_SHA256)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_bytes()
        name = missing.pop(hashlib.sha256(text).hexdigest(), None)
        if name is not None:
            (TARGET / f"{name}.zlib").write_bytes(packed(tokens_of(text)))
    if missing:
        sys.exit(f"not found in {folder}: {', '.join(missing.values())}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
