"""How many tokens a simulated provider bills: the prompt, what it cached, and what it says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.tokens import count_text
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from agentfuse.testing.upstream.said import Spoken

# platform.openai.com/docs/guides/prompt-caching: from 1024 tokens on, in steps of 128.
CACHED_FROM = 1024
CACHED_STEP = 128
# docs.anthropic.com/en/docs/build-with-claude/prompt-caching: the least that each model caches,
# how long it keeps it after the last read or write, and how far it looks back from a mark.
CLAUDE_FROM = {
    "claude-opus-4-1": 1024,
    "claude-opus-4-2": 1024,
    "claude-opus-4": 4096,
    "claude-haiku-4-5": 4096,
    "claude-sonnet-4-6": 2048,
    "claude-3-5-haiku": 2048,
    "claude-3-haiku": 2048,
}
SECONDS = {"5m": 300.0, "1h": 3600.0}
LOOKBACK = 20
# What an image or a file costs here, whatever its size: OpenAI's price of a low-detail image.
MEDIA_TOKENS = 85


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a prompt in the order of caching; ``ttl`` (5m, 1h) marks a cache breakpoint."""

    text: str
    tokens: int
    ttl: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's blocks, and the tokens that belong to none of them."""

    blocks: tuple[Block, ...]
    overhead: int = 3
    model: str = ""

    @property
    def tokens(self) -> int:
        """All input tokens."""
        return sum(block.tokens for block in self.blocks) + self.overhead


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far a prompt goes after one of its blocks: the prefix's digest and token count."""

    digest: bytes
    tokens: int
    ttl: str


class PromptMemory:
    """The prompt prefixes seen before, for each API key."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, bytes]] = set()
        self._kept: dict[tuple[str, bytes], tuple[float, float]] = {}  # until when, for how long
        self._later = 0.0
        self._lock = Lock()

    def automatic(self, key: str, prompt: Prompt) -> Usage:
        """Bill a prompt as OpenAI does: leading messages seen before are cached by themselves."""
        reaches = _reaches_of(prompt)
        with self._lock:
            known = [r.tokens for r in reaches if (key, r.digest) in self._seen]
            self._seen.update((key, r.digest) for r in reaches)
        cached = max(known, default=0) // CACHED_STEP * CACHED_STEP
        if cached < CACHED_FROM:
            cached = 0
        return Usage(input_tokens=prompt.tokens, cache_read_tokens=cached)

    def marked(self, key: str, prompt: Prompt) -> Usage:
        """Bill a prompt as Anthropic does: what stands before a breakpoint is written, then read.

        A breakpoint reads the longest prefix that an earlier one wrote, no more than twenty blocks
        before it and while it is kept; the rest up to the last breakpoint is written, each part for
        the time its own breakpoint asks for.
        """
        reaches = _reaches_of(prompt)
        least = claude_from(prompt.model)
        marks = [r for r in reaches if r.ttl and r.tokens >= least]
        if not marks:
            return Usage(input_tokens=prompt.tokens)
        now = time.time() + self._later
        with self._lock:
            read = self._read(key, reaches, marks, now)
            for mark in marks:
                if mark.tokens > read:
                    lasts = SECONDS[mark.ttl]
                    self._kept[key, mark.digest] = (now + lasts, lasts)
        written, reached = {"5m": 0, "1h": 0}, read
        for mark in marks:
            if mark.tokens > reached:
                written[mark.ttl] += mark.tokens - reached
                reached = mark.tokens
        return Usage(
            input_tokens=prompt.tokens,
            cache_read_tokens=read,
            cache_write_5m_tokens=written["5m"],
            cache_write_1h_tokens=written["1h"],
        )

    def _read(self, key: str, reaches: list[_Reach], marks: list[_Reach], now: float) -> int:
        """Find the longest prefix that is kept, and keep it for another while."""
        for mark in reversed(marks):
            place = reaches.index(mark)
            for reach in reversed(reaches[max(place - LOOKBACK, 0) : place + 1]):
                until, lasts = self._kept.get((key, reach.digest), (0.0, 0.0))
                if until > now:
                    self._kept[key, reach.digest] = (now + lasts, lasts)
                    return reach.tokens
        return 0

    def age(self, seconds: float) -> None:
        """Let time pass for what is kept."""
        with self._lock:
            self._later += seconds

    def forget(self) -> None:
        """Empty the caches."""
        with self._lock:
            self._seen.clear()
            self._kept.clear()
            self._later = 0.0


def claude_from(model: str) -> int:
    """Say how many tokens a Claude model caches at least."""
    return next((n for start, n in CLAUDE_FROM.items() if model.startswith(start)), CACHED_FROM)


def _reaches_of(prompt: Prompt) -> list[_Reach]:
    digest = blake2b(prompt.model.encode(), digest_size=16)
    tokens, reaches = 0, list[_Reach]()
    for block in prompt.blocks:
        digest.update(block.text.encode("utf-8", "surrogatepass") + b"\0")
        tokens += block.tokens
        reaches.append(_Reach(digest.digest(), tokens, block.ttl))
    return reaches


def output_tokens(spoken: Spoken, model: str) -> int:
    """Count what one choice says: its text and its tool calls; reasoning is billed apart."""
    return count_text(spoken.text, model) + sum(
        count_text(call.name, model) + count_text(call.text, model) for call in spoken.calls
    )


def cut_to(text: str, tokens: int, model: str) -> str:
    """Give the longest beginning of a text that has no more than so many tokens."""
    if count_text(text, model) <= tokens:
        return text
    low, high = 0, min(len(text), tokens * 64)
    while low < high:
        middle = (low + high + 1) // 2
        if count_text(text[:middle], model) <= tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]
