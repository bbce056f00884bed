"""Check that the parts of a usage fit into their totals, and tell overlapping parts apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.usage import Usage


def settled(usage: Usage) -> Usage:
    """Tell apart what was heard or seen anew and what came from the cache.

    Providers count cached sound among the sound, seldom saying how much: as much as the total
    leaves room for is read as new, the dearer kind.
    """
    if not usage.cache_read_tokens:
        return usage
    room = usage.input_tokens - _cached(usage)
    if room < 0 or not 0 < _inputs(usage) - usage.input_tokens <= usage.cache_read_tokens:
        return usage
    heard = min(usage.input_audio_tokens, room)
    seen = min(usage.input_image_tokens, room - heard)
    watched = min(usage.input_video_tokens, room - heard - seen)
    kept_sound = max(usage.cache_read_audio_tokens, usage.input_audio_tokens - heard)
    return replace(
        usage,
        input_audio_tokens=heard,
        input_image_tokens=seen,
        input_video_tokens=watched,
        cache_read_audio_tokens=min(kept_sound, usage.cache_read_tokens),
    )


def is_consistent(usage: Usage) -> bool:
    """Check that the parts of a usage fit into their totals.

    Where they do not, the counts stay as the provider told them, and a price card reads the total
    as one that leaves the parts out: the dearest reading.
    """
    return (
        _inputs(usage) <= usage.input_tokens
        and _outputs(usage) <= usage.output_tokens
        and usage.cache_read_audio_tokens <= usage.cache_read_tokens
    )


def _cached(usage: Usage) -> int:
    return (
        usage.cache_read_tokens
        + usage.cache_write_5m_tokens
        + usage.cache_write_1h_tokens
        + usage.cache_write_12h_tokens
    )


def _inputs(usage: Usage) -> int:
    media = usage.input_audio_tokens + usage.input_image_tokens + usage.input_video_tokens
    return _cached(usage) + media


def _outputs(usage: Usage) -> int:
    return usage.reasoning_tokens + usage.output_audio_tokens + usage.output_image_tokens
