"""Choose a model for each call: by what outcomes taught, held to a target, or by a rule."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from agentfuse.decisions import Decision
from agentfuse.errors import ConfigurationError
from agentfuse.money import Dollars, cost_of
from agentfuse.nothing import NOTHING
from agentfuse.pricing import PriceBook
from agentfuse.routing.conversations import (
    Conversations,
    Course,
    asks_json,
    broken_json,
    conversation_of,
    goes_on,
    stall_of,
)
from agentfuse.routing.features import asked_text, sketch_of
from agentfuse.routing.frontier import AIMED
from agentfuse.routing.knowledge import Knowledge
from agentfuse.routing.learned import Learned, View
from agentfuse.routing.options import Candidate, Field, Option, Pick
from agentfuse.routing.outcomes import Outcome, score_of
from agentfuse.routing.strategies import NAMED, PREFERRED, Judge, Situation, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from agentfuse.messages import Request
    from agentfuse.routing.features import Sketch
    from agentfuse.routing.strategies import Preference

# Decisions that an outcome can still be reported for.
_MOST_DECISIONS = 10_000

# A new time or length counts a fifth: the last ten or so make up nine tenths of the average.
_NEWEST = 0.2


@dataclass(slots=True)
class _Made:
    """What a decision has to be remembered by; ``score`` is what it was last said to be worth."""

    decision: Decision
    name: str
    conversation: str
    sketch: Sketch | None
    promised: float
    score: float | None = None


@dataclass(slots=True, eq=False)
class Router:
    """Chooses among ``models``; at most one target says how.

    ``strong`` (the last of ``models`` by default) is what a call must ask for to be routed, and
    what is asked when nothing better is known. ``target_quality`` is the share to keep of its lead
    over the cheapest model (1: all of it), ``target_cost`` the dollars a call may cost on average,
    ``max_share`` the share of calls that may go to it. Without a target all of the lead is kept.
    ``confidence`` is that of keeping the quality, one-sided: 0.5 aims at it (what is done for a
    ``target_quality``), 0.8 is a lower bound (what is done without one), and asks more of the
    strong model the less is known.

    ``weights`` are what ``agentfuse route fit`` wrote (a path, read once, or a ``Knowledge``); a
    tag with fewer than ``min_outcomes`` of a model is not sent there. ``explore`` is the share of
    calls whose model is drawn. ``strategy`` (``CHEAPEST_FIRST`` ..., ``Tiers``, ``Judge``,
    ``Split``) or ``preference`` ("cost", "speed", "quality") choose by rule instead.

    ``sticky`` keeps a conversation with its model, and moves it up once when it stalls; ``signals``
    learns from whether it did. ``outcomes`` is a file that reported outcomes are appended to.
    ``capabilities`` say what a model has of tools, vision, json and reasoning. A model of another
    provider is a candidate where the way a call is asked can reach it (``completion`` can).

    A router is a value of one fuse, which asks it for one call at a time. Raises
    ConfigurationError for words that are off.
    """

    models: Sequence[str]
    _: KW_ONLY
    strong: str = ""
    target_quality: float | None = None
    confidence: float | None = None
    target_cost: Dollars | None = None
    max_share: float | None = None
    weights: str | Path | Knowledge | None = None
    min_outcomes: int = 50
    explore: float = 0.0
    strategy: str | Strategy | None = None
    preference: Preference | None = None
    sticky: bool = True
    signals: bool = True
    outcomes: str | Path | None = None
    capabilities: Mapping[str, Collection[str]] = NOTHING
    draw: Callable[[], float] = random.random
    _field: Field = field(init=False, repr=False)
    _learned: Learned = field(init=False, repr=False)
    _plain: Strategy | None = field(init=False, repr=False)
    _conversations: Conversations = field(default_factory=Conversations, init=False, repr=False)
    _made: OrderedDict[str, _Made] = field(
        default_factory=OrderedDict[str, _Made], init=False, repr=False
    )
    _seconds: dict[str, float] = field(default_factory=dict[str, float], init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the words, and read the weights."""
        if isinstance(self.models, str) or not self.models:
            raise ConfigurationError(f"models is a list of names, not {self.models!r}")
        self.models = tuple(dict.fromkeys(self.models))
        self.strong = self.strong or self.models[-1]
        if self.strong not in self.models:
            raise ConfigurationError(f"strong is one of {list(self.models)}, not {self.strong!r}")
        self._check_shares()
        self._plain = self._plain_strategy()
        self._learned = Learned(
            strong=self.strong,
            knowledge=self._read(),
            min_outcomes=self.min_outcomes,
            explore=self.explore,
            quality=self.target_quality,
            confidence=self.confidence,
            share=self.max_share,
            cost=None if self.target_cost is None else cost_of(self.target_cost),
        )
        self.bind(PriceBook(), _split)

    def bind(self, book: PriceBook, resolve: Callable[[str], tuple[str, str]]) -> None:
        """Take a fuse's prices, and its way to read a name as (model, provider)."""
        candidates = [
            Candidate(name=name, model=model, provider=provider)
            for name in self.models
            for model, provider in [resolve(name)]
        ]
        self._field = Field(
            candidates=candidates,
            strong=candidates[tuple(self.models).index(self.strong)],
            book=book,
            capabilities=self.capabilities,
        )

    @property
    def policy_id(self) -> str:
        """Name what decisions follow: the weights' digest, or the strategy."""
        if self._plain is not None:
            return type(self._plain).__name__.lower()
        return self._learned.policy_id

    @property
    def judge(self) -> Judge | None:
        """The judge that has to be asked before deciding, if there is one."""
        return self._plain if isinstance(self._plain, Judge) else None

    @property
    def fallbacks(self) -> dict[str, list[str]]:
        """What ``Fuse(fallbacks=...)`` takes to go on down the chain after a failure."""
        names = list(self.models)
        return {name: names[place + 1 :] for place, name in enumerate(names[:-1])}

    def applies(self, request: Request) -> bool:
        """Say whether a call is the router's: it asks for the strong model.

        Who names another model means it. With a plain strategy any of ``models`` will do.
        """
        if self._field.strong.is_asked(request):
            return True
        if self._plain is None:
            return False
        return any(candidate.is_asked(request) for candidate in self._field.candidates)

    def tag_among(self, tags: Sequence[str]) -> str:
        """Give the first tag there are outcomes for; else the first, so that it can be learned."""
        known = (tag for tag in tags if tag in self._learned.tags)
        return next(known, tags[0] if tags else "")

    def decide(
        self,
        request: Request,
        tag: str = "",
        budget_state: float = 0.0,
        *,
        session: str = "",
        judged: str = "",
    ) -> Decision:
        """Choose the model for a request.

        ``budget_state`` is the share spent of the limit nearest its end: from 60 % on less is
        spent on quality. ``session`` names the conversation; ``judged`` is what ``judge`` said.
        """
        key = conversation_of(request, session, tag)
        course = self._conversations.find(key) if session or goes_on(request) else None
        course = self._watched(course, request)
        options, left_out = self._options(request, tag, course)
        sketch = self._sketch(request)
        view = View(tag=tag, used=budget_state, draw=self.draw(), left_out=left_out)
        options, view = self._learned.expecting(options, sketch, view)
        strong = next(o for o in options if o.candidate is self._field.strong)
        held = self._held(course, options, strong) if self.sticky else None
        situation = Situation(
            request=request, strong=strong, session=session, draw=view.draw, judged=judged
        )
        pick = held or self._picked(options, situation, view)
        decision = self._decision(request, tag, options, pick)
        self._remember(decision, pick.option, key, sketch if self.outcomes else None)
        moved = course is not None and (course.escalated or bool(course.trouble))
        self._conversations.keep(
            key, Course(model=pick.option.name, decision=decision.id, escalated=moved)
        )
        return decision

    def report_outcome(self, decision_id: str, score: float) -> Outcome:
        """Learn how good an answer was (0 to 1); raises ConfigurationError for an unknown id."""
        made = self._made.get(decision_id)
        if made is None:
            raise ConfigurationError(
                f"no decision {decision_id!r} is remembered: the last {_MOST_DECISIONS:,} are"
            )
        return self._learn(made, score_of(score), "reported")

    def answered(self, decision: Decision, request: Request, text: str) -> Outcome | None:
        """Look at an answer whose form can be checked, and learn whether it has it."""
        made = self._made.get(decision.id)
        if made is None or not self.signals or not asks_json(request):
            return None
        trouble = broken_json(request, text)
        if trouble:
            self._trouble(made.conversation, trouble)
        return self._learn(made, 0.0 if trouble else 1.0, trouble or "its JSON is as asked")

    def timed(self, decision: Decision, seconds: float, output_tokens: int) -> None:
        """Note how long a model took, and how much it said."""
        made = self._made.get(decision.id)
        if made is None:
            return
        old = self._seconds.get(made.name, seconds)
        self._seconds[made.name] = old + _NEWEST * (seconds - old)
        outputs = self._field.outputs
        for key in ((decision.tag, made.name), (decision.tag, "")):
            usual = outputs.get(key, float(output_tokens))
            if len(outputs) < _MOST_DECISIONS or key in outputs:
                outputs[key] = usual + _NEWEST * (output_tokens - usual)

    def decisions(self) -> tuple[Decision, ...]:
        """List the decisions that are remembered, oldest first."""
        return tuple(made.decision for made in self._made.values())

    def _check_shares(self) -> None:
        targets = [self.target_quality, self.target_cost, self.max_share]
        if sum(target is not None for target in targets) > 1:
            raise ConfigurationError("give one of target_quality, target_cost and max_share")
        for word in ("target_quality", "max_share", "explore"):
            share = getattr(self, word)
            if share is not None and not 0 <= share <= 1:
                raise ConfigurationError(f"{word} is a share between 0 and 1, not {share!r}")
        if self.confidence is not None and not AIMED <= self.confidence < 1:
            raise ConfigurationError(
                f"confidence is from {AIMED} to below 1, not {self.confidence!r}"
            )

    def _plain_strategy(self) -> Strategy | None:
        if self.strategy is not None and self.preference is not None:
            raise ConfigurationError("give a strategy or a preference, not both")
        if self.preference is not None:
            if self.preference not in PREFERRED:
                raise ConfigurationError(
                    f"preference is one of {list(PREFERRED)}, not {self.preference!r}"
                )
            return PREFERRED[self.preference]
        if isinstance(self.strategy, str):
            if self.strategy not in NAMED:
                raise ConfigurationError(
                    f"strategy is one of {list(NAMED)} or an object, not {self.strategy!r}"
                )
            return NAMED[self.strategy]
        return self.strategy

    def _read(self) -> Knowledge | None:
        weights = self.weights
        if isinstance(weights, str | Path):
            try:
                weights = Knowledge.loads(Path(weights).expanduser().read_text("utf-8"))
            except OSError as error:
                raise ConfigurationError(f"the router's weights cannot be read: {error}") from error
        if weights is not None and weights.strong != self.strong:
            raise ConfigurationError(
                f"these weights were fitted with {weights.strong!r} as the strong model, not"
                f" {self.strong!r}"
            )
        return weights

    def _options(
        self, request: Request, tag: str, course: Course | None
    ) -> tuple[list[Option], list[str]]:
        warm = course.model if course is not None else ""
        options, left_out = self._field.options(request, tag=tag, warm=warm)
        timed = [replace(o, seconds=self._seconds.get(o.name)) for o in options]
        return timed, left_out

    def _sketch(self, request: Request) -> Sketch | None:
        """Read the text where it is used: by a text model, or by those who fit one later."""
        if not self._learned.reads_text and self.outcomes is None:
            return None
        return sketch_of(asked_text(request))

    def _picked(self, options: Sequence[Option], situation: Situation, view: View) -> Pick:
        if self._plain is None:
            return self._learned.choose(options, situation.strong, view)
        return self._plain.choose(options, situation)

    def _watched(self, course: Course | None, request: Request) -> Course | None:
        """See how the conversation's last answer fared, and learn from it."""
        if course is None or not goes_on(request):
            return course
        trouble = course.trouble or stall_of(request)
        made = self._made.get(course.decision)
        if self.signals and made is not None and not course.trouble:
            self._learn(made, 0.0 if trouble else 1.0, trouble or "the conversation went on")
        return replace(course, trouble=trouble)

    def _held(
        self, course: Course | None, options: Sequence[Option], strong: Option
    ) -> Pick | None:
        """Stay with a conversation's model; move up, once, when it is stuck."""
        if course is None:
            return None
        if course.trouble and not course.escalated and course.model != strong.name:
            return Pick(option=strong, reason=f"moved up once: {course.trouble}")
        stay = next((o for o in options if o.name == course.model), None)
        if stay is None:
            return None
        reason = "stays after moving up" if course.escalated else "the conversation's model"
        return Pick(option=stay, reason=reason)

    def _decision(
        self, request: Request, tag: str, options: Sequence[Option], pick: Pick
    ) -> Decision:
        chosen = pick.option.candidate
        asked = chosen.is_asked(request)
        return Decision(
            id=uuid4().hex,
            model=request.model if asked else chosen.model,
            provider="" if asked else chosen.provider,
            asked=request.model,
            p_ok={option.name: option.p_ok for option in options},
            expected_cost={option.name: option.cost for option in options},
            reason=pick.reason,
            policy_id=self.policy_id,
            propensity=pick.propensity,
            tag=tag,
        )

    def _remember(
        self, decision: Decision, option: Option, conversation: str, sketch: Sketch | None
    ) -> None:
        self._made[decision.id] = _Made(
            decision, option.name, conversation, sketch, option.promised
        )
        if len(self._made) > _MOST_DECISIONS:
            self._made.popitem(last=False)

    def _learn(self, made: _Made, score: float, source: str) -> Outcome:
        """Count an outcome; a later word on the same answer takes the place of the first."""
        before, made.score = made.score, score
        decision = made.decision
        if before is None:
            self._learned.learn(decision.tag, made.name, score - made.promised)
        else:
            self._learned.learn(decision.tag, made.name, score - before, rows=0)
        return Outcome(
            scores={made.name: score},
            tag=decision.tag,
            sketch=made.sketch,
            propensity=decision.propensity,
            id=decision.id,
            source=source,
        )

    def _trouble(self, conversation: str, trouble: str) -> None:
        """Note that the conversation's last answer was no good."""
        course = self._conversations.find(conversation)
        if course is not None:
            self._conversations.keep(conversation, replace(course, trouble=trouble))


def _split(name: str) -> tuple[str, str]:
    """Read ``provider/model`` without a fuse, which knows the providers."""
    provider, slash, model = name.partition("/")
    return (model, provider) if slash else (name, "")
