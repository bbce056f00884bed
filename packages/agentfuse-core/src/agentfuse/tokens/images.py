"""What a picture counts: its size, read from its first bytes, and each family's formula.

Formulas: OpenAI, https://platform.openai.com/docs/guides/images-vision (tiles and patches);
Anthropic, patches of 28 pixels, confirmed to the token on recorded usages (not the w*h/750 of
older pages); Gemini, https://ai.google.dev/gemini-api/docs/tokens.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Size = tuple[int, int]

# As much of a picture as is decoded to find its size; JPEG puts it after any EXIF block.
_HEAD = 262_144

# What a picture of unknown size is taken for: a small one, since a count that is too high may be
# off by any factor. What is set aside is the most that a model counts.
_USUAL: Size = (640, 480)


def size_of(data: str) -> Size | None:
    """Read width and height from base64 PNG, JPEG, GIF or WebP data; None for anything else."""
    try:
        head = base64.b64decode(data[: _HEAD - _HEAD % 4], validate=False)
        for read in (_png, _gif, _webp, _jpeg):
            size = read(head)
            if size is not None and min(size) > 0:
                return size
    except (struct.error, IndexError, binascii.Error, ValueError):
        return None
    return None


def image_tokens(
    model: str, family: str, size: Size | None, *, guess: Size = _USUAL
) -> tuple[int, int]:
    """Give (likely, at most) tokens for a picture; without a size the model's upper bound holds.

    ``model`` is a bare lower-case name, ``family`` a name of ``agentfuse.tokens.families``;
    ``guess`` is what a picture of unknown size is taken for.
    """
    rule = _rule_of(model, family)
    if size is None:
        likely = rule.count(guess)
        return likely, max(likely, rule.most)
    tokens = rule.count(size)
    return tokens, tokens if family.startswith("openai") else ceil(tokens * 1.1)


def low_detail_tokens(model: str) -> int:
    """Count a picture of OpenAI's low detail: no tile, or the patches of 512 by 512 pixels."""
    return _rule_of(model, "openai").low


def tiles_of(size: Size) -> int:
    """Count OpenAI's 512-pixel tiles: fit into 2048, then the short side to 768, never enlarged."""
    fitted = min(1.0, 2048 / max(size))
    shrink = min(fitted, 768 / min(size))
    return ceil(size[0] * shrink / 512) * ceil(size[1] * shrink / 512)


@dataclass(frozen=True, slots=True)
class Rule:
    """How a model counts pictures: of a size, at most, and at low detail."""

    count: Callable[[Size], int]
    most: int
    low: int = 0


def _tiled(base: int, tile: int) -> Rule:
    def tokens(size: Size) -> int:
        return base + tile * tiles_of(size)

    return Rule(tokens, base + 8 * tile, base)


def _patched(factor: float, cap: int, pixels: int = 32, *, base: int = 0) -> Rule:
    def tokens(size: Size) -> int:
        patches = ceil(size[0] / pixels) * ceil(size[1] / pixels)
        return base + ceil(min(patches, cap) * factor)

    return Rule(tokens, base + ceil(cap * factor), tokens((512, 512)))


def _always(tokens: int, most: int) -> Rule:
    def count(size: Size) -> int:
        del size
        return tokens

    return Rule(count, most)


# (prefix of the model's name, rule), first match wins.
_OPENAI = (
    ("gpt-4o-mini", _tiled(2833, 5667)),
    ("gpt-4.1-mini", _patched(1.62, 1536)),
    ("gpt-4.1-nano", _patched(2.46, 1536)),
    ("o4-mini", _patched(1.72, 1536)),
    ("gpt-5-mini", _patched(1.2, 1536)),
    ("gpt-5-nano", _patched(1.5, 1536)),
    ("gpt-5.5", _patched(1.2, 10_000)),
    ("gpt-5.6", _patched(1.2, 10_000)),
    ("gpt-5", _tiled(70, 140)),
    ("gpt-6", _patched(1.2, 12_000)),
    ("o1", _tiled(75, 150)),
    ("o3", _tiled(75, 150)),
    ("", _tiled(85, 170)),
)


def _rule_of(model: str, family: str) -> Rule:
    if family.startswith("openai"):
        return next(rule for prefix, rule in _OPENAI if model.startswith(prefix))
    if family == "claude-4.7":
        return _patched(1.0, 4800, 28)
    if family.startswith("claude"):
        return _patched(1.0, 1600, 28)
    return _gemini(model) if family == "gemini" else _measured(model, family)


def _measured(model: str, family: str) -> Rule:
    """Pictures of families that publish no formula, as recorded usages billed them."""
    if family == "mistral":
        return _mistral(model)
    if family == "llama-4":
        return _patched(1.0, 2000, 28, base=310)
    if family == "nova" and "nova-2" not in model:
        return _always(1820, 2000)
    return _patched(1.0, 5000, 28)


def _mistral(model: str) -> Rule:
    """Count patches in rows, each with a token at its end (mistral_common/tokens/.../image.py).

    Pixtral's are 16 pixels of at most 1,024; since Mistral Small 3.1 they are 28 of at most 1,540.
    """
    pixels, longest = (16, 1024) if "pixtral" in model else (28, 1540)

    def tokens(size: Size) -> int:
        shrink = max(max(size) / longest, 1.0)
        wide, high = (ceil(round(side / shrink) / pixels) for side in size)
        return (wide + 1) * high

    return Rule(tokens, tokens((longest, longest)))


def _gemini(model: str) -> Rule:
    if "2.5" in model:
        return _always(258, 300)
    if "2.0" in model or "1.5" in model:
        return Rule(_gemini_tiles, 258 * 17)
    return _always(1120, 1250)


def _gemini_tiles(size: Size) -> int:
    if max(size) <= 384:  # noqa: PLR2004 - the page's own figure
        return 258
    tile = min(max(int(min(size) / 1.5), 256), 768)
    return 258 * (ceil(size[0] / tile) * ceil(size[1] / tile) + 1)


def _png(head: bytes) -> Size | None:
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _gif(head: bytes) -> Size | None:
    if head[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", head[6:10])
    return width, height


def _webp(head: bytes) -> Size | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if head[12:16] == b"VP8X":
        return (
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(head: bytes) -> Size | None:
    if head[:2] != b"\xff\xd8":
        return None
    at = 2
    while head[at] == 0xFF:  # noqa: PLR2004 - a marker's first byte
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004 - frames
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
