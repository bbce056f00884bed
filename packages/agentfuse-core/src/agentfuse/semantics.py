"""The words of answering by meaning: questions, entries, what was found, what to forget."""

from __future__ import annotations

from dataclasses import KW_ONLY, asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from agentfuse.messages import Reply

Vector = Any
"""A text's embedding: a one-dimensional ``numpy.float32`` array of length 1 (Euclid's)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meanings:
    """What makes two questions comparable, beside the request itself, and what may be one.

    Part of every scope: the embedder's ``fingerprint``, the guard's ``guard_version`` and the
    user's ``namespace`` (the version of a prompt template, of a document index). Where ``shared``,
    users of one tenant may get each other's answers. ``about_now`` lets questions about now
    (today, the latest) in. The others bound the length of a question, in characters.
    """

    fingerprint: str
    guard_version: str
    namespace: str = ""
    shared: bool = False
    about_now: bool = False
    shortest: int = 2
    longest: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request that may be answered by meaning.

    Only ``text`` is ever compared; ``scope`` is a digest (hex SHA-256) of all else, the ``model``
    among it. ``key`` names the exact answer of the same request. ``tags`` are the names under which
    the answer can be forgotten (``user:ann``, ``tenant:acme``, ``model:gpt-4o``, ``tag:faq``).
    ``json`` says that an answer must be JSON; ``mode`` whether it may be served or is on trial.
    """

    scope: str
    text: str
    model: str = ""
    key: str = ""
    tags: tuple[str, ...] = ()
    json: bool = False
    mode: Literal["semantic", "shadow"] = "semantic"

    @property
    def entry_id(self) -> str:
        """The id of the entry that this very question makes: one for each text of a scope."""
        text = self.text.encode("utf-8", "surrogatepass")
        return sha256(self.scope.encode() + b"\0" + text).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticEntry:
    """One answered question; times are seconds since the epoch.

    It may be served until ``expires``; from ``stale`` on one caller is sent to ask anew.
    """

    id: str
    scope: str
    prompt: str
    kept: float
    expires: float
    stale: float = float("inf")
    key: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """An entry and the cosine of its vector with the one that was sought."""

    entry: SemanticEntry
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticHit:
    """Why a question got another one's answer.

    ``asked`` is what was asked, ``matched_prompt`` what had been answered, ``score`` their cosine,
    ``age`` the answer's in seconds, ``verdict`` what was checked beside the score.
    """

    entry_id: str
    score: float
    asked: str
    matched_prompt: str
    age: float
    verdict: str

    def told(self) -> dict[str, Any]:
        """Give what an adapter shows its caller, as JSON: the source and all of this."""
        return {"cached": True, "source": "semantic", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Match:
    """A remembered answer that fits, and why."""

    hit: SemanticHit
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The nearest entry of a call whose mode is shadow, whatever its score.

    ``veto`` says why it would not have been served; empty: it would have been.
    """

    match: Match
    veto: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What looking a question up gave: its ``vector``, for keeping, and the ``match`` if any.

    ``refreshes`` is the stale entry that this caller was sent to ask anew; ``trial`` what would
    have answered a call whose mode is shadow.
    """

    question: Question
    vector: Vector = field(compare=False, repr=False)
    _: KW_ONLY
    match: Match | None = None
    refreshes: str = ""
    trial: Trial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which answers to forget: those that fit all that is given.

    ``key`` is an exact key or an entry's id; an answer must carry all of ``tags`` and have been
    kept ``before`` a Unix time.
    """

    key: str = ""
    tags: tuple[str, ...] = ()
    before: float | None = None

    def fits(self, names: tuple[str, ...], tags: tuple[str, ...], kept: float) -> bool:
        """Say whether an answer of these ``names`` (its key, its id) is to be forgotten."""
        return (
            (not self.key or self.key in names)
            and set(self.tags) <= set(tags)
            and (self.before is None or kept < self.before)
        )


EVERYTHING = Selection()
"""All answers."""


def pair_of(scope: str, asked: str, kept: str) -> str:
    """Name a pair of texts that was called wrong: the one must not get the other's answer again."""
    lines = f"{scope}\0{len(asked)}\0{asked}{kept}"
    return sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:32]
