"""Agents that go round in circles: seen in what they do, and warned of, made cheaper or stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from operator import eq
from typing import TYPE_CHECKING, Literal

from agentfuse.conduct import Loop, Looping
from agentfuse.errors import ConfigurationError, LoopDetected
from agentfuse.money import cost_of
from agentfuse.policy.cycles import LEAST, LONGEST, cycle_in
from agentfuse.policy.moves import SHOWN, Done, Step, answer_of, move_of, steps_in
from agentfuse.policy.saying import loop_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentfuse.conduct import Move
    from agentfuse.messages import Reply, Request
    from agentfuse.money import Dollars
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.ports import Run
    from agentfuse.tickets import Admitted

Alike = Callable[[str, str], bool]
Action = Literal["warn", "downgrade", "stop"]

# The moves of an agent that are remembered.
_KEPT = 32


@dataclass(frozen=True, slots=True)
class LoopRules:
    """What is a loop, and what is done about it: ``Fuse(loops=LoopRules("stop"))``.

    A loop is the same round gone ``times`` times (one less for a round of several parts): the same
    tools called with the same arguments and the same results; the very same question asked again
    after it was answered; or the same answer to the same input. One whose repeats have cost
    ``dear`` (dollars) is acted on a round earlier. Repeats further apart than ``within`` seconds
    are none.

    ``action`` is to ``warn`` (an event and an alert), to ``downgrade`` to the cheaper model that
    ``Fuse(downgrade=...)`` names, or to ``stop`` with LoopDetected. Tools in ``polls`` may be
    called again and again. ``similar`` finds repeats in other words: True has the fuse's embedder
    and guard compare them (a number is the least cosine instead of the measured one), a function
    ``similar(a, b)`` says itself whether two texts mean the same. Raises ConfigurationError for
    words that are off, and from ``Fuse`` where no embedder is installed.
    """

    action: Action = "warn"
    times: int = 4
    dear: Dollars = "$0.25"
    within: float = 600.0
    polls: frozenset[str] | Sequence[str] = ()
    similar: Callable[[str, str], bool] | bool | float | None = None
    dear_nanodollars: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the words."""
        if self.action not in {"warn", "downgrade", "stop"}:
            raise ConfigurationError(
                f"loops is 'warn', 'downgrade', 'stop' or LoopRules(...), not {self.action!r}"
            )
        if self.times < 3 or self.within <= 0:  # noqa: PLR2004 - as in cycles
            raise ConfigurationError("LoopRules takes times of 3 or more, and within above zero")
        if isinstance(self.similar, float) and not 0 < self.similar <= 1:
            raise ConfigurationError("similar is True, a cosine above 0 up to 1, or a function")
        object.__setattr__(self, "dear_nanodollars", cost_of(self.dear))

    @property
    def says_alike(self) -> Alike | None:
        """What compares two texts by meaning, None where nothing does."""
        return self.similar if callable(self.similar) else None

    def lets_poll(self, names: Sequence[str]) -> bool:
        """Say whether one of these tools may be called again and again."""
        return any(name in self.polls for name in names)

    def times_for(self, cost: int) -> int:
        """Give how often a round may be gone, if its repeats have cost so much."""
        return self.times - 1 if cost >= self.dear_nanodollars else self.times


@dataclass(frozen=True, slots=True)
class Loops:
    """Watches the calls of a run."""

    ports: Ports
    rules: Rules
    run: Run

    def move_of(self, request: Request, key: str | None, agent: tuple[str, ...]) -> Move | None:
        """Read a request as a move of an agent, if anybody wants to know."""
        return None if self.rules.loops is None else move_of(request, key, agent)

    @property
    def takes_time(self) -> bool:
        """Whether looking may take milliseconds, as comparing by meaning does."""
        return self.rules.loops is not None and self.rules.loops.says_alike is not None

    def checked(self, ticket: Admitted) -> Loop | None:
        """Look for a loop that a call goes on with; raises LoopDetected where it is to stop.

        Gives the loop for which the call is to go to a cheaper model, if that is wanted. A warning
        that was told is not told again before the loop is twice as long.
        """
        return self._met(ticket, self._found(ticket))

    async def checked_aside(self, ticket: Admitted) -> Loop | None:
        """Do as ``checked``, where others need not wait for it."""
        return self._met(ticket, await self.ports.aside(lambda: self._found(ticket)))

    def _found(self, ticket: Admitted) -> Loop | None:
        rules, move = self.rules.loops, ticket.move
        if rules is None or move is None:
            return None
        done = self._done(rules)
        return _loop_of_tools(ticket.request, rules, done) or _loop_of_moves(move, rules, done)

    def _met(self, ticket: Admitted, loop: Loop | None) -> Loop | None:
        rules = self.rules.loops
        if rules is None or loop is None:
            return None
        told = rules.action != "warn" or self._is_new(loop)
        if told:
            self.ports.tell(
                Looping(
                    id=ticket.id,
                    model=ticket.request.model,
                    loop=loop,
                    action=rules.action,
                    scope=ticket.scope,
                )
            )
        if rules.action == "stop":
            text = loop_text(loop, ticket.request.model)
            raise self.run.completed(LoopDetected(text, loop=loop))
        return loop if rules.action == "downgrade" else None

    def note(self, ticket: Admitted, reply: Reply, cost: int) -> None:
        """Remember a call that was answered, for ``cost`` nanodollars.

        One that was under way together with the one before it is no repeat of it: whoever asks the
        same of many at once goes in no circle.
        """
        rules, move = self.rules.loops, ticket.move
        if rules is None or move is None:
            return
        answer, ended = answer_of(reply), self.ports.clock.now()

        def longer(before: tuple[Done, ...] | None) -> tuple[Done, ...]:
            if not before:
                return (Done(move=move, answer=answer, cost=cost, ended=ended, total=cost),)
            latest = before[-1]
            if ticket.started < latest.ended:
                return before
            done = Done(
                move=move,
                answer=answer,
                cost=cost,
                ended=ended,
                streak=latest.followed_by(move),
                total=latest.total + cost,
            )
            return (*before[1 - _KEPT :], done)

        self.ports.memo.change(("moves", self.run.whose()), longer)

    def _done(self, rules: LoopRules) -> tuple[Done, ...]:
        done: tuple[Done, ...] = self.ports.memo.find(("moves", self.run.whose())) or ()
        since = self.ports.clock.now() - rules.within
        if not done or done[0].ended >= since:  # they lie in the order in which they ended
            return done
        return tuple([each for each in done if each.ended >= since])

    def _is_new(self, loop: Loop) -> bool:
        """Say whether a loop is to be told: the first time, and whenever it has doubled.

        One that fills all that is remembered is never seen to double, and goes on untold.
        """
        name = ("told", self.run.whose(), loop.what, loop.actions)
        told = self.ports.memo.find(name) or 0
        if told and (told < loop.times < 2 * told or told == loop.times == _most_times(loop)):
            return False
        self.ports.memo.keep(name, loop.times)
        return True


