"""A semantic store's file: read at the start, written by a thread a while after a change."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from threading import Lock, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

from agentfuse.caches.entries import reply_of, text_of
from agentfuse.caches.vectors import Snapshot, load, save
from agentfuse.semantics import SemanticEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Reply
    from agentfuse.semantics import Vector

# Changes are gathered for so many seconds: a file is written whole, and 10,000 entries take 0.2 s.
GATHERED = 5.0


class Saved(Protocol):
    """What can be written down and taken in again."""

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    def contents(self) -> tuple[list[tuple[SemanticEntry, Reply, Vector]], list[str]]:
        """Give the entries with their answers and vectors, and the forbidden pairs."""
        ...

    def take_in(self, entry: SemanticEntry, vector: Vector, reply: Reply) -> None:
        """Take in an entry."""
        ...

    def forbid(self, pair: str) -> None:
        """Take in a forbidden pair."""
        ...


class Saving:
    """Keeps ``path`` as ``store`` is, some seconds behind.

    What cannot be written is said to the ``agentfuse`` logger once, and tried again with the next
    change: a full disk costs entries, never a call.
    """

    def __init__(self, path: Path | str, fingerprint: str, store: Saved) -> None:
        self.path = Path(path).expanduser()
        self._fingerprint = fingerprint
        self._store = store
        self._lock = Lock()
        self._writing = Lock()
        self._dirty = False
        self._waiting = False
        self._said = False
        self._restoring = False

    def restore(self) -> None:
        """Read what was written; entries that cannot be read are left out."""
        try:
            snapshot = load(self.path, self._fingerprint)
        except OSError as error:
            logging.getLogger("agentfuse").warning(
                "the semantic cache in %s cannot be read, and begins empty: %s", self.path, error
            )
            return
        if snapshot is None:
            return
        self._restoring = True
        for kept, vector in zip(snapshot.entries, snapshot.vectors, strict=True):
            self._restore(kept, vector)
        self._restoring = False

    def changed(self) -> None:
        """Note a change; a thread writes it down in a while."""
        if self._restoring:
            return
        with self._lock:
            self._dirty = True
            if self._waiting:
                return
            self._waiting = True
        Thread(target=self._write_later, name="agentfuse-semantic-cache", daemon=True).start()

    def close(self) -> None:
        """Write what has changed, at once; what a thread is writing is waited for."""
        with self._writing:
            with self._lock:
                dirty, self._dirty = self._dirty, False
            if dirty:
                self._write()

    def _write_later(self) -> None:
        sleep(GATHERED)
        with self._lock:
            self._waiting = False
        self.close()

    def _write(self) -> None:
        kept, pairs = self._store.contents()
        entries: list[dict[str, Any]] = []
        vectors: list[Vector] = []
        for entry, reply, vector in kept:
            try:
                said = text_of(reply)
            except ValueError:
                continue  # a block that JSON cannot carry: such an answer stays in memory
            entries.append({**asdict(entry), "tags": list(entry.tags), "reply": said})
            vectors.append(vector)
        self._save(entries, vectors, pairs)

    def _save(self, entries: list[dict[str, Any]], vectors: list[Vector], pairs: list[str]) -> None:
        import numpy as np

        # A snapshot is entries and vectors, and no more: the pairs are one more entry.
        first = np.zeros(self._store.dim, np.float32)
        first[0] = 1
        rows = np.stack([*vectors, first])
        listed = [*entries, {"forbidden": pairs}]
        try:
            save(self.path, Snapshot(self._fingerprint, listed, rows))
        except OSError as error:
            if not self._said:
                logging.getLogger("agentfuse").warning(
                    "the semantic cache cannot be written to %s, the calls go on: %s",
                    self.path,
                    error,
                )
            self._said = True
        else:
            self._said = False

    def _restore(self, kept: Mapping[str, Any], vector: Vector) -> None:
        fields = dict(kept)
        for pair in fields.pop("forbidden", ()):
            self._store.forbid(pair)
        if not fields:
            return
        try:
            reply = reply_of(fields.pop("reply"))
            tags = tuple(fields.pop("tags"))
            entry = SemanticEntry(**fields, tags=tags)
        except (ValueError, KeyError, TypeError) as error:
            logging.getLogger("agentfuse").warning(
                "an entry in %s cannot be read and is left out: %r", self.path, error
            )
            return
        self._store.take_in(entry, vector, reply)
