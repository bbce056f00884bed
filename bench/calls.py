"""What a call costs: a hit and a pass-through, beside the bare SDK and a hand-written minimum."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from measure import afigure_of, figure_of
from openai import AsyncOpenAI, OpenAI

from agentfuse import Fuse, acompletion, completion

if TYPE_CHECKING:
    from measure import Figure

    from agentfuse.testing import Upstream

KEY = "sk-upstream"
MODEL = "gpt-4o"
SIZES = {"short": 40, "8 kB": 8_000, "100 kB": 100_000}
HITS = {"short": 2_000, "8 kB": 1_000, "100 kB": 200}
ASKS = {"short": 60, "8 kB": 40, "100 kB": 15}

Row = dict[str, Any]


def prompt_of(size: int) -> list[Row]:
    """Write a conversation of about ``size`` bytes of English."""
    sentence = "The quick brown fox jumps over the lazy dog and writes a letter home. "
    return [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": (sentence * (size // len(sentence) + 1))[:size]},
    ]


def call_figures(upstream: Upstream) -> list[Row]:
    """Measure every size, blocking and awaited."""
    rows: list[Row] = []
    for label, size in SIZES.items():
        messages = prompt_of(size)
        rows += blocking_rows(upstream, label, messages)
        rows += asyncio.run(awaited_rows(upstream, label, messages))
    return rows


def blocking_rows(upstream: Upstream, label: str, messages: list[Row]) -> list[Row]:
    """Measure the blocking calls of one size."""
    where = {"base_url": upstream.openai_url, "api_key": KEY}
    remembering = Fuse("$1000", spend_book=False)
    plain = Fuse(cache=False, spend_book=False)
    capped = Fuse("$1000", cache=False, spend_book=False)
    client = OpenAI(**where, max_retries=0)
    bare = figure_of(
        lambda: client.chat.completions.create(model=MODEL, messages=messages), ASKS[label]
    )
    found = {
        "hit": figure_of(
            lambda: completion(MODEL, messages, fuse=remembering, **where), HITS[label]
        ),
        "floor: dict lookup + hash": figure_of(minimum_of(messages), HITS[label]),
        "bare SDK over loopback": bare,
        "pass-through, no budget": figure_of(
            lambda: completion(MODEL, messages, fuse=plain, **where), ASKS[label]
        ),
        "pass-through, budget": figure_of(
            lambda: completion(MODEL, messages, fuse=capped, **where), ASKS[label]
        ),
    }
    return [row_of("blocking", label, what, figure, bare) for what, figure in found.items()]


async def awaited_rows(upstream: Upstream, label: str, messages: list[Row]) -> list[Row]:
    """Measure the awaited calls of one size."""
    where = {"base_url": upstream.openai_url, "api_key": KEY}
    remembering = Fuse("$1000", spend_book=False)
    capped = Fuse("$1000", cache=False, spend_book=False)
    client = AsyncOpenAI(**where, max_retries=0)
    bare = await afigure_of(
        lambda: client.chat.completions.create(model=MODEL, messages=messages), ASKS[label]
    )
    found = {
        "hit": await afigure_of(
            lambda: acompletion(MODEL, messages, fuse=remembering, **where), HITS[label]
        ),
        "bare SDK over loopback": bare,
        "pass-through, budget": await afigure_of(
            lambda: acompletion(MODEL, messages, fuse=capped, **where), ASKS[label]
        ),
    }
    await client.close()
    return [row_of("awaited", label, what, figure, bare) for what, figure in found.items()]


def stream_figures(upstream: Upstream) -> list[Row]:
    """Measure a chunk of a long stream: bare, metered, and replayed from memory."""
    where = {"base_url": upstream.openai_url, "api_key": KEY}
    messages = prompt_of(40)
    client = OpenAI(**where, max_retries=0)
    capped = Fuse("$1000", cache=False, spend_book=False)
    remembering = Fuse("$1000", spend_book=False)
    chunks = sum(
        1 for _ in client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    )

    def drained(stream: Any) -> int:
        return sum(1 for _ in stream)

    asked = {"model": MODEL, "messages": messages, "stream": True}
    found = {
        "bare SDK over loopback": figure_of(
            lambda: drained(client.chat.completions.create(**asked)), 8
        ),
        "metered": figure_of(lambda: drained(completion(**asked, fuse=capped, **where)), 8),
        "replayed": figure_of(lambda: drained(completion(**asked, fuse=remembering, **where)), 40),
    }
    bare = found["bare SDK over loopback"]
    rows = [row_of("stream", f"{chunks} chunks", what, fig, bare) for what, fig in found.items()]
    for row in rows:
        row["us_per_chunk"] = row["median"] / chunks
    return rows


def minimum_of(messages: list[Row]) -> Any:
    """Write the least that could find an answer again: a digest of the request, and a dict."""
    known: dict[str, str] = {}

    def look() -> str | None:
        asked = json.dumps({"model": MODEL, "messages": messages}, sort_keys=True)
        return known.get(hashlib.sha256(asked.encode()).hexdigest())

    known[hashlib.sha256(b"").hexdigest()] = ""
    return look


def row_of(way: str, size: str, what: str, figure: Figure, bare: Figure) -> Row:
    """Write one line of the table; the ratio is to the bare SDK in the same run."""
    ratio = figure.median / bare.median
    return {"way": way, "size": size, "what": what, **figure.as_dict(), "of_bare": ratio}
