"""What is asked of the provider's own cache of prompts, and where it pays.

Claude caches up to marks that a request sets, at a price: a write costs 1.25 times the input for
five minutes, or twice for an hour, and a read a tenth of it, so a prefix must come back once (an
hour's twice) to pay. OpenAI caches by itself, and takes a key that keeps like prompts together.
Sources: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching,
https://platform.openai.com/docs/guides/prompt-caching

The tools are never put in another order: that would be another prompt, and another answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, Protocol

from agentfuse.messages import CacheMark, PromptCaching, Text
from agentfuse.pricing import caching_of
from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.messages import Message, Request
    from agentfuse.policy.given import Ports

Wanted = Literal["", "seen", "5m", "1h"]
"""Off; where a prefix was seen to come back; or at once and for so long."""

FIVE_MINUTES = 300.0
HOUR = 3_600.0

# With b returns after more than five minutes, five-minute writes cost 1.25 (1 + b) and an hour's
# 2 + 0.1 b: the hour is cheaper from the first on. The second shows that it was no accident.
SLOW_RETURNS = 2

# Shorter prefixes are silently not cached (the page above, "Cache limitations"). A model that is
# not listed has the least of all: a mark that does nothing costs nothing.
LEAST_TOKENS = (
    ("claude-opus-4-0", 1_024),
    ("claude-opus-4-1", 1_024),
    ("claude-opus-4-2", 1_024),  # claude-opus-4-20250514
    ("claude-opus-4", 4_096),
    ("claude-haiku-4-5", 4_096),
    ("claude-3-5-haiku", 2_048),
    ("claude-3-haiku", 2_048),
    ("claude-sonnet-4-6", 2_048),
)
LEAST = 1_024

_KEYED = frozenset({"chat.completions", "responses", "langchain", "openai.agents"})
_MARKED = frozenset({"anthropic.messages", "langchain"})
_INSTRUCTIONS = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Sighting:
    """How often a prefix has come back: within five minutes, and within an hour, of the last time.

    ``tokens`` is its length, 0 where nobody has counted it.
    """

    last: float
    soon: int = 0
    slow: int = 0
    tokens: int = 0

    def again(self, now: float) -> Sighting:
        """Note that it came back."""
        gap = now - self.last
        if gap <= FIVE_MINUTES:
            return replace(self, last=now, soon=self.soon + 1)
        if gap <= HOUR:
            return replace(self, last=now, slow=self.slow + 1)
        return Sighting(now, tokens=self.tokens)


class Prefixes(Protocol):
    """The prompt prefixes sent of late, by digest."""

    def note(self, digest: bytes, now: float) -> Sighting:
        """Note a prefix, and say how often it has come back."""
        ...

    def known(self, digest: bytes) -> bool:
        """Say whether it was sent within the last hour."""
        ...

    def measured(self, digest: bytes, tokens: int) -> None:
        """Keep its length in tokens."""
        ...


@dataclass(frozen=True, slots=True)
class _Digests:
    """The digests of a prompt's prefixes: its tools, its instructions, then each further turn."""

    tools: bytes
    system: bytes
    turns: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Marks the requests of one run; what it has seen is shared by the fuse's sessions."""

    ports: Ports
    wanted: Wanted

    def marked(self, request: Request) -> Request:
        """Ask the provider to keep what will come back; a caller's own marks stay alone."""
        if not self.wanted or request.caching is not None or not _is_open(request):
            return request
        if request.provider == "openai":
            return replace(request, caching=PromptCaching(key=_key_of(request)))
        return replace(request, caching=self._marks_of(request))

    def _marks_of(self, request: Request) -> PromptCaching:
        digests = _digests_of(request)
        marks, static = self._static_marks(request, digests)
        turns, told = self._turn_marks(request, digests)
        ttl: Literal["5m", "1h"] = "1h" if self.wanted == "1h" else "5m"
        if self.wanted == "seen" and any(s and s.slow >= SLOW_RETURNS for s in (static, told)):
            ttl = "1h"
        return PromptCaching(marks=(*marks, *turns), ttl=ttl)

    def _static_marks(
        self, request: Request, digests: _Digests
    ) -> tuple[list[CacheMark], Sighting | None]:
        """Mark the tools and the instructions, where each is long enough and came back."""
        marks: list[CacheMark] = []
        system = tuple(m for m in request.messages if m.role in _INSTRUCTIONS)
        parts: list[tuple[Literal["tools", "system"], bytes, tuple[Message, ...]]] = []
        if request.tools:
            parts.append(("tools", digests.tools, ()))
        if system:
            parts.append(("system", digests.system, system))
        seen = None
        for place, digest, messages in parts:
            seen = self._seen(digest)
            if self._comes_back(seen) and self._is_long(
                replace(request, messages=messages), digest, seen
            ):
                marks.append(CacheMark(place))
        return marks, seen

    def _turn_marks(
        self, request: Request, digests: _Digests
    ) -> tuple[list[CacheMark], Sighting | None]:
        """Mark the end of a conversation that grows, and where it ended the last time.

        Claude looks back no more than twenty blocks from a mark for what was written before.
        """
        if not digests.turns:
            return [], None
        *earlier, (last, digest) = digests.turns
        seen = self._seen(digest)
        before = next((i for i, d in reversed(earlier) if self.ports.prefixes.known(d)), None)
        under_way = self.wanted != "seen" and any(m.role == "assistant" for m in request.messages)
        if before is None and not under_way and not self._came_back(seen):
            return [], seen
        if not _can_carry(request.messages[last]) or not self._is_long(request, digest, seen):
            return [], seen
        places = [i for i in (before,) if i is not None and _can_carry(request.messages[i])]
        return [CacheMark("turn", index) for index in (*places, last)], seen

    def _seen(self, digest: bytes) -> Sighting:
        return self.ports.prefixes.note(digest, self.ports.clock.now())

    def _comes_back(self, seen: Sighting) -> bool:
        return self.wanted != "seen" or self._came_back(seen)

    @staticmethod
    def _came_back(seen: Sighting) -> bool:
        return bool(seen.soon or seen.slow)

    def _is_long(self, prefix: Request, digest: bytes, seen: Sighting) -> bool:
        """Say whether a prefix has the tokens that its model caches at all; counted once."""
        tokens = seen.tokens
        if not tokens:
            tokens = self.ports.counter.by_rules(prefix).tokens
            self.ports.prefixes.measured(digest, tokens)
        return tokens >= least_tokens(prefix.model)


