"""How long a document, a sound or a film is, read from its bytes: pages and seconds.

Formats: PDF, ISO 32000-1 (7.5.7 object streams, 7.7.3 page tree); RIFF/WAVE; MPEG audio frames,
ISO 11172-3 (2.4.2.3) and 13818-3; MP4, ISO 14496-12 (8.2.2, the movie header).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_TREE = re.compile(rb"/Count\s+(\d{1,6})")
_PACKED = re.compile(rb"/ObjStm\b[^>]{0,200}>>\s*stream\r?\n")
_UNPACKED = 1 << 20  # as much of each object stream as is unpacked
_STREAMS = 200

_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_TAG = 10  # an ID3v2 header


def bytes_in(data: str) -> int:
    """Tell how many bytes base64 data holds."""
    return len(data) * 3 // 4


def pages_of(data: str) -> int | None:
    """Count the pages of a base64 PDF; None for anything else, or where they cannot be found."""
    return _remembered(_pages, data)


def seconds_of(data: str) -> int | None:
    """Tell the length of a base64 WAV, MP3 or MP4, rounded up; None for anything else."""
    return _remembered(_seconds, data)


_known: dict[tuple[str, int, int], int | None] = {}
_lock = Lock()
_MOST_KNOWN = 1024


def _remembered(measure: Callable[[bytes], int | None], data: str) -> int | None:
    """Measure each medium once: agents resend them with every turn. Keeps none of them alive."""
    key = (measure.__name__, len(data), hash(data))
    with _lock:
        if key in _known:
            return _known[key]
    try:
        length = measure(base64.b64decode(data))
    except (binascii.Error, ValueError, IndexError, zlib.error, ZeroDivisionError):
        length = None
    with _lock:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = length
    return length


def _pages(raw: bytes) -> int | None:
    """Count page objects; newer files pack them into compressed streams."""
    if not raw.startswith(b"%PDF-"):
        return None
    pages = len(_PAGE.findall(raw))
    if not pages:
        unpacked = b"\n".join(_unpacked(raw))
        pages = len(_PAGE.findall(unpacked))
    counts = [int(found) for found in _TREE.findall(raw)]
    return max([pages, *counts]) or None


def _unpacked(raw: bytes) -> list[bytes]:
    starts = [found.end() for found in _PACKED.finditer(raw)][:_STREAMS]
    return [zlib.decompressobj().decompress(raw[at:], _UNPACKED) for at in starts]


def _seconds(raw: bytes) -> int | None:
    for measure in (_wav, _mp4, _mp3):
        seconds = measure(raw)
        if seconds is not None and seconds > 0:
            return ceil(seconds)
    return None


def _wav(raw: bytes) -> float | None:
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        return None
    at = raw.index(b"fmt ")
    rate = int.from_bytes(raw[at + 16 : at + 20], "little")  # bytes a second
    return (len(raw) - at) / rate


def _mp4(raw: bytes) -> float | None:
    if raw[4:8] != b"ftyp":
        return None
    at = raw.index(b"mvhd") + 4
    wide = 8 if raw[at] else 4  # version 1 keeps times in 8 bytes
    start = at + 4 + 2 * wide
    scale = int.from_bytes(raw[start : start + 4], "big")
    return int.from_bytes(raw[start + 4 : start + 4 + wide], "big") / scale


def _mp3(raw: bytes) -> float | None:
    """Divide by the bit rate of the first frame, which all share in most files."""
    at = 0
    if raw[:3] == b"ID3":
        at = _TAG + (raw[6] << 21 | raw[7] << 14 | raw[8] << 7 | raw[9])
    if raw[at] != 0xFF or raw[at + 1] & 0xE6 != 0xE2:  # noqa: PLR2004 - sync, and layer III
        return None
    version = 1 if raw[at + 1] & 0x18 == 0x18 else 2  # noqa: PLR2004
    return (len(raw) - at) * 8 / (_BITRATES[version][raw[at + 2] >> 4] * 1000)
