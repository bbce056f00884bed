"""What every exact cache must keep: subclass ``CacheContract`` and give it a cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentfuse.messages import Choice, Media, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.semantics import Selection
from agentfuse.testing.clock import FrozenClock
from agentfuse.testing.ways import Blocking
from agentfuse.usage import BilledUsage, PriceContext, Usage, UsageReport

if TYPE_CHECKING:
    from agentfuse.ports import Cache, Clock
    from agentfuse.testing.ledger_steps import MovingClock

WHOLE = Reply(
    choices=(
        Choice(
            parts=(
                Reasoning("hm", {"signature": "s1", "nested": {"deep": [1, 2.5, None, True]}}),
                Text("Grüß Gott, 世界"),
                Text("cited", {"citations": [{"url": "https://a.example"}]}),
                Media(kind="image", data="aGk=", media_type="image/png", block={"type": "image"}),
                Other({"type": "server_tool_use", "input": {"q": "x"}}),
            ),
            tool_calls=(ToolCall("c1", "search", '{"q": "x" }', {"index": 0}),),
            finish_reason="tool_calls",
        ),
        Choice(finish_reason="stop"),
    ),
    report=UsageReport(
        items=(
            BilledUsage(
                model="m-1",
                usage=Usage(input_tokens=7, output_tokens=5, tool_requests={"web_search": 2}),
                context=PriceContext(service_tier="flex", batch=True),
            ),
        ),
        reported_cost=Decimal("0.00001230"),
        approximate=True,
    ),
    model="m-1",
    id="r1",
    shape="chat.completions",
    raw='{"id": "r1"}',
)


def said(text: str) -> Reply:
    """Give a short answer."""
    return Reply(choices=(Choice(parts=(Text(text),), finish_reason="stop"),))


class CacheContract(Blocking):
    """The promises of ``agentfuse.ports.Cache``, as tests.

    Give ``cache``, a new and empty one for each call. For a store that keeps its own time, give
    ``clock()`` too: one whose ``advance`` lets that time pass; and set ``moment`` (seconds), a
    quarter of the lifetime tested. ``bounded`` is False where the store bounds itself by its own
    rules.
    """

    moment: float = 900.0
    bounded: bool = True

    def cache(
        self, clock: Clock, *, ttl: float = 3_600.0, jitter: float = 0.0, max_entries: int = 1_000
    ) -> Cache:
        """Give an empty cache that reads ``clock``."""
        raise NotImplementedError

    def clock(self) -> MovingClock:
        """Give the clock the cache is to read."""
        return FrozenClock()

    @pytest.fixture(autouse=True)
    def _fresh_cache(self) -> None:
        self.time = self.clock()
        self.kept = self.cache(self.time, ttl=4 * self.moment)

    def find(self, key: str) -> Reply | None:
        """Ask the cache."""
        return self.run(self.kept.find(key))

    def keep(self, key: str, text: str) -> None:
        """Keep a short answer."""
        self.run(self.kept.keep(key, said(text)))

    def forget(
        self, *, key: str = "", tags: tuple[str, ...] = (), before: float | None = None
    ) -> int:
        """Forget what fits, and count it."""
        return self.run(self.kept.invalidate(Selection(key=key, tags=tags, before=before)))

    def test_what_was_never_kept_is_a_miss(self) -> None:
        """An empty cache knows nothing."""
        assert self.find("k") is None

    def test_an_answer_comes_back_whole(self) -> None:
        """Text, thinking, media, blocks, tool calls and usage are all as they were."""
        self.run(self.kept.keep("k", WHOLE))
        assert self.find("k") == WHOLE

    @pytest.mark.parametrize("text", ["", "a\x00b", "\ud800", "'; DROP TABLE entries; --"])
    def test_any_text_comes_back_as_it_was(self, text: str) -> None:
        """No character is special to a store."""
        self.keep("k", text)
        assert self.find("k") == said(text)

    def test_a_newer_answer_takes_the_older_ones_place(self) -> None:
        """A wrong answer can be corrected."""
        self.keep("k", "one")
        self.keep("k", "two")
        assert self.find("k") == said("two")

    def test_keys_do_not_mix(self) -> None:
        """Case and length count."""
        for key in ("k", "K", "k" * 64):
            self.keep(key, key)
        assert [self.find(key) for key in ("k", "K", "k" * 64)] == [
            said(key) for key in ("k", "K", "k" * 64)
        ]

    def test_a_dropped_answer_is_a_miss(self) -> None:
        """Dropping forgets one answer, however often it is said."""
        self.keep("k", "one")
        self.keep("l", "two")
        self.run(self.kept.drop("k"))
        self.run(self.kept.drop("k"))
        assert self.find("k") is None
        assert self.find("l") == said("two")

    def test_answers_can_be_forgotten_by_key_tag_and_age(self) -> None:
        """All that is given must fit, and the forgotten are counted."""
        self.run(self.kept.keep("old", said("1"), ("user:ann", "tag:faq")))
        self.time.advance(self.moment / 2)
        moment = self.time.now()
        self.run(self.kept.keep("new", said("2"), ("user:ann",)))
        self.run(self.kept.keep("bob", said("3"), ("user:bob", "tag:faq")))
        assert self.forget(tags=("user:ann", "tag:other")) == 0
        assert self.forget(tags=("user:ann",), before=moment) == 1
        assert [self.find(key) is None for key in ("old", "new", "bob")] == [True, False, False]
        assert self.forget(key="bob") == 1
        assert self.forget() == 1
        assert [self.find(key) for key in ("old", "new", "bob")] == [None] * 3

    def test_a_newer_answer_has_its_own_tags(self) -> None:
        """Those of the older one are gone with it."""
        self.run(self.kept.keep("k", said("1"), ("user:ann",)))
        self.run(self.kept.keep("k", said("2"), ("user:bob",)))
        assert self.forget(tags=("user:ann",)) == 0
        assert self.forget(tags=("user:bob",)) == 1

    def test_an_answer_is_fresh_until_its_lifetime_ends(self) -> None:
        """Finding it does not make it live longer."""
        self.keep("k", "one")
        for _ in range(3):
            self.time.advance(self.moment)
            assert self.find("k") == said("one")
        self.time.advance(self.moment)
        assert self.find("k") is None

    def test_keeping_again_starts_a_new_lifetime(self) -> None:
        """A new answer is as fresh as its own day."""
        self.keep("k", "one")
        self.time.advance(3 * self.moment)
        self.keep("k", "two")
        self.time.advance(3 * self.moment)
        assert self.find("k") == said("two")

    def test_jitter_shortens_lives_and_never_lengthens_one(self) -> None:
        """What was kept together does not go stale together, and nothing is served too late."""
        self.kept = self.cache(self.time, ttl=4 * self.moment, jitter=0.5)
        keys = [str(number) for number in range(60)]
        for key in keys:
            self.keep(key, key)
        self.time.advance(1.5 * self.moment)
        assert all(self.find(key) for key in keys)
        self.time.advance(1.5 * self.moment)
        assert 0 < sum(self.find(key) is not None for key in keys) < len(keys)
        self.time.advance(self.moment)
        assert not any(self.find(key) for key in keys)

    def test_the_least_recently_used_leaves_first(self) -> None:
        """A full cache stays full and no fuller."""
        if not self.bounded:
            pytest.skip("this store bounds itself by its own rules")
        self.kept = self.cache(self.time, ttl=4_000 * self.moment, max_entries=3)
        for key in "abc":
            self.keep(key, key)
            self.time.advance(self.moment)
        assert self.find("a") == said("a")
        self.time.advance(self.moment)
        self.keep("d", "d")
        assert self.find("b") is None
        assert [self.find(key) for key in "acd"] == [said(key) for key in "acd"]

    def test_threads_find_whole_answers_or_none(self) -> None:
        """Keeping, finding and dropping at once never mixes two answers."""

        def work(thread: int) -> int:
            found = 0
            for turn in range(20):
                key = str(turn % 5)
                self.keep(key, f"{key}:{thread}")
                reply = self.find(key)
                if reply is not None:
                    assert reply.text.startswith(f"{key}:")
                    found += 1
                if turn % 5 == thread:
                    self.run(self.kept.drop(key))
            return found

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) > 0