def _loop_of_tools(request: Request, rules: LoopRules, done: Sequence[Done]) -> Loop | None:
    """Find the same calls with the same results at the end of a conversation."""
    steps = steps_in(request.messages)
    if len(steps) < rules.times - 1:
        return None

    alike = rules.says_alike

    def same(one: Step, other: Step) -> bool:
        return one == other or (alike is not None and one.means(other, alike))

    found = cycle_in(steps, rules.times - 1, same)
    if found is None:
        return None
    length, times = found
    round_ = steps[-length:]
    cost = _cost_of(done, length * (times - 1))
    if not _is_enough(times, length, cost, rules) or any(
        rules.lets_poll(step.names) for step in round_
    ):
        return None
    return Loop(what="tools", actions=tuple(map(str, round_)), times=times, cost=cost)


def _loop_of_moves(move: Move, rules: LoopRules, done: Sequence[Done]) -> Loop | None:
    """Find the same questions, or the same answers to the same input, that a move goes on with."""
    if not done:
        return None
    latest = [each.move for each in done[-LONGEST:]]
    asked = [each.key == move.key for each in latest]
    if any(asked):
        found = _streak_in(done, rules.times - 1)
        if found is None:
            found = cycle_in([each.move.key for each in done], rules.times - 1, eq)
        loop = _gone_on("requests", done, rules, found, asked)
        if loop is not None:
            return loop
    told = [each.newest == move.newest and each.agent == move.agent for each in latest]
    if not any(told):
        return None
    found = cycle_in(done, rules.times - 1, lambda a, b: _same_answer(a, b, rules))
    return _gone_on("answers", done, rules, found, told)


def _streak_in(done: Sequence[Done], times: int) -> tuple[int, int] | None:
    """Find what ``cycle_in`` would of one question asked over and over, without a look at each."""
    rounds = min(done[-1].streak, len(done))
    return (1, rounds) if rounds >= max(times, LEAST) else None


def _cost_of(done: Sequence[Done], count: int) -> int:
    """Sum up what the latest moves have cost."""
    latest = done[-count:]
    return latest[-1].total - latest[0].total + latest[0].cost if latest else 0


def _most_times(loop: Loop) -> int:
    """Give how often a loop of moves can have been gone, as far as they are remembered."""
    return _KEPT // len(loop.actions) if loop.what != "tools" else 0


def _gone_on(
    what: Literal["requests", "answers"],
    done: Sequence[Done],
    rules: LoopRules,
    found: tuple[int, int] | None,
    goes_on: Sequence[bool],
) -> Loop | None:
    """Give the cycle that was found, if the next move goes on with it and it is one to act on.

    ``goes_on`` says of the latest moves whether the next is like it.
    """
    if found is None or not goes_on[-found[0]]:
        return None
    length, times = found
    cost = _cost_of(done, length * (times - 1))
    if not _is_enough(times, length, cost, rules):
        return None
    round_ = done[-length:]
    if rules.polls and any(rules.lets_poll(each.answer[1::2]) for each in round_):
        return None
    agents = dict.fromkeys(tag for each in round_ for tag in each.move.agent)
    actions = tuple(each.move.newest[-1][:SHOWN] for each in round_)
    return Loop(what=what, actions=actions, times=times, cost=cost, agents=tuple(agents))


def _same_answer(one: Done, other: Done, rules: LoopRules) -> bool:
    if one.move.newest != other.move.newest or one.move.agent != other.move.agent:
        return False
    if one.answer == other.answer:
        return True
    texts = (one.answer[:1], other.answer[:1])
    tools_differ = one.answer[1:] != other.answer[1:]
    alike = rules.says_alike
    if alike is None or tools_differ or not all(map(any, texts)):
        return False
    return alike(texts[0][0], texts[1][0])


def _is_enough(times: int, length: int, cost: int, rules: LoopRules) -> bool:
    return times >= max(rules.times_for(cost) - (length > 1), 3)
