"""What answering by meaning needs: texts as vectors, vectors by id, entries by scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import float32
    from numpy.typing import NDArray

    from agentfuse.messages import Reply
    from agentfuse.semantics import (
        Lookup,
        Meanings,
        Near,
        Question,
        Selection,
        SemanticEntry,
        Vector,
    )


class SemanticStore(Protocol):
    """Where the entries of a semantic cache live: vectors by scope, and each entry's answer.

    Methods hold up the thread they run on, are safe for threads, and raise StoreUnavailable where
    the store is out of reach. What it cannot read is a miss. It judges nothing: thresholds and
    guards are the cache's. Bounds and lifetimes are kept here: ``expires`` is an entry's end.
    """

    def nearest(self, scope: str, vector: Vector, count: int) -> Sequence[Near]:
        """Give the entries of one scope nearest to ``vector``, best first; none has expired."""
        ...

    def answer(self, entry_id: str) -> Reply | None:
        """Give an entry's answer, and note its use; None where it is gone."""
        ...

    def entry(self, entry_id: str) -> SemanticEntry | None:
        """Give an entry by its id; None where it is gone."""
        ...

    def keep(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Keep an answer, in place of the older one of the same id."""
        ...

    def drop(self, entry_id: str) -> bool:
        """Forget an entry; False where there was none."""
        ...

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        ...

    def forbid(self, pair: str) -> None:
        """Remember a pair (``pair_of``) that was called wrong; the oldest may leave in time."""
        ...

    def is_forbidden(self, pair: str) -> bool:
        """Say whether a pair was called wrong."""
        ...

    def close(self) -> None:
        """Write down what is to survive; what is asked afterwards opens the store again."""
        ...

    def __len__(self) -> int:
        """Count the entries kept, as far as this process knows."""
        ...


class Semantics(Protocol):
    """Answers by meaning, as the policy asks for them."""

    @property
    def meanings(self) -> Meanings:
        """What is part of every scope."""
        ...

    async def find(self, question: Question) -> Lookup:
        """Look for an answer to a question that means the same, or give what keeping needs."""
        ...

    async def keep(self, lookup: Lookup, reply: Reply) -> None:
        """Keep the answer to a question that was looked up."""
        ...

    async def compare(self, lookup: Lookup, reply: Reply) -> bool:
        """Say whether the answer on trial says what the true one says, and count it."""
        ...


class Embedder(Protocol):
    """Texts as vectors, for many threads at once. It blocks: a loop puts it on a thread.

    A threshold holds for one ``fingerprint`` alone: whatever changes a text's vector (the model,
    its weights, their quantisation, the pooling, the longest text) changes it.
    """

    @property
    def fingerprint(self) -> str:
        """Name what makes the vectors; vectors of two fingerprints are never compared."""
        ...

    @property
    def dim(self) -> int:
        """Give the number of dimensions."""
        ...

    def embed(self, text: str) -> NDArray[float32]:
        """Give a text's vector: ``[dim]``, of length one, so that a product is a cosine."""
        ...


class Index(Protocol):
    """Vectors by id, for many threads at once, and which of them are near another."""

    def add(self, entry_id: str, vector: NDArray[float32]) -> None:
        """Take in a vector, in place of an older one of the same id.

        Raises ValueError for a vector of other dimensions, or one that has not length one.
        """
        ...

    def remove(self, entry_id: str) -> None:
        """Forget a vector; an id that is not there changes nothing."""
        ...

    def nearest(
        self, vector: NDArray[float32], count: int, at_least: float
    ) -> list[tuple[str, float]]:
        """Give up to ``count`` ids with their cosines, nearest first, none below ``at_least``."""
        ...

    def rows(self) -> tuple[list[str], NDArray[float32]]:
        """Give all ids and their vectors ``[n, dim]``, in the same order: a copy, to be saved."""
        ...

    def __len__(self) -> int:
        """Count the vectors."""
        ...
