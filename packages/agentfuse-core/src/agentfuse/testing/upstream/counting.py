"""How many tokens a simulated provider bills: the prompt, what it cached, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.tokens import count_text
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from agentfuse.testing.upstream.said import Spoken

# platform.openai.com/docs/guides/prompt-caching: from 1024 tokens on, in steps of 128.
# docs.anthropic.com/en/docs/build-with-claude/prompt-caching: at least 1024 tokens (Sonnet, Opus).
CACHED_FROM = 1024
CACHED_STEP = 128
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

        A breakpoint reads the longest prefix that an earlier one wrote; the rest up to the
        last breakpoint is written, each part for the time its own breakpoint asks for.
        """
        reaches = _reaches_of(prompt)
        marks = [r for r in reaches if r.ttl and r.tokens >= CACHED_FROM]
        if not marks:
            return Usage(input_tokens=prompt.tokens)
        last = marks[-1].tokens
        with self._lock:
            known = (r.tokens for r in reaches if (key, r.digest) in self._seen)
            read = max((tokens for tokens in known if tokens <= last), default=0)
            self._seen.update((key, mark.digest) for mark in marks)
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

    def forget(self) -> None:
        """Empty the caches."""
        with self._lock:
            self._seen.clear()


def _reaches_of(prompt: Prompt) -> list[_Reach]:
    digest = blake2b(digest_size=16)
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