def least_tokens(model: str) -> int:
    """Say how many tokens of a prompt a Claude model caches at least."""
    name = bare(model)
    return next((least for start, least in LEAST_TOKENS if name.startswith(start)), LEAST)


def _is_open(request: Request) -> bool:
    """Say whether a request can carry our words, and its caller has not written their own."""
    if "prompt_cache_key" in request.params or caching_of(request):
        return False
    if request.provider == "openai":
        return request.api in _KEYED
    completed = request.api == "chat.completions" and request.reach == "any"
    return request.provider == "anthropic" and (completed or request.api in _MARKED)


def _key_of(request: Request) -> str:
    """Name the part of a prompt that stays: its tools and instructions; empty without any."""
    if not request.tools and not any(m.role in _INSTRUCTIONS for m in request.messages):
        return ""
    return f"agentfuse-{_digests_of(request).system.hex()}"


def _digests_of(request: Request) -> _Digests:
    """Digest a prompt in the order in which providers cache it: tools, instructions, turns."""
    digest = blake2b(digest_size=16)
    head = (request.provider, request.base_url, request.model, request.tenant)
    digest.update(repr(head).encode())
    digest.update(json.dumps(list(request.tools), default=_plain).encode())
    tools = digest.digest()
    for message in request.messages:
        if message.role in _INSTRUCTIONS:
            digest.update(repr(message).encode("utf-8", "surrogatepass"))
    system = digest.digest()
    return _Digests(tools, system, tuple(_turns_of(request, digest)))


def _turns_of(request: Request, digest: Any) -> Iterator[tuple[int, bytes]]:
    for index, message in enumerate(request.messages):
        if message.role not in _INSTRUCTIONS:
            digest.update(repr(message).encode("utf-8", "surrogatepass"))
            yield index, digest.digest()


def _can_carry(message: Message) -> bool:
    """Say whether a turn's last block takes a mark: thinking and empty text do not."""
    if message.tool_calls or message.role == "tool":
        return True
    if not message.parts:
        return False
    last = message.parts[-1]
    return isinstance(last, Text) and bool(last.text)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)
