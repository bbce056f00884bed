"""What pictures, documents, sounds and films count: by their size, pages and seconds.

Where a request does not show these (a medium behind an address, an unknown format), the likely
count is that of a small one, or of a picture as its address tells, and the upper one is for what is
usual at the most. Sources:
https://platform.openai.com/docs/guides/pdf-files and .../audio (10 tokens a second),
https://docs.anthropic.com/en/docs/build-with-claude/pdf-support (text and picture of each page; on
Bedrock's Converse the text alone), https://ai.google.dev/gemini-api/docs/tokens and
.../media-resolution (pages, seconds, frames); and recorded usages.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from agentfuse.tokens.addresses import linked_size
from agentfuse.tokens.images import image_tokens, low_detail_tokens, size_of
from agentfuse.tokens.json_shapes import object_of
from agentfuse.tokens.lengths import bytes_in, pages_of, seconds_of
from agentfuse.tokens.text import vocabulary_count

if TYPE_CHECKING:
    from agentfuse.messages import Media
    from agentfuse.tokens.families import Family

# A page of print is some 500 words; a small file cannot hold so much.
_TEXT_OF_PAGE = 500
_MOST_TEXT_OF_PAGE = 1500
_BYTES_PER_TEXT_TOKEN = 100  # an article with its fonts
_BYTES_BEFORE_TEXT = 12_000  # the first font: a recorded page of three words has 13,264 bytes
_FEW_WORDS = 5  # the least that a document says
_BYTES_PER_PAGE = 60_000  # a page with some pictures
_LEAST_BYTES_PER_PAGE = 2_000
_MOST_PAGES = 1_000  # the most that any provider takes (Gemini)
_PICTURE_OF_PAGE = {"gemini": 258, "claude": 1590}
_LATER_GEMINI_PAGE = 560
_MOST_PICTURE_OF_PAGE = 1800

# Tokens a second of sound and of film, the latter at one frame a second with its sound.
_SOUND = {"gemini": 32, "openai": 10}
_EARLY_GEMINI_SOUND = 25
_FILM = 263
_LATER_GEMINI_FILM = 100
_MOST_FILM = 300

# Bytes a second where a file's own header does not say: speech as it is usually kept.
_RATES = {"wav": 32_000, "x-wav": 32_000, "flac": 32_000, "ogg": 6_000, "opus": 6_000}
_RATE = 16_000
_LEAST_RATE = 4_000
_FILM_RATE = 125_000
_LEAST_FILM_RATE = 30_000
_THINNEST_FILM_RATE = 2_000  # fewer bytes a second show nothing
_SHORT = 5  # seconds of a sound or film of which nothing is known
_UNSEEN = 20_000  # the most that one behind an address is reckoned with

_TEXTS = frozenset({"txt", "md", "csv", "html", "plain", "markdown", "json", "xml"})


def media_tokens(model: str, family: Family, media: Media) -> tuple[int, int]:
    """Give (likely, at most) tokens of a picture, document, sound or film.

    ``model`` is the bare lower-case name.
    """
    match media.kind:
        case "image":
            return _image_tokens(model, family, media)
        case "document":
            return _document_tokens(model, family, media)
        case "audio":
            return _sound_tokens(model, family, media)
        case "video":
            return _film_tokens(model, family, media)


def _image_tokens(model: str, family: Family, media: Media) -> tuple[int, int]:
    if _detail_of(media) == "low" and family.name.startswith("openai"):
        tokens = low_detail_tokens(model)
        return tokens, tokens
    if media.url and not media.data:
        return image_tokens(model, family.name, None, guess=linked_size(media.url))
    return image_tokens(model, family.name, size_of(media.data))


def _detail_of(media: Media) -> str:
    """Read the detail asked for: beside the picture, or in it, by dialect."""
    inner = object_of(media.block.get("image_url"))
    return str(media.block.get("detail") or inner.get("detail") or "")


def _document_tokens(model: str, family: Family, media: Media) -> tuple[int, int]:
    """Count pages: the text of each, and its picture where the provider shows it to the model."""
    if media.data and media.media_type.rpartition("/")[2].lower() in _TEXTS:
        tokens = _text_tokens(family, media.data)
        return tokens, 2 * tokens + 100
    picture = _page_picture(model, family, media)
    if not media.data:
        return picture or _FEW_WORDS, _UNSEEN
    size, pages = bytes_in(media.data), pages_of(media.data)
    text = max((size - _BYTES_BEFORE_TEXT) // _BYTES_PER_TEXT_TOKEN, _FEW_WORDS)
    text = 0 if _family_word(family) == "gemini" else text
    likely = pages or max(round(size / _BYTES_PER_PAGE), 1)
    most = pages or min(size // _LEAST_BYTES_PER_PAGE + 1, _MOST_PAGES)
    return (
        likely * picture + min(text, likely * _TEXT_OF_PAGE),
        most * (_MOST_TEXT_OF_PAGE + _MOST_PICTURE_OF_PAGE),
    )


def _text_tokens(family: Family, data: str) -> int:
    try:
        text = base64.b64decode(data).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        text = data
    return vocabulary_count(text, family.vocabulary) * family.text // 1000


def _page_picture(model: str, family: Family, media: Media) -> int:
    """Count a page's picture; Converse (whose blocks have a format and no type) shows none."""
    word = _family_word(family)
    converse = "format" in media.block and "type" not in media.block
    if word == "gemini" and not _is_early_gemini(model):
        return _LATER_GEMINI_PAGE
    return 0 if converse else _PICTURE_OF_PAGE.get(word, 0)


def _sound_tokens(model: str, family: Family, media: Media) -> tuple[int, int]:
    word = _family_word(family)
    each = _SOUND.get(word, _SOUND["gemini"])
    if word == "gemini" and ("-2.0" in model or "-1.5" in model):
        each = _EARLY_GEMINI_SOUND
    if not media.data:
        return _SHORT * each, _UNSEEN
    seconds = seconds_of(media.data)
    if seconds is not None:
        return seconds * each, (seconds + 1) * _SOUND["gemini"]
    size = bytes_in(media.data)
    likely = size / _RATES.get(_format_of(media), _RATE)
    return round(likely * each), max(size // _LEAST_RATE, 1) * _SOUND["gemini"] + 100


def _format_of(media: Media) -> str:
    kind = media.media_type.rpartition("/")[2] or object_of(media.block.get("input_audio")).get(
        "format"
    )
    return str(kind or "").lower()


def _film_tokens(model: str, family: Family, media: Media) -> tuple[int, int]:
    later = _family_word(family) == "gemini" and not _is_early_gemini(model)
    each = _LATER_GEMINI_FILM if later else _FILM
    if not media.data:
        return _SHORT * each, _UNSEEN
    seconds = seconds_of(media.data)
    if seconds is not None:
        return seconds * each, (seconds + 1) * _MOST_FILM
    size = bytes_in(media.data)
    shortest = min(_SHORT, size // _THINNEST_FILM_RATE)
    likely = max(size // _FILM_RATE, shortest)
    return likely * each, max(size // _LEAST_FILM_RATE, 2 * _SHORT) * _MOST_FILM


def _family_word(family: Family) -> str:
    return family.name.partition("-")[0]


def _is_early_gemini(model: str) -> bool:
    return any(version in model for version in ("-1.5", "-2.0", "-2.5"))
