"""The cache in memory keeps the contract and its bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentfuse.caches.memory import MemoryCache
from agentfuse.caches.weights import bytes_of
from agentfuse.errors import ConfigurationError
from agentfuse.messages import Choice, Media, Reply, Text
from agentfuse.runtime.now import run_now
from agentfuse.testing import CacheContract, FrozenClock
from agentfuse.testing.ways import Awaited

if TYPE_CHECKING:
    from agentfuse.ports import Cache, Clock


class TestBlocking(CacheContract):
    """For blocking callers."""

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache."""
        return MemoryCache(clock=clock, ttl=ttl, jitter=jitter, max_entries=max_entries)


class TestAwaited(Awaited, TestBlocking):
    """For awaiting callers."""


def saying(text: str) -> Reply:
    """A reply of one text."""
    return Reply(choices=(Choice(parts=(Text(text),)),))


def test_the_bytes_kept_are_bounded() -> None:
    """Old answers leave for new ones when the bytes are used up."""
    room = 10 * bytes_of(saying("x" * 1_000))
    cache = MemoryCache(max_bytes=room)
    for number in range(50):
        run_now(cache.keep(str(number), saying("x" * 1_000)))
    assert len(cache) == 10
    assert run_now(cache.find("49")) is not None
    assert run_now(cache.find("39")) is None


def test_an_answer_too_large_for_the_cache_leaves_the_others_alone() -> None:
    """One huge answer does not empty the cache, nor is an older answer served in its place."""
    cache = MemoryCache(max_bytes=10_000)
    run_now(cache.keep("a", saying("small")))
    run_now(cache.keep("b", saying("old")))
    run_now(cache.keep("b", saying("x" * 20_000)))
    assert run_now(cache.find("a")) == saying("small")
    assert run_now(cache.find("b")) is None


def test_dropped_answers_give_their_bytes_back() -> None:
    """Dropping makes room."""
    cache = MemoryCache(max_bytes=2 * bytes_of(saying("x" * 500)))
    for number in range(20):
        run_now(cache.keep(str(number), saying("x" * 500)))
        run_now(cache.drop(str(number)))
    run_now(cache.keep("a", saying("x" * 500)))
    run_now(cache.keep("b", saying("x" * 500)))
    assert len(cache) == 2


def test_a_replys_bytes_count_what_it_carries() -> None:
    """Texts, media, blocks and raw answers weigh what they hold."""
    big = "x" * 10_000
    media = Media(kind="image", data=big, block={"source": {"data": [big]}})
    reply = Reply(choices=(Choice(parts=(media, Text(big))),))
    assert 30_000 < bytes_of(reply) < 35_000
    assert 60_000 < bytes_of(replace(reply, raw=3 * big)) < 65_000


@pytest.mark.parametrize("share", [0.0, 0.25, 0.999])
def test_the_random_share_decides_the_lifetime(share: float) -> None:
    """With a known random number the end of a life is known to the second."""
    clock = FrozenClock(0.0)
    cache = MemoryCache(ttl=1_000.0, jitter=0.1, clock=clock, random=lambda: share)
    run_now(cache.keep("k", saying("hi")))
    end = 1_000.0 - 100.0 * share
    clock.advance(end - 0.001)
    assert run_now(cache.find("k")) is not None
    clock.advance(0.001)
    assert run_now(cache.find("k")) is None


@pytest.mark.parametrize(("ttl", "jitter"), [(0.0, 0.1), (-1.0, 0.0), (10.0, 1.5), (10.0, -0.1)])
def test_an_impossible_lifetime_is_turned_away(ttl: float, jitter: float) -> None:
    """A cache that could keep nothing is a mistake."""
    with pytest.raises(ConfigurationError, match="must be"):
        MemoryCache(ttl=ttl, jitter=jitter)
