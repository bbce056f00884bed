"""The log of calls on trial: one JSON line each, which ``agentfuse cache calibrate`` reads."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.errors import StoreUnavailable

if TYPE_CHECKING:
    from agentfuse.semantics import Trial


class TrialLog:
    """Appends a line for each call on trial: the two texts, their cosine, and who was right.

    ``a`` is the text that was kept, ``b`` the one asked, ``y`` 1 if the kept answer was right and 0
    if not, ``score`` their cosine by ``embedder``, ``veto`` why it would not have been served. The
    texts are the users' own: treat the file as you treat your prompts.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = Lock()

    def write(self, trial: Trial, embedder: str, *, right: bool) -> None:
        """Append one line; raises StoreUnavailable where the file cannot be written."""
        hit = trial.match.hit
        line = json.dumps(
            {
                "a": hit.matched_prompt,
                "b": hit.asked,
                "y": int(right),
                "score": round(hit.score, 6),
                "veto": trial.veto,
                "embedder": embedder,
                "at": round(time.time(), 3),
            }
        )
        try:
            with self._lock, self.path.open("a", encoding="ascii") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise StoreUnavailable(f"trials cannot be written to {self.path}: {error}") from error
