"""Documents, sounds and films are counted by the pages and seconds that their bytes show."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agentfuse.messages import Media, Message, Other, Reasoning, Request, Text, ToolCall
from agentfuse.tokens import TokenCounter, TokenEstimate
from agentfuse.tokens.lengths import pages_of, seconds_of
from agentfuse.tokens.wires import request_of

Kind = Literal["image", "audio", "document", "video"]


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def pdf(pages: int) -> bytes:
    """Draw a PDF of so many pages with Pillow."""
    drawn = [Image.new("RGB", (60, 80), "white") for _ in range(pages)]
    file = io.BytesIO()
    drawn[0].save(file, "PDF", save_all=True, append_images=drawn[1:])
    return file.getvalue()


def packed_pdf(pages: int) -> bytes:
    """Put the page objects into a compressed object stream, as newer writers do."""
    objects = b" ".join(b"<< /Type /Page /Parent 1 0 R >>" for _ in range(pages))
    packed = zlib.compress(b"<< /Type /Pages /Kids [] >> " + objects)
    head = b"%%PDF-1.7\n5 0 obj << /Type /ObjStm /N 4 /First 20 /Length %d >>" % len(packed)
    return head + b" stream\r\n" + packed + b"\r\nendstream endobj"


def wav(seconds: int, rate: int = 8_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(2 * rate * seconds))
    return file.getvalue()


def mp3(seconds: int, *, tagged: bool = False) -> bytes:
    """Lay out MPEG-1 layer III at 128 kbit/s: 16,000 bytes a second."""
    tag = b"ID3\x04\0\0\0\0\x01\x00" + bytes(128) if tagged else b""
    return tag + b"\xff\xfb\x90\x64" + bytes(16_000 * seconds - 4)


def mp4(seconds: int, *, wide: bool = False) -> bytes:
    times = struct.pack(">QQIQ" if wide else ">IIII", 0, 0, 1_000, 1_000 * seconds)
    header = b"mvhd" + (b"\1" if wide else b"\0") + bytes(3) + times
    return b"\0\0\0\x18ftypmp42" + bytes(12) + b"\0\0\0\x80moov\0\0\0\x6c" + header + bytes(60)


def asking(model: str, kind: Kind, raw: bytes = b"", **given: Any) -> TokenEstimate:
    media = Media(kind=kind, data=encoded(raw), **given)
    request = Request(provider="", model=model, messages=(Message("user", (media,)),))
    return TokenCounter().count(request)


@pytest.mark.parametrize("pages", [1, 3, 12])
@pytest.mark.parametrize("write", [pdf, packed_pdf])
def test_the_pages_of_a_pdf_are_counted(write: Any, pages: int) -> None:
    assert pages_of(encoded(write(pages))) == pages


@pytest.mark.parametrize(
    ("sound", "seconds"),
    [
        (wav(3), 3),
        (wav(2, 48_000), 2),
        (mp3(7), 7),
        (mp3(7, tagged=True), 7),
        (mp4(9), 9),
        (mp4(9, wide=True), 9),
    ],
)
def test_the_seconds_of_a_sound_or_film_are_read(sound: bytes, seconds: int) -> None:
    assert seconds <= (seconds_of(encoded(sound)) or 0) <= seconds + 1


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"%PDF-", b"RIFF0000WAVE", b"ID3", b"\xff\xfb"])
)
def test_any_bytes_have_a_length_or_none(raw: bytes, start: bytes) -> None:
    data = encoded(start + raw)
    assert pages_of(data) is None or (pages_of(data) or 0) > 0
    assert seconds_of(data) is None or (seconds_of(data) or 0) > 0


@pytest.mark.parametrize("data", ["", "A", "not base64", "AAAA", encoded(b"ID3"), "é" * 10])
def test_what_is_no_medium_has_no_length(data: str) -> None:
    assert pages_of(data) is None
    assert seconds_of(data) is None


def test_a_page_is_its_picture_and_its_text() -> None:
    small = 5
    assert asking("gemini-2.5-flash", "document", pdf(2)).tokens == 2 * 258 + 1
    assert asking("gemini-3-flash-preview", "document", pdf(2)).tokens == 2 * 560 + 1
    assert asking("claude-sonnet-4-5", "document", pdf(2)).tokens == 2 * 1590 + small + 7
    assert asking("gpt-4o", "document", pdf(2)).tokens == small + 7
    assert asking("gpt-4o", "document", pdf(2)).high > 2 * 1_500


def test_the_first_bytes_of_a_document_are_its_font() -> None:
    page = pdf(1).ljust(32_000, b" ")
    assert asking("gpt-4o", "document", page).tokens == 200 + 7
    linked = asking("gpt-4o", "document", url="https://a.b/c.pdf")
    assert linked.tokens == 5 + 7
    assert linked.high >= 20_000


def test_converse_shows_a_model_the_text_alone() -> None:
    body = {
        "messages": [
            {
                "role": "user",
                "content": [{"document": {"format": "pdf", "source": {"bytes": encoded(pdf(2))}}}],
            }
        ]
    }
    estimate = TokenCounter().count_request(
        body, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock.converse", "bedrock"
    )
    assert estimate.tokens < 100


def test_a_document_of_text_is_read() -> None:
    text = b"one two three four five six seven eight nine ten"
    estimate = asking("gpt-4o", "document", text, media_type="text/plain")
    assert estimate.tokens == 10 + 7
    assert estimate.high >= estimate.tokens


def test_sounds_and_films_are_counted_by_the_second() -> None:
    assert asking("gpt-audio", "audio", mp3(4)).tokens == 4 * 10 + 7
    assert asking("gemini-2.5-flash", "audio", mp3(4)).tokens == 4 * 32 + 1
    assert asking("gemini-2.0-flash", "audio", mp3(4)).tokens == 4 * 25
    assert asking("gemini-2.5-flash", "video", mp4(4)).tokens == 4 * 263 + 1
    assert asking("gemini-3-flash-preview", "video", mp4(4)).tokens == 4 * 100 + 1


@pytest.mark.parametrize("kind", ["audio", "document", "video"])
@pytest.mark.parametrize("raw", [b"", b"A" * 40_000], ids=["elsewhere", "unknown"])
def test_what_shows_nothing_is_set_aside_for(kind: Kind, raw: bytes) -> None:
    given = {} if raw else {"url": "https://example.com/medium"}
    estimate = asking("gemini-2.5-flash", kind, raw, **given)
    assert estimate.tokens < estimate.high
    assert estimate.high >= (10_000 if not raw else 200)


def test_a_picture_at_low_detail_is_its_least() -> None:
    block = {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}}
    for model, tokens in (("gpt-4o", 85), ("gpt-4o-mini", 2833), ("gpt-5-mini", 308)):
        media = Media(kind="image", url="https://a.b/c.png", block=block)
        request = Request(provider="", model=model, messages=(Message("user", (media,)),))
        estimate = TokenCounter().count(request)
        assert tokens <= estimate.tokens <= tokens + 7


# --- what the server adds or keeps ---------------------------------------------------------------


def said(text: str = "hi", role: str = "user") -> Message:
    return Message(role, (Text(text),))


def openai(*messages: Message, model: str = "gpt-5", **given: Any) -> TokenEstimate:
    request = Request(
        provider="openai", model=model, api="responses", messages=messages or (said(),), **given
    )
    return TokenCounter().count(request)


@pytest.mark.parametrize(
    ("model", "tool", "least"),
    [
        ("gpt-4.1", "web_search_preview", 245),
        ("gpt-5", "web_search", 8_000),
        ("gpt-4o", "file_search", 1_000),
        ("gpt-5", "code_interpreter", 1_200),
    ],
)
def test_openais_own_tools_bring_their_findings_along(model: str, tool: str, least: int) -> None:
    bare = openai(model=model)
    estimate = openai(model=model, tools=({"type": tool},))
    assert estimate.tokens > bare.tokens + least
    assert estimate.high > 2 * estimate.tokens


def test_a_conversation_that_the_server_keeps_is_never_exact() -> None:
    assert openai().method == "exact"
    kept = openai(params={"previous_response_id": "resp_1"})
    assert kept.method == "heuristic"
    assert kept.high > 8_000


def test_encrypted_thoughts_are_billed_until_the_next_question() -> None:
    thought = Message("assistant", (Reasoning("", {"encrypted_content": "A" * 2_300}),))
    looping = openai(said(), thought)
    asked_again = openai(said(), thought, said("yes", "assistant"), said())
    assert looping.tokens - openai(said(), Message("assistant")).tokens == 1_400 // 7
    bare = openai(said(), Message("assistant"), said("yes", "assistant"), said())
    assert asked_again.tokens == bare.tokens


def test_signatures_and_encrypted_blocks_are_not_read_as_text() -> None:
    block = Other({"type": "opaque", "data": "A1b2" * 5_000})
    assert openai(Message("user", (block,))).tokens < 50


def test_gemini_3_is_billed_for_the_thoughts_it_signed() -> None:
    part = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "A" * 600}
    body = {"contents": [{"role": "model", "parts": [part]}]}
    later = TokenCounter().count_request(body, "gemini-3-pro-preview", "google.generateContent")
    early = TokenCounter().count_request(body, "gemini-2.5-pro", "google.generateContent")
    assert later.tokens == early.tokens + 100


def test_content_that_google_keeps_is_set_aside_for() -> None:
    body = {"contents": "hi", "cachedContent": "cachedContents/1"}
    estimate = TokenCounter().count_request(body, "gemini-2.5-flash", "google.generateContent")
    assert estimate.tokens > 1_024
    assert estimate.high > 32_000


def test_thoughts_count_where_the_model_sees_them_again() -> None:
    words = "first consider this and then that " * 10
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": words}]}
    asked = {"role": "user", "content": "hi"}
    body = {"messages": [asked, {"role": "assistant", "content": [thinking]}, asked]}
    request = request_of(body, "magistral-medium-latest", "chat.completions")
    assert request.messages[1].parts == (Reasoning(words, thinking),)
    assert TokenCounter().count(request).tokens > 60
    glm = [asked, {"role": "assistant", "content": "ok", "reasoning_content": words}, asked]
    kept = {"messages": glm, "thinking": {"type": "enabled", "clear_thinking": False}}
    dropped = TokenCounter().count_request({"messages": glm}, "glm-4.7", "chat.completions")
    assert TokenCounter().count_request(kept, "glm-4.7", "chat.completions").tokens > (
        dropped.tokens + 60
    )


def test_what_google_shows_only_the_user_is_not_counted() -> None:
    shown = {"search_suggestions": "<style>" + "x y " * 2_000, "found": "rain"}
    part = {"toolResponse": {"tool_type": "GOOGLE_SEARCH_WEB", "response": shown}}
    body = {"contents": [{"role": "model", "parts": [part]}]}
    estimate = TokenCounter().count_request(body, "gemini-3-pro-preview", "google.generateContent")
    assert estimate.tokens < 60


@pytest.mark.parametrize(
    ("model", "asked", "tokens"),
    [
        ("glm-4.7", {}, 4 + 1 + 2),
        ("mistral-small-latest", {}, 1 + 12 + 1 + 2),
        ("mistral-small-2603", {}, 1 + 12 + 1 + 2),
        ("mistral-small-2506", {}, 1 + 1 + 2),
        ("qwen3-32b", {}, 3 + 5 + 2),
        ("qwen3-32b", {"reasoning_effort": "none"}, 3 + 5 + 2 + 4),
    ],
)
def test_a_template_counts_what_it_writes(model: str, asked: dict[str, Any], tokens: int) -> None:
    body = {"messages": [{"role": "user", "content": "hello world"}], **asked}
    assert TokenCounter().count_request(body, model, "chat.completions").tokens == tokens


def test_a_picture_for_mistral_is_rows_of_patches() -> None:
    png = io.BytesIO()
    Image.new("1", (400, 301)).save(png, "PNG")
    media = Media(kind="image", data=encoded(png.getvalue()))
    call = ToolCall("a", "f", "{}")
    for model, tokens in (("mistral-medium-latest", 16 * 11), ("pixtral-12b-latest", 26 * 19)):
        request = Request(provider="", model=model, messages=(Message("user", (media,), (call,)),))
        bare = Request(provider="", model=model, messages=(Message("user", (), (call,)),))
        counter = TokenCounter()
        assert counter.count(request).tokens - counter.count(bare).tokens == tokens
