"""The least that a budget and an exact cache cost: written by hand for one provider, in its client.

What no fuse in Python can do without, in as few steps as we know: the request's digest, its
tokens, the worst case set aside under a lock, the answer's usage, its price settled, the answer
kept, a line of a receipt. Requests and answers are the bytes that the client has anyway, prices are
two numbers in the code. It knows no second provider, limit, process or stream, watches for nothing,
writes nothing down, and answers nobody in a framework's own words. Only the benchmark uses it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx

from agentfuse.tokens.encodings import encoding_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Nanodollars a token of gpt-4o, and the most it may write.
INPUT, OUTPUT, MOST = 2_500, 10_000, 16_384
BUDGET = 10**15


@dataclass(slots=True)
class ByHand:
    """An HTTP handler in front of ``answer``: a budget, an exact cache and receipts."""

    answer: Callable[[httpx.Request], httpx.Response]
    spent: int = 0
    reserved: int = 0
    lock: Any = field(default_factory=Lock)
    kept: dict[bytes, bytes] = field(default_factory=dict)
    receipts: list[tuple[bytes, str, int, int, int]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer from memory; or set the worst case aside, ask, settle the bill, and remember."""
        key = hashlib.sha256(request.content).digest()
        if key in self.kept:
            headers = {"content-type": "application/json"}
            return httpx.Response(200, headers=headers, content=self.kept[key])
        asked = json.loads(request.content)
        worst = _tokens(asked) * INPUT + asked.get("max_tokens", MOST) * OUTPUT
        with self.lock:
            if self.spent + self.reserved + worst > BUDGET:
                raise RuntimeError("the budget is used up")
            self.reserved += worst
        response = self.answer(request)
        usage = json.loads(response.content)["usage"]
        taken = usage.get("prompt_tokens") or usage["input_tokens"]
        given = usage.get("completion_tokens") or usage["output_tokens"]
        cost = taken * INPUT + given * OUTPUT
        with self.lock:
            self.reserved -= worst
            self.spent += cost
        self.kept[key] = response.content
        self.receipts.append((key, asked["model"], taken, given, cost))
        return response

    @property
    def transport(self) -> httpx.MockTransport:
        """It, as an HTTP client of either kind takes it."""
        return httpx.MockTransport(self)


def _tokens(asked: dict[str, Any]) -> int:
    """Count texts, one by one, so that those sent again are counted once; tools as they are."""
    said = asked.get("messages") or asked["input"]
    texts = [text for part in said for text in part.values() if isinstance(text, str)]
    return sum(map(_count, texts)) + 3 * len(said) + _count(json.dumps(asked.get("tools")))


@lru_cache(maxsize=16_384)
def _count(text: str) -> int:
    return len(encoding_of("o200k_base").encode_ordinary(text))
