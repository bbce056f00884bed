"""Recorded requests and what they were billed, with stand-ins for the media left out of them."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# What no body shows: what a provider's own tools put in, thinking and state kept on its side.
_ELSEWHERE = frozenset({"opaque", "server_tools", "reasoning_history"})
# Media whose pages and seconds were left out of the recordings.
_LEFT_OUT = frozenset({"document", "audio", "video"})
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")
_LEAST_CACHED = 16  # the smallest block that any provider keeps; most keep 64 to 1,024
_CLAUDE_SINCE_CACHING = re.compile(r"claude-(opus|sonnet|haiku|fable)-[4-9]")
_PROSE = b"Of a file that was left out, nothing but its length was recorded. "
_OMITTED_TEXT = re.compile(r"<omitted (\d+) chars>")
_OMITTED = re.compile(r'(?:__media__:)?\{\\?"omitted\\?": ?true[^{}]*\}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One request as sent, and the input tokens the provider counted.

    ``doubt`` says why a recording proves nothing; empty for a sound one. ``recent`` tells, of
    Anthropic's own answers alone, whether the usage says where it was computed, as it does since
    early 2026: the hidden tool prompt of Claude 4.5 grew by some 180 tokens in the months before.
    Two requests alike but for their tool's name and six words were billed 175 apart, so no body
    tells which prompt it met.
    """

    id: str
    provider: str
    api: str
    model: str
    body: dict[str, Any]
    actual: int
    kinds: frozenset[str]
    source: str
    shown: bool
    doubt: str = ""
    recent: bool | None = None

    @property
    def kind(self) -> str:
        """The row of the tables it belongs to."""
        if self.doubt:
            return "doubtful"
        if self.kinds & _ELSEWHERE:
            return "unseen"
        if self.kinds & _LEFT_OUT or not self.shown:
            return "media not shown"
        for kind in ("image", "schema", "tools"):
            if kind in self.kinds:
                return kind
        return "tools" if "tool_history" in self.kinds else "plain"


def recordings_of(data: Path) -> list[Recording]:
    """Read every split of ``data``/usage_pairs, conversations in the order they were held."""
    found = [
        _recording_of(json.loads(line))
        for path in sorted(data.glob("usage_pairs/*/*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    return sorted((each for each in found if each.actual > 0), key=_order)


def _order(recording: Recording) -> tuple[str, int, str]:
    file, _, number = recording.source.rpartition("#")
    return file, int(number) if number.isdigit() else 0, recording.id


def _recording_of(row: dict[str, Any]) -> Recording:
    body = _restored(row["request"])
    kinds = frozenset(row.get("kinds") or ())
    return Recording(
        id=row["id"],
        provider=row["provider"],
        api=row["api"],
        model=row.get("model") or row.get("response_model") or "",
        body=body,
        actual=row["input_total"] or 0,
        kinds=kinds,
        source=row.get("source", ""),
        shown=_shown(row["request"], kinds),
        doubt=_doubt_about(row),
        recent=_recency_of(row),
    )


def _recency_of(row: dict[str, Any]) -> bool | None:
    if row["api"] != "anthropic.messages" or row["provider"] != "anthropic":
        return None
    return "inference_geo" in (row.get("usage") or {})


def _doubt_about(row: dict[str, Any]) -> str:
    """Say why a recording cannot be true as it stands: its usage or its text was edited by hand."""
    usage = row.get("usage") or {}
    cached = sum(usage.get(name) or 0 for name in _CACHED)
    unseen = (_ELSEWHERE | _LEFT_OUT).intersection(row.get("kinds") or ())
    if not unseen and cached > len(json.dumps(row["request"], ensure_ascii=False).encode()):
        return "more tokens were cached than the request has bytes: its text was shortened"
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    if 0 < (details.get("cached_tokens") or 0) < _LEAST_CACHED:
        return "fewer tokens were cached than the smallest block: it was made up"
    if "schema" in (row.get("kinds") or ()) and "claude-3" in (row.get("model") or ""):
        return "no Claude 3 takes an output schema: it was made up"
    newer = _CLAUDE_SINCE_CACHING.search(row.get("model") or "")
    if row["api"] == "anthropic.messages" and newer and _CACHED[0] not in usage:
        return "Anthropic's usages have had cache fields since before this model: it was made up"
    return ""


def _shown(request: Any, kinds: frozenset[str]) -> bool:
    """Say whether nothing that counts was left out: files but pictures of known size, and links."""
    text = json.dumps(request)
    if any("width" not in each for each in _OMITTED.findall(text)):
        return False
    linked = re.search(r'"(url|image_url|fileUri|file_uri)": "(https?|gs)://', text)
    return "image" not in kinds or ("width" in text and not linked and '"file_id"' not in text)


def _restored(value: Any) -> Any:
    """Put data of the right size where a recording only says what was left out."""
    if isinstance(value, dict):
        if value.get("omitted"):
            return _stand_in(value)
        return {key: _restored(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_restored(each) for each in value]
    if isinstance(value, str) and "omitted" in value:
        cut = _OMITTED_TEXT.fullmatch(value)  # a signature, or an encrypted thought
        return "A" * int(cut.group(1)) if cut else _restored_text(value)
    return value


def _restored_text(text: str) -> str:
    def data(found: re.Match[str]) -> str:
        described = json.loads(found.group().removeprefix("__media__:").replace('\\"', '"'))
        before = text[max(found.start() - 8, 0) : found.start()]
        kind = described.get("mime") or f"image/{described.get('format') or 'png'}"
        lead = f"{kind};base64," if before.endswith("data:") else ""
        return lead + _stand_in(described)

    return _OMITTED.sub(data, text)


def _stand_in(described: dict[str, Any]) -> str:
    if described.get("width"):
        return _png(int(described["width"]), int(described["height"]))
    size = int(described.get("bytes") or 0)
    return base64.b64encode((_PROSE * (size // len(_PROSE) + 1))[:size]).decode()


def _png(width: int, height: int) -> str:
    """Draw an empty picture of one bit a pixel."""
    rows = zlib.compress((b"\0" + bytes((width + 7) // 8)) * height, 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (("IHDR", head), ("IDAT", rows), ("IEND", b""))
    drawn = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), data) for name, data in chunks)
    return base64.b64encode(drawn).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    summed = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", summed)
