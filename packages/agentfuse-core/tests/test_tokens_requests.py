"""Requests are counted as providers bill them, and the upper bound holds."""

from __future__ import annotations

import base64
import gzip
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from agentfuse.messages import Media, Message, Other, Reasoning, Request, Text, ToolCall
from agentfuse.tokens import TokenCounter, TokenEstimate
from agentfuse.tokens.images import size_of, tiles_of

DATA = Path(os.environ.get("AGENTFUSE_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAIRS = DATA / "usage_pairs" / "dev"
needs_pairs = pytest.mark.skipif(
    not PAIRS.is_dir(), reason="recorded usages are not beside the repository (AGENTFUSE_DATA)"
)


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    return base64.b64encode(head).decode()


def image_of(block: dict[str, Any]) -> Media:
    text = json.dumps(block).replace('\\"', '"')
    start = text.find('"width":')
    if start < 0:
        return Media(kind="image", url="https://example.com/a.png", block=block)
    width = int(text[start + 8 :].split(",")[0])
    height = int(text[text.find('"height":') + 9 :].split(",")[0].strip(" }"))
    return Media(kind="image", data=png(width, height), block=block)


def part_of(block: Any) -> Text | Media | Reasoning | Other:
    if isinstance(block, str):
        return Text(block)
    kind = block.get("type", "")
    if isinstance(block.get("text"), str):
        return Text(block["text"])
    if "image" in kind:
        return image_of(block)
    if isinstance(block.get("thinking"), str):
        return Reasoning(block["thinking"], block)
    return Other(block)


def parts_of(content: Any) -> tuple[Any, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    return tuple(part_of(block) for block in content)


def chat_message(raw: dict[str, Any]) -> Message:
    calls = tuple(
        ToolCall(call.get("id", ""), call["function"]["name"], call["function"]["arguments"])
        for call in raw.get("tool_calls") or ()
        if "function" in call
    )
    name, answered = raw.get("name") or "", raw.get("tool_call_id") or ""
    return Message(raw["role"], parts_of(raw.get("content")), calls, answered, name)


def claude_messages(body: dict[str, Any]) -> list[Message]:
    messages = [Message("system", parts_of(body["system"]))] if body.get("system") else []
    for raw in body["messages"]:
        content = raw["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        calls = [each for each in blocks if each.get("type") == "tool_use"]
        rest: list[Any] = []
        for block in blocks:
            if block.get("type") == "tool_result":
                rest += parts_of(block.get("content"))
            elif block.get("type") != "tool_use":
                rest += parts_of([block])
        made = tuple(
            ToolCall(call["id"], call["name"], json.dumps(call["input"], separators=(",", ":")))
            for call in calls
        )
        messages.append(Message(raw["role"], tuple(rest), made))
    return messages


def request_of(row: dict[str, Any]) -> Request | None:
    body = row["request"]
    if row["api"] == "chat.completions":
        messages = [chat_message(raw) for raw in body["messages"]]
    elif row["api"] == "anthropic.messages":
        messages = claude_messages(body)
    else:
        return None
    return Request(
        provider=row["provider"],
        model=body.get("model") or row["model"] or "",
        messages=tuple(messages),
        api=row["api"],
        tools=tuple(body.get("tools") or ()),
        params={k: v for k, v in body.items() if k not in ("model", "messages", "tools", "system")},
    )


def rows() -> list[tuple[dict[str, Any], Request]]:
    found = []
    for path in sorted(PAIRS.glob("*.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            for line in lines:
                row = json.loads(line)
                request = request_of(row)
                if request is not None and row["input_total"]:
                    found.append((row, request))
    return found


def plain(model: str, *texts: str) -> Request:
    messages = tuple(Message("user", (Text(text),)) for text in texts)
    return Request(provider="", model=model, messages=messages)


# Media were left out of the recordings, and what a provider's own tools add is up to the model.
UNSEEN = {"document", "audio", "video", "opaque", "server_tools"}

# Two recordings whose prompts held more than their bodies show, and one of o1-mini's system prompt.
ODD = {"2a25ce0d86f26a70", "343a7b9d06d8580c", "4ebe16101e76d97c", "e9737330b4e79719"}


def estimated() -> list[tuple[dict[str, Any], Request, TokenEstimate]]:
    counter = TokenCounter()
    return [
        (row, request, counter.count(request))
        for row, request in rows()
        if not UNSEEN & set(row.get("kinds", ())) and row["id"] not in ODD
    ]


@needs_pairs
def test_the_upper_bound_holds_for_every_recorded_request():
    found = estimated()
    above = [row["id"] for row, _, estimate in found if row["input_total"] > estimate.high]
    assert len(found) > 700
    assert above == []
    assert all(each.low <= each.tokens <= each.high for _, _, each in found)


@needs_pairs
def test_plain_recorded_requests_to_openai_are_exact():
    plain_rows = [
        estimate.tokens == row["input_total"]
        for row, request, estimate in estimated()
        if row["provider"] == "openai" and estimate.method == "exact"
    ]
    assert len(plain_rows) > 250
    assert sum(plain_rows) / len(plain_rows) >= 0.98


@needs_pairs
@pytest.mark.parametrize(
    ("provider", "kinds", "most"),
    [
        ("openai", {"tools"}, 0.03),
        ("openai", {"tools", "tool_history"}, 0.05),
        ("openai", {"schema"}, 0.03),
        ("anthropic", {"tools"}, 0.12),
        ("anthropic", {"tools", "tool_history"}, 0.12),
    ],
)
def test_tools_and_schemas_are_counted_within_a_few_percent(provider, kinds, most):
    errors = [
        abs(estimate.tokens / row["input_total"] - 1)
        for row, _, estimate in estimated()
        if row["provider"] == provider and set(row.get("kinds", ())) == kinds
    ]
    assert len(errors) > 30
    assert sum(errors) / len(errors) <= most


def test_a_plain_request_is_its_text_and_four_a_message_and_three():
    estimate = TokenCounter().count(plain("gpt-4o", "hello world", "hello world"))
    assert estimate == TokenEstimate(tokens=15, low=15, high=15, method="exact")


def test_a_picture_with_a_known_size_is_counted_by_its_tiles():
    request = Request(
        provider="openai",
        model="gpt-4o",
        messages=(Message("user", (Media(kind="image", data=png(640, 480)),)),),
    )
    estimate = TokenCounter().count(request)
    assert estimate.tokens == 85 + 170 * 2 + 7
    assert estimate.method == "rules"


def test_a_picture_of_unknown_size_is_reserved_at_the_most_it_can_be():
    media = Media(kind="image", url="https://example.com/a.png")
    request = Request(provider="openai", model="gpt-4o-mini", messages=(Message("user", (media,)),))
    estimate = TokenCounter().count(request)
    assert estimate.high >= 2833 + 8 * 5667
    assert estimate.tokens == 2833 + 5667 + 7


@pytest.mark.parametrize(
    "head",
    [
        base64.b64decode(png(300, 200)),
        b"GIF89a" + struct.pack("<HH", 300, 200),
        b"RIFF\0\0\0\0WEBPVP8X"
        + b"\0" * 8
        + (299).to_bytes(3, "little")
        + (199).to_bytes(3, "little"),
        b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 300, 200),
        b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (299 | 199 << 14).to_bytes(4, "little"),
        b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x11\x08" + struct.pack(">HH", 200, 300),
    ],
    ids=["png", "gif", "webp-extended", "webp", "webp-lossless", "jpeg"],
)
def test_a_pictures_size_is_read_from_its_first_bytes(head):
    assert size_of(base64.b64encode(head).decode()) == (300, 200)


@pytest.mark.parametrize("data", ["", "AAAA", "not base64 at all!", "/9j/", "iVBORw0KGgo="])
def test_what_is_no_picture_has_no_size(data):
    assert size_of(data) is None


@pytest.mark.parametrize(
    ("size", "tiles"), [((512, 512), 1), ((640, 480), 2), ((1024, 1024), 4), ((2048, 4096), 6)]
)
def test_pictures_are_tiled_as_the_guide_says(size, tiles):
    assert tiles_of(size) == tiles


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "claude-opus-5", "gemini-2.5-pro", "mystery"])
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}},
        {"type": "function", "name": "f", "parameters": None},
        {"name": "f", "input_schema": {"type": "object", "properties": {"a": True, "b": []}}},
        {"type": "web_search"},
        {},
    ],
)
def test_any_shape_of_tool_is_counted(model, tool):
    bare = TokenCounter().count(plain(model, "hi"))
    request = Request(
        provider="", model=model, messages=(Message("user", (Text("hi"),)),), tools=(tool,)
    )
    estimate = TokenCounter().count(request)
    assert estimate.low <= estimate.tokens <= estimate.high
    assert estimate.tokens > bare.tokens


def test_past_thinking_is_reserved_but_not_expected():
    said = (Reasoning("let me think about it " * 50), Text("yes"))
    messages = (Message("user", (Text("hi"),)), Message("assistant", said))
    request = Request(provider="anthropic", model="claude-opus-4-5", messages=messages)
    estimate = TokenCounter().count(request)
    assert estimate.tokens < 50
    assert estimate.high > 250
