"""What a user may set on a semantic cache, checked once, and what is made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from agentfuse.caches.semantic.sameness import says_the_same
from agentfuse.caches.semantic.tier import TRIAL_FLOOR
from agentfuse.caches.semantic.trials import TrialLog
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from agentfuse.caches.semantic.verifying import Verifier
    from agentfuse.ports import Clock, Embedder, SemanticStore

PRESETS = ("strict", "balanced", "wide")
LEVELS = ("balanced", "strict")


class SemanticOptions(TypedDict, total=False):
    """The keyword arguments of ``SemanticCache``, each with its default in ``SemanticSettings``."""

    threshold: float | None
    calibration: str | Path | None
    embedder: Embedder | str | None
    guard: Literal["balanced", "strict"] | None
    verifiers: Sequence[Verifier]
    verifier_seconds: float
    ttl: float
    jitter: float
    soft_ttl: float | None
    max_entries: int
    max_bytes: int
    max_scopes: int
    path: str | Path | None
    store: SemanticStore | str | None
    namespace: str
    share_across_users: bool
    about_now: bool
    same: Callable[[str, str], bool]
    trial_log: str | Path | None
    clock: Clock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticSettings:
    """What holds for a semantic cache.

    What counts as the same question: ``preset``, or a ``threshold`` of your own (a cosine), or the
    ``calibration`` file that ``agentfuse cache calibrate`` wrote. ``embedder`` turns texts into
    vectors: MiniLM by default, a name, or an ``Embedder``. ``guard`` is how strictly two texts must
    agree in numbers, names, negation and the like: the preset "strict" is as strict here unless you
    say otherwise, the others are "balanced"; each of ``verifiers`` (functions or coroutine
    functions of the text asked and the text kept) must say yes within ``verifier_seconds``.

    How long an answer lives: ``ttl`` seconds, less a random share of up to ``jitter``; from an age
    of ``soft_ttl`` on one caller at a time is sent to ask anew while others get the old answer. At
    most ``max_entries`` and about ``max_bytes`` are kept, in at most ``max_scopes`` scopes; the
    least recently used leave first. ``path`` is a file that survives restarts; ``store`` another
    place for the entries, with its own bounds.

    Who shares answers: callers of one tenant, each user named by ``agentfuse.scope(user=...)``
    apart; with ``share_across_users`` all of them, and then two questions must have most of their
    content in common. ``namespace`` (the version of your prompts, of your document index) keeps
    what was answered under another one apart. ``about_now`` lets questions about now in ("today",
    "the latest"), which are left out otherwise.

    On trial (``agentfuse.scope(cache="shadow")``): ``same(one, other)`` says whether two answers
    agree; ``trial_log`` is a file that gets a line for each trial.
    """

    preset: str = "balanced"
    threshold: float | None = None
    calibration: str | Path | None = None
    embedder: Embedder | str | None = None
    guard: Literal["balanced", "strict"] | None = None
    verifiers: Sequence[Verifier] = ()
    verifier_seconds: float = 2.0
    ttl: float = 86_400.0
    jitter: float = 0.1
    soft_ttl: float | None = None
    max_entries: int = 100_000
    max_bytes: int = 512 * 2**20
    max_scopes: int = 10_000
    path: str | Path | None = None
    store: SemanticStore | str | None = None
    namespace: str = ""
    share_across_users: bool = False
    about_now: bool = False
    same: Callable[[str, str], bool] = says_the_same
    trial_log: str | Path | None = None
    clock: Clock | None = None

    @classmethod
    def of(cls, preset: str, options: SemanticOptions) -> SemanticSettings:
        """Check the words and the bounds; raises ConfigurationError for one that is off."""
        known = {f.name for f in fields(cls)}
        for word in options:
            if word not in known:
                raise ConfigurationError(
                    f"SemanticCache knows no option {word!r}; it knows {sorted(known)}"
                )
        settings = cls(preset=preset, **cast("dict[str, Any]", options))
        settings.check()
        return settings

    def check(self) -> None:
        """Raise ConfigurationError for a value that cannot be meant."""
        if self.preset not in PRESETS:
            raise ConfigurationError(f"a preset is one of {PRESETS}, not {self.preset!r}")
        if self.guard is not None and self.guard not in LEVELS:
            raise ConfigurationError(f"guard must be one of {LEVELS}, not {self.guard!r}")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigurationError(
                f"threshold must be a cosine above 0 and up to 1, not {self.threshold!r}"
            )
        for word in ("max_entries", "max_bytes", "max_scopes", "verifier_seconds"):
            if not getattr(self, word) > 0:
                raise ConfigurationError(f"{word} must be above zero, not {getattr(self, word)!r}")
        if self.soft_ttl is not None and not 0 < self.soft_ttl < self.ttl:
            raise ConfigurationError(
                f"soft_ttl must be above zero and below ttl ({self.ttl}), not {self.soft_ttl!r}"
            )
        if self.store is not None and self.path is not None:
            raise ConfigurationError("give a store or a path, not both: the store is the place")

    @property
    def level(self) -> Literal["balanced", "strict"]:
        """How strict the guard is: as was said, or else as the preset implies."""
        return self.guard or ("strict" if self.preset == "strict" else "balanced")

    def made_embedder(self) -> Embedder:
        """Give the embedder; raises ConfigurationError for one whose model is not there."""
        from agentfuse.embedders import embedder_named

        chosen = "minilm" if self.embedder is None else self.embedder
        return embedder_named(chosen) if isinstance(chosen, str) else chosen

    def made_store(self, embedder: Embedder) -> SemanticStore:
        """Give the place of the entries."""
        if isinstance(self.store, str):
            from agentfuse.caches.fleet.addresses import semantic_store_at

            return semantic_store_at(
                self.store,
                embedder.dim,
                fingerprint=embedder.fingerprint,
                max_entries=self.max_entries,
                max_bytes=self.max_bytes,
                clock=self.clock,
            )
        if self.store is not None:
            return self.store
        from agentfuse.caches.semantic.memory_store import MemorySemanticStore

        return MemorySemanticStore(
            embedder.dim,
            fingerprint=embedder.fingerprint,
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
            max_scopes=self.max_scopes,
            path=self.path,
            clock=self.clock,
            floor=min(TRIAL_FLOOR, self.least_cosine(embedder.fingerprint)),
        )

    def made_log(self) -> TrialLog | None:
        """Give the log of trials, where one was named."""
        return None if self.trial_log is None else TrialLog(self.trial_log)

    def least_cosine(self, fingerprint: str) -> float:
        """Give the threshold: one's own, the calibrated one, or the preset's for this embedder.

        Raises ConfigurationError where none was measured for the ``fingerprint``.
        """
        if self.threshold is not None:
            return self.threshold
        if self.calibration is not None:
            return calibrated(Path(self.calibration), fingerprint)
        from agentfuse.embedders import threshold_of

        return threshold_of(fingerprint, self.preset)


def calibrated(path: Path, fingerprint: str) -> float:
    """Read the threshold that ``agentfuse cache calibrate`` chose for an embedder.

    Raises ConfigurationError for a file that is none, or of another embedder.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        embedder, threshold = found["embedder"], found["threshold"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no calibration that can be read: {error!r}") from error
    if embedder != fingerprint:
        raise ConfigurationError(
            f"{path} was calibrated for the embedder {embedder}, this is {fingerprint}: their"
            " cosines cannot be compared, so calibrate again"
        )
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise ConfigurationError(
            f"{path} names no threshold: no cosine kept wrong answers within its target"
        )
    return float(threshold)
