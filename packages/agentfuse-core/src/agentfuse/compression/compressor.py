"""How requests are made shorter: rarely, in big steps, and then held at the same cut."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from agentfuse.compression.cuts import due, fits_surely, may_be_shortened
from agentfuse.compression.facts import pieces_for, references_in, words_of
from agentfuse.compression.notes import Note, carried, short_answers, within
from agentfuse.compression.plans import Plan, Talk, left_out
from agentfuse.compression.prefixes import prefixes_of
from agentfuse.compression.summaries import squeezed, summary_of
from agentfuse.errors import ConfigurationError
from agentfuse.lengths import Shortened
from agentfuse.messages import Request
from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentfuse.compression.plans import Cutting
    from agentfuse.lengths import Desk, Pressure
    from agentfuse.messages import Message

Strategy = Literal["keep_recent", "sliding_window", "summarise"]

# What of the target the facts in a note may take, and its short answers: a fifth and a tenth, but
# at least so many tokens.
_FACTS, _ANSWERS, _LEAST = 5, 10, 200


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a conversation up to some message: each one's tokens, and its plan."""

    sizes: tuple[int, ...]
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Compressor:
    """Shortens long conversations, as ``Fuse(compress=Compressor(...))``.

    ``strategy`` leaves out the oldest turns (``keep_recent``), all but the last ``turns``
    (``sliding_window``), or lets notes stand for what is left out (``summarise``): written by the
    cheap ``model`` in at most ``summary_tokens``, its calls on the same budget, or made by
    ``shorten(text, ratio)``, any function that gives a text shortened to about a ratio of its
    tokens. ``base_url`` and ``api_key`` say where that model is, if not at its provider's own
    address with the key in the environment.

    A cut goes down to the share ``to`` of what set it off, and stays where it is until the
    conversation has grown past that again, so that providers' prompt caches keep what they have.
    Results of tools above ``tool_tokens`` are shortened first, once the model has read them.
    ``keep(message)`` marks messages that always stay. Raises ConfigurationError for words that are
    off.
    """

    strategy: Strategy = "keep_recent"
    _: KW_ONLY
    to: float = 0.5
    turns: int = 8
    tool_tokens: int | None = 1_000
    keep: Callable[[Message], bool] | None = None
    model: str = ""
    shorten: Callable[[str, float], str] | None = None
    summary_tokens: int = 600
    base_url: str = ""
    api_key: str = ""

    async def shortened(self, request: Request, pressure: Pressure, desk: Desk) -> Shortened | None:
        """Give a request that is shorter, or None for one that may stay as it is."""
        if not may_be_shortened(request) or fits_surely(request, pressure, self._after(pressure)):
            return None
        names = prefixes_of(request)
        known = _known(names, desk)
        talk = _talk_of(request, desk, known)
        plan = known.plan if known and known.plan and known.plan.holds_for(talk) else None
        if plan is not None:
            plan = self._recalled(plan, talk)
        why, cutting = due(self, talk, plan, pressure, after=self._after(pressure))
        if cutting is not None:
            plan = await self._cut(cutting, talk, plan, request, desk)
        _remember(names, talk, plan, desk)
        if plan is None or plan.size_in(talk) >= talk.size:
            return None
        return Shortened(
            request=replace(request, messages=plan.messages(request.messages)),
            before=talk.size,
            after=plan.size_in(talk),
            why=why or "held",
            left_out=len(plan.left),
        )

    def _after(self, pressure: Pressure) -> int | None:
        """Give the steps that set a cut off; a window slides once it is twice as long."""
        if pressure.after is None and self.strategy == "sliding_window":
            return 2 * self.turns
        return pressure.after

    async def _cut(
        self, cutting: Cutting, talk: Talk, before: Plan | None, request: Request, desk: Desk
    ) -> Plan:
        """Cut anew, and write the note for what is left out."""
        plan = cutting.plan(talk, above=talk.size)
        gone = left_out(plan, talk.messages)
        if not gone:
            return replace(plan, floor=plan.size_in(talk))
        room = min(cutting.target, talk.size // 2)
        note = Note(
            count=len(gone),
            summary=await self._summary(plan, talk, before, request, desk),
            answers=_ordered(
                within(short_answers(gone), max(room // _ANSWERS, _LEAST), talk.count)
            ),
        )
        stays = [talk.messages[i] for i in (*plan.kept, *range(plan.reach, len(talk.messages)))]
        words = {word for message in stays for word in references_in(words_of(message))}
        words &= plan.index.keys()
        pieces = pieces_for(words, plan.index, talk.messages)
        facts = within(pieces, max(room // _FACTS, _LEAST), talk.count)
        plan = plan.with_note(note.telling(words, facts), talk)
        return replace(plan, floor=plan.size_in(talk))

    async def _summary(
        self, plan: Plan, talk: Talk, before: Plan | None, request: Request, desk: Desk
    ) -> str:
        """Extend the summary by what is left out now and was not before."""
        so_far = before.note.summary if before is not None else ""
        new = left_out(plan, talk.messages, before.left if before is not None else ())
        so_far = "\n".join(filter(None, [carried(new), so_far]))
        if self.strategy != "summarise" or not new:
            return so_far
        if self.shorten is not None:
            return squeezed(so_far, new, talk, self.shorten, self.summary_tokens)
        model = Request(
            provider="",
            model=self.model,
            messages=(),
            max_output_tokens=self.summary_tokens,
            tenant=request.tenant,
            base_url=self.base_url,
        )
        return await summary_of(so_far, new, talk, model, desk, self.api_key) or so_far

    def _recalled(self, plan: Plan, talk: Talk) -> Plan:
        """Bring back the lines that newer turns refer to, and only what was left out tells of."""
        words = plan.missing(talk)
        if not words:
            return plan
        pieces = pieces_for(words, plan.index, talk.messages)
        return plan.with_note(plan.note.telling(words, pieces), talk)


def checked_compressor(given: Compressor) -> Compressor:
    """Check the words of a compressor; raises ConfigurationError."""
    strategies = get_args(Strategy)
    if given.strategy not in strategies:
        raise ConfigurationError(
            f"compress knows {', '.join(map(repr, strategies))}, not {given.strategy!r}"
        )
    if not 0 < given.to < 1:
        raise ConfigurationError(f"Compressor(to=...) must be a share below 1, not {given.to!r}")
    for word in ("turns", "summary_tokens"):
        if getattr(given, word) < 1:
            raise ConfigurationError(f"Compressor({word}=...) must be at least 1")
    if given.strategy == "summarise" and not given.model and given.shorten is None:
        raise ConfigurationError(
            "compress='summarise' needs who summarises: Compressor('summarise',"
            " model='gpt-4o-mini'), or shorten=, a function of a text and a ratio"
        )
    return given


def _known(names: Sequence[bytes], desk: Desk) -> Known | None:
    """Find what was asked before of this conversation: the longest beginning, the newest plan."""
    sizes: tuple[int, ...] | None = None
    for name in reversed(names):
        known = desk.memo.find(name)
        if isinstance(known, Known):
            sizes = known.sizes if sizes is None else sizes
            if known.plan is not None:
                return Known(sizes, known.plan)
    return None if sizes is None else Known(sizes, None)


def _remember(names: Sequence[bytes], talk: Talk, plan: Plan | None, desk: Desk) -> None:
    """Keep what is known under the whole conversation, and under what others share with it.

    Agents that put a message of the moment at the end of each request share all but that.
    """
    sizes = tuple(talk.sizes)
    desk.memo.keep(names[-1], Known(sizes, plan))
    shared = len(names) - 1 if plan is None else plan.reach
    if 0 < shared < len(names):
        desk.memo.keep(names[shared - 1], Known(sizes[:shared], plan))


def _talk_of(request: Request, desk: Desk, known: Known | None) -> Talk:
    """Count the messages that are new."""
    bare = replace(request, messages=(), tools=(), params=NOTHING)
    empty = desk.counter.by_rules(bare).tokens

    def size_of(message: Message) -> int:
        return max(desk.counter.by_rules(replace(bare, messages=(message,))).tokens - empty, 0)

    def count(text: str) -> int:
        return desk.counter.count_text(text, request.model)

    sizes = list(known.sizes) if known is not None else []
    sizes += [size_of(message) for message in request.messages[len(sizes) :]]
    frame = desk.counter.by_rules(replace(request, messages=())).tokens
    return Talk(messages=request.messages, sizes=sizes, frame=frame, size_of=size_of, count=count)


def _ordered(lines: Iterable[str]) -> tuple[str, ...]:
    """Give the oldest first again."""
    return tuple(reversed(tuple(lines)))
