"""The semantic tier: embed, look among the nearest of the scope, judge, and answer or keep."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal

from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.semantic.report import Counts
from agentfuse.caches.semantic.sameness import says_the_same
from agentfuse.caches.semantic.verifying import Jury
from agentfuse.caches.threaded import on_a_thread
from agentfuse.errors import StoreUnavailable
from agentfuse.guard import is_english, veto
from agentfuse.semantics import (
    Lookup,
    Match,
    SemanticEntry,
    SemanticHit,
    Trial,
    pair_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentfuse.caches.semantic.report import CacheReport
    from agentfuse.caches.semantic.trials import TrialLog
    from agentfuse.messages import Reply
    from agentfuse.ports import Clock, SemanticStore
    from agentfuse.semantics import Meanings, Near, Question, Selection, Vector

# How many of the nearest are judged: the guard lets a lower one pass where the nearest is a trap.
CANDIDATES = 5

# Two texts this near that also pass the guard are one question: the newer answer takes its place.
ONE_QUESTION = 0.995

# For how long whoever was sent to ask anew keeps others from being sent, in seconds.
REFRESH_PATIENCE = 60.0

# Below this cosine a trial says nothing about any threshold in use.
TRIAL_FLOOR = 0.7

BELOW = "below the threshold"
FORBIDDEN = "rejected before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a question gets another's answer.

    ``threshold`` is the least cosine, ``foreign`` that of questions that are not in English, which
    the guard cannot read. ``level`` and ``coverage`` are the guard's. ``soft_ttl`` is the age (in
    seconds) from which one caller in a while is sent to ask anew.
    """

    threshold: float
    foreign: float = 0.95
    level: Literal["balanced", "strict"] = "balanced"
    coverage: float = 0.0
    soft_ttl: float | None = None
    lifetime: Lifetime = field(default_factory=lambda: Lifetime(86_400.0, 0.1))
    jury: Jury = field(default_factory=Jury)
    same: Callable[[str, str], bool] = says_the_same

    def least(self, text: str) -> float:
        """Give the least cosine for a question."""
        return self.threshold if is_english(text) else max(self.threshold, self.foreign)


