"""What every store of semantic entries must keep: subclass ``SemanticCacheContract``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from agentfuse.semantics import Question, Selection, SemanticEntry, pair_of
from agentfuse.testing.cache_contract import WHOLE, said
from agentfuse.testing.clock import FrozenClock

if TYPE_CHECKING:
    from agentfuse.ports import Clock, SemanticStore
    from agentfuse.testing.ledger_steps import MovingClock

DIM = 16
HERE = "a" * 64
THERE = "b" * 64


def vector(*weights: float) -> Any:
    """Give a vector of length 1 that points along the first axes, by their weights."""
    whole = np.zeros(DIM, dtype=np.float32)
    whole[: len(weights)] = weights
    return whole / np.linalg.norm(whole)


class SemanticCacheContract:
    """The promises of ``agentfuse.ports.SemanticStore``, as tests.

    Give ``store``, a new and empty one for each call, for vectors of ``DIM`` numbers. For a store
    that keeps its own time, give ``clock()`` too, and set ``moment`` (seconds), a quarter of the
    lifetime tested. ``bounded`` is False where the store bounds itself by its own rules.
    """

    moment: float = 900.0
    bounded: bool = True

    def store(self, clock: Clock, *, max_entries: int = 1_000) -> SemanticStore:
        """Give an empty store that reads ``clock``."""
        raise NotImplementedError

    def clock(self) -> MovingClock:
        """Give the clock the store is to read."""
        return FrozenClock()

    @pytest.fixture(autouse=True)
    def _fresh_store(self) -> None:
        self.time = self.clock()
        self.kept = self.store(self.time)

    def keep(
        self,
        prompt: str,
        at: Any,
        *,
        scope: str = HERE,
        answer: str = "",
        tags: tuple[str, ...] = (),
    ) -> SemanticEntry:
        """Keep a short answer to ``prompt``, whose vector is ``at``."""
        now = self.time.now()
        entry = SemanticEntry(
            id=Question(scope=scope, text=prompt).entry_id,
            scope=scope,
            prompt=prompt,
            kept=now,
            expires=now + 4 * self.moment,
            key=f"key of {prompt}",
            tags=tags,
        )
        self.kept.keep(entry, at, said(answer or prompt))
        return entry

    def prompts(self, at: Any, scope: str = HERE, count: int = 5) -> list[str]:
        """List the nearest prompts, best first."""
        return [near.entry.prompt for near in self.kept.nearest(scope, at, count)]

    def test_an_empty_store_knows_nothing(self) -> None:
        """No entry, no answer, and nothing to forget."""
        assert self.prompts(vector(1)) == []
        assert self.kept.answer("0" * 32) is None
        assert self.kept.entry("0" * 32) is None
        assert self.kept.drop("0" * 32) is False
        assert len(self.kept) == 0

    def test_the_nearest_come_first_with_their_cosine(self) -> None:
        """Scores are cosines, to three digits at least (a store may keep half precision)."""
        for prompt, at in (("far", vector(0, 1)), ("near", vector(1, 0.2)), ("same", vector(1))):
            self.keep(prompt, at)
        found = self.kept.nearest(HERE, vector(1), 2)
        assert [near.entry.prompt for near in found] == ["same", "near"]
        assert [near.score for near in found] == pytest.approx([1.0, 0.9806], abs=1e-3)

    def test_an_entry_comes_back_whole(self) -> None:
        """Words, times, key and tags are as they were; so is the answer, with all its blocks."""
        kept = self.keep("Größe, 世界? '\x00", vector(1), tags=("user:ann", "tag:a b"))
        self.kept.keep(kept, vector(1), WHOLE)
        (near,) = self.kept.nearest(HERE, vector(1), 5)
        assert near.entry == kept
        assert self.kept.entry(kept.id) == kept
        assert self.kept.answer(kept.id) == WHOLE

    def test_scopes_never_meet(self) -> None:
        """The very same question in another scope finds nothing."""
        self.keep("here", vector(1))
        assert self.prompts(vector(1), THERE) == []
        self.keep("here", vector(1), scope=THERE, answer="there")
        assert len(self.kept) == len((HERE, THERE))
        (near,) = self.kept.nearest(THERE, vector(1), 5)
        answer = self.kept.answer(near.entry.id)
        assert answer is not None
        assert answer.text == "there"

    def test_a_newer_answer_takes_the_older_ones_place(self) -> None:
        """One text of one scope has one answer, and one vector."""
        self.keep("q", vector(1), answer="old")
        entry = self.keep("q", vector(0, 1), answer="new")
        assert len(self.kept) == 1
        assert self.kept.answer(entry.id) == said("new")
        (near,) = self.kept.nearest(HERE, vector(0, 1), 5)
        assert near.score == pytest.approx(1, abs=1e-3)

    def test_a_dropped_entry_is_gone(self) -> None:
        """The others stay where they are."""
        kept = [self.keep(str(number), vector(1, number)) for number in range(4)]
        assert self.kept.drop(kept[1].id)
        assert not self.kept.drop(kept[1].id)
        assert self.kept.answer(kept[1].id) is None
        assert sorted(self.prompts(vector(1))) == ["0", "2", "3"]
        assert self.kept.nearest(HERE, vector(1, 3), 1)[0].entry == kept[3]

    def test_an_entry_lives_until_its_end_however_often_it_is_used(self) -> None:
        """A popular wrong answer must not live for ever."""
        entry = self.keep("q", vector(1))
        for _ in range(3):
            self.time.advance(self.moment)
            assert self.prompts(vector(1)) == ["q"]
            assert self.kept.answer(entry.id) is not None
        self.time.advance(self.moment)
        assert self.prompts(vector(1)) == []
        assert self.kept.answer(entry.id) is None

    def test_entries_can_be_forgotten_by_key_tag_and_age(self) -> None:
        """All that is given must fit, and the forgotten are counted."""
        self.keep("old", vector(1), tags=("user:ann", "tag:faq"))
        self.time.advance(self.moment / 2)
        moment = self.time.now()
        self.keep("new", vector(1, 1), tags=("user:ann",))
        self.keep("bob", vector(1, 2), tags=("user:bob", "tag:faq"))
        forget = self.kept.invalidate
        assert forget(Selection(tags=("user:ann", "tag:other"))) == 0
        assert forget(Selection(tags=("user:ann",), before=moment)) == 1
        assert sorted(self.prompts(vector(1))) == ["bob", "new"]
        assert forget(Selection(key="key of bob")) == 1
        assert self.prompts(vector(1)) == ["new"]
        assert forget(Selection(key=Question(scope=HERE, text="new").entry_id)) == 1
        assert len(self.kept) == 0

    def test_everything_can_be_forgotten(self) -> None:
        """A selection that asks for nothing fits all."""
        scopes = (HERE, THERE, "c" * 64)
        for scope in scopes:
            self.keep("q", vector(1), scope=scope)
        assert self.kept.invalidate(Selection()) == len(scopes)
        assert len(self.kept) == 0

    def test_a_forbidden_pair_stays_so(self) -> None:
        """Which text was asked and which was kept makes a difference."""
        self.kept.forbid(pair_of(HERE, "a", "b"))
        assert self.kept.is_forbidden(pair_of(HERE, "a", "b"))
        assert not self.kept.is_forbidden(pair_of(HERE, "b", "a"))
        assert not self.kept.is_forbidden(pair_of(THERE, "a", "b"))

    def test_the_least_recently_used_leaves_first(self) -> None:
        """Over all scopes; a full store stays full and no fuller."""
        if not self.bounded:
            pytest.skip("this store bounds itself by its own rules")
        room = 3
        self.kept = self.store(self.time, max_entries=room)
        first = self.keep("a", vector(1))
        self.keep("b", vector(1), scope=THERE)
        self.keep("c", vector(1, 1))
        assert self.kept.answer(first.id) is not None
        self.keep("d", vector(0, 1))
        assert len(self.kept) == room
        assert sorted(self.prompts(vector(1))) == ["a", "c", "d"]
        assert self.prompts(vector(1), THERE) == []

    def test_threads_find_whole_entries_or_none(self) -> None:
        """Keeping, seeking and dropping at once never mixes two entries."""

        def work(thread: int) -> int:
            found = 0
            for turn in range(20):
                scope = f"{turn % 3}" * 64
                entry = self.keep(f"{turn % 5}", vector(1, turn % 5), scope=scope)
                for near in self.kept.nearest(scope, vector(1, turn % 5), 5):
                    assert near.entry.scope == scope
                    reply = self.kept.answer(near.entry.id)
                    assert reply is None or reply.text == near.entry.prompt
                    found += 1
                if turn % 5 == thread:
                    self.kept.drop(entry.id)
            return found

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) > 0