class SemanticTier:
    """Answers by meaning, over a store; safe for threads, and holds up the one it runs on.

    ``awaited()`` gives its face for an event loop. ``embed`` turns a text into a vector; what it
    raises is a StoreUnavailable, so that it costs a hit and not a call.
    """

    def __init__(
        self,
        meanings: Meanings,
        embed: Callable[[str], Vector],
        store: SemanticStore,
        *,
        terms: Terms,
        clock: Clock | None = None,
        log: TrialLog | None = None,
    ) -> None:
        self.meanings = meanings
        self.store = store
        self.terms = terms
        self.counts = Counts()
        self._embed = embed
        self._now = time.time if clock is None else clock.now
        self._log = log
        self._lock = Lock()
        self._refreshing: dict[str, float] = {}
        self._served: dict[str, str] = {}

    async def find(self, question: Question) -> Lookup:
        """Look for an answer to a question that means the same; holds up the thread."""
        return self.find_now(question)

    async def keep(self, lookup: Lookup, reply: Reply) -> None:
        """Keep the answer to a question that was looked up; holds up the thread."""
        self.keep_now(lookup, reply)

    async def compare(self, lookup: Lookup, reply: Reply) -> bool:
        """Say whether the answer on trial says what the true one says; holds up the thread."""
        return self.compare_now(lookup, reply)

    def awaited(self) -> ThreadedTier:
        """Give the same tier for an event loop."""
        return ThreadedTier(self)

    def find_now(self, question: Question) -> Lookup:
        """Look for an answer to a question that means the same."""
        vector = self._vector_of(question.text)
        nearest = self.store.nearest(question.scope, vector, CANDIDATES)
        if question.mode == "shadow":
            return Lookup(question, vector, trial=self._trial(question, nearest))
        self.counts.add("lookups")
        for near in self._fitting(question, nearest):
            reply = self.store.answer(near.entry.id)
            if reply is None:
                continue
            if self._is_to_refresh(near.entry):
                return Lookup(question, vector, refreshes=near.entry.id)
            self.counts.add("hits")
            return Lookup(question, vector, match=self._match(question, near, reply))
        return Lookup(question, vector)

    def keep_now(self, lookup: Lookup, reply: Reply) -> None:
        """Keep an answer in place of the older one of the same question, in these words or nearly.

        Its end is fixed now: a wrong answer that is often served must not live the longer for it.
        """
        question, now = lookup.question, self._now()
        soft = self.terms.soft_ttl
        entry = SemanticEntry(
            id=question.entry_id,
            scope=question.scope,
            prompt=question.text,
            kept=now,
            expires=self.terms.lifetime.end(now),
            stale=float("inf") if soft is None else now + soft,
            key=question.key,
            tags=question.tags,
        )
        for older in self._older(lookup):
            if older != entry.id:
                self.store.drop(older)
        self.store.keep(entry, lookup.vector, reply)
        self.counts.add("kept")

    def compare_now(self, lookup: Lookup, reply: Reply) -> bool:
        """Say whether the answer on trial says what the true one says, and write it down."""
        trial = lookup.trial
        if trial is None:
            return True
        right = self.terms.same(trial.match.reply.text, reply.text)
        if not trial.veto:
            self.counts.add("checked", *(() if right else ("wrong",)))
        if self._log is not None:
            self._log.write(trial, self.meanings.fingerprint, right=right)
        return right

    def reject(self, hit: SemanticHit | str) -> bool:
        """Forget the entry of a wrong hit (or its id), and never match these two texts again.

        With an id alone, the pair is the entry and the question it answered last. False where the
        entry was gone already.
        """
        entry_id = hit if isinstance(hit, str) else hit.entry_id
        with self._lock:
            asked = self._served.get(entry_id, "") if isinstance(hit, str) else hit.asked
        entry = self.store.entry(entry_id)
        self.counts.add("rejected")
        if entry is None:
            return False
        if asked:
            self.store.forbid(pair_of(entry.scope, asked, entry.prompt))
        return self.store.drop(entry_id)

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        return self.store.invalidate(selection)

    def report(self) -> CacheReport:
        """Sum up what was found, vetoed, kept and tried."""
        return self.counts.report(len(self.store))

    def close(self) -> None:
        """Write down what is to survive."""
        self.store.close()

    def _vector_of(self, text: str) -> Vector:
        try:
            return self._embed(text)
        except Exception as error:
            raise StoreUnavailable(f"the embedder failed: {error!r}") from error

    def _fitting(self, question: Question, nearest: Sequence[Near]) -> Iterator[Near]:
        """Give the candidates that may be served, best first; count why others may not."""
        least = self.terms.least(question.text)
        for near in nearest:
            if near.score < least:
                return
            reason = self._objection(question, near)
            if reason:
                self.counts.veto(reason)
            else:
                yield near

    def _objection(self, question: Question, near: Near) -> str:
        """Say why a candidate must not be served; empty if it may."""
        kept = near.entry.prompt
        if self.store.is_forbidden(pair_of(question.scope, question.text, kept)):
            return FORBIDDEN
        if question.text == kept:
            return ""
        reason = veto(question.text, kept, self.terms.level, self.terms.coverage)
        return reason or self.terms.jury.objection(question.text, kept)

    def _trial(self, question: Question, nearest: Sequence[Near]) -> Trial | None:
        """Give what would have been served, or else the nearest with why it would not have been."""
        least, first = self.terms.least(question.text), None
        for near in nearest:
            if near.score < TRIAL_FLOOR:
                break
            reason = self._objection(question, near) or (BELOW if near.score < least else "")
            reply = None if reason and first else self.store.answer(near.entry.id)
            if reply is not None and (first is None or not reason):
                first = Trial(match=self._match(question, near, reply), veto=reason)
                if not reason:
                    break
        return first

    def _match(self, question: Question, near: Near, reply: Reply) -> Match:
        entry, text = near.entry, question.text
        with self._lock:
            self._served.pop(entry.id, None)
            self._served[entry.id] = text
            if len(self._served) > MOST_SERVED:
                del self._served[next(iter(self._served))]
        checked = [f"guard {self.meanings.guard_version} {self.terms.level}"]
        checked += [getattr(each, "__name__", "verifier") for each in self.terms.jury.verifiers]
        verdict = "the same text" if text == entry.prompt else f"passed {', '.join(checked)}"
        hit = SemanticHit(
            entry_id=entry.id,
            score=near.score,
            asked=text,
            matched_prompt=entry.prompt,
            age=max(0.0, self._now() - entry.kept),
            verdict=verdict,
        )
        return Match(hit, reply)

    def _is_to_refresh(self, entry: SemanticEntry) -> bool:
        """Say whether this caller is the one to ask a stale question anew."""
        now = self._now()
        if now < entry.stale:
            return False
        with self._lock:
            if self._refreshing.get(entry.id, 0.0) > now:
                return False
            self._refreshing = {id_: end for id_, end in self._refreshing.items() if end > now}
            self._refreshing[entry.id] = now + REFRESH_PATIENCE
        return True

    def _older(self, lookup: Lookup) -> list[str]:
        """Name the entries whose place a new answer takes."""
        question = lookup.question
        nearest = self.store.nearest(question.scope, lookup.vector, 1)
        level, coverage = self.terms.level, self.terms.coverage
        same = [
            near.entry.id
            for near in nearest
            if near.score >= ONE_QUESTION
            and not veto(question.text, near.entry.prompt, level, coverage)
        ]
        return [*same, *([lookup.refreshes] if lookup.refreshes else [])]


# For so many entries it is known which question they answered last.
MOST_SERVED = 10_000


class ThreadedTier:
    """``tier``, with each step on a thread of the loop's pool: embedding takes milliseconds."""

    def __init__(self, tier: SemanticTier) -> None:
        self._tier = tier
        self.meanings = tier.meanings

    async def find(self, question: Question) -> Lookup:
        """Look for an answer to a question that means the same."""
        return await on_a_thread(self._tier.find_now, question)

    async def keep(self, lookup: Lookup, reply: Reply) -> None:
        """Keep the answer to a question that was looked up."""
        await on_a_thread(self._tier.keep_now, lookup, reply)

    async def compare(self, lookup: Lookup, reply: Reply) -> bool:
        """Say whether the answer on trial says what the true one says."""
        return await on_a_thread(self._tier.compare_now, lookup, reply)
