"""The one owner of retries: what follows a failed attempt, each attempt with its own money.

At most ``1 + max_retries + len(fallbacks)`` attempts for a call, and one more where an overflow has
a remedy (``larger_window`` or ``compress``), and one where a hedge is asked for. Retries and
hedges, not fallbacks, draw on the fuse's retry budget. A refusal for money is never a reason to go
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.courses import BreakerOpened, Course, FellBack, Hedged, Retried
from agentfuse.errors import ProviderFailed
from agentfuse.policy.keys import key_of
from agentfuse.policy.retrying import ELSEWHERE, ILLNESS, delay_of
from agentfuse.policy.substitutes import asked_of, entry_of, is_within_reach
from agentfuse.tickets import Admitted, Progress

if TYPE_CHECKING:
    from agentfuse.courses import Attempt
    from agentfuse.messages import Request
    from agentfuse.policy.brevity import Brevity
    from agentfuse.policy.given import Ports, Rules, Substitute
    from agentfuse.policy.retrying import Failure
    from agentfuse.ports import Place

CIRCUIT_OPEN = "circuit_open"
UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Next:
    """What to do after a failure: ask ``step`` after ``delay`` seconds, and what to tell of it."""

    course: Course
    request: Request
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Resilience:
    """Decides on the attempts of each call; what it knows of models' health is shared."""

    ports: Ports
    rules: Rules
    brevity: Brevity

    def opened(self, ticket: Admitted) -> Admitted:
        """Let a new call go ahead, to its first fallback where its model is being left alone.

        Raises ProviderFailed of kind ``circuit_open`` where there is none.
        """
        rules = self.rules.retry
        if rules.max_retries or rules.hedge_after:
            self.ports.health.called()
        if not rules.breaks:
            return ticket
        wait = self.ports.health.wait_for(place_of(ticket.asked))
        if not wait:
            return ticket
        after = self._fallback(_course_of(ticket), 0.0)
        if after is None:
            raise ProviderFailed(
                f"{ticket.asked.model} of {ticket.asked.provider} failed too often and is left"
                f" alone for {wait:.0f} s: name `fallbacks` for it, or ask later",
                kind=CIRCUIT_OPEN,
                retry_after=wait,
            )
        self._tell(ticket, after, CIRCUIT_OPEN)
        return _turned(ticket, after, attempt=ticket.attempt)

    def twin(self, ticket: Admitted) -> Admitted | None:
        """Give the ticket of a second, identical request, if the retry budget has room for it."""
        if not self.ports.health.may_retry():
            return None
        return replace(
            ticket,
            id=f"{ticket.id}:h",
            asked=ticket.request,
            key=None,
            leading=False,
            flight=None,
            quote=None,
            lease=None,
            owed=(),
            progress=Progress(),
        )

    def hedged(self, ticket: Admitted) -> None:
        """Tell that a second request goes out."""
        request = ticket.request
        self.ports.tell(Hedged(id=ticket.id, model=request.model, provider=request.provider))

    def succeeded(self, ticket: Admitted) -> None:
        """Note that a model answered."""
        if self.rules.retry.breaks:
            self.ports.health.succeeded(place_of(ticket.request))

    def failed(self, ticket: Admitted, failure: Failure) -> None:
        """Note that a model failed, and tell if it is left alone from now on."""
        if not self.rules.retry.breaks or failure.kind not in ILLNESS:
            return
        request = ticket.request
        rest = self.ports.health.failed(place_of(request))
        if rest:
            self.ports.tell(
                BreakerOpened(
                    model=request.model,
                    provider=request.provider,
                    base_url=request.base_url,
                    seconds=rest,
                )
            )

    async def again(
        self, ticket: Admitted, failure: Failure, failed: tuple[Attempt, ...]
    ) -> Admitted | None:
        """Give the ticket of the attempt after those that ``failed``; None to give up.

        Its time has come, and nothing is reserved yet.
        """
        course = replace(_course_of(ticket), failed=failed)
        after = await self._after(course, failure, ticket.started)
        if after is None:
            return None
        self._tell(ticket, after, failure.kind)
        if after.delay:
            await self.ports.clock.sleep(after.delay)
        return _turned(ticket, after, attempt=ticket.attempt + 1)

    async def _after(self, course: Course, failure: Failure, started: float) -> Next | None:
        left = self._left(started)
        if failure.kind == "context_overflow" and not course.widened and left > 0:
            wider = await self._wider(course)
            if wider is not None:
                return wider
        after = self._retry(course, failure, left)
        if after is None and _may_go_elsewhere(course, failure):
            after = self._fallback(course, left)
        return after

    def _left(self, started: float) -> float:
        """Give the seconds until the call's deadline."""
        deadline = self.rules.retry.deadline
        return float("inf") if deadline is None else started + deadline - self.ports.clock.now()

    async def _wider(self, course: Course) -> Next | None:
        """Give an overflow its one remedy: a larger window, or a shorter request."""
        larger = entry_of(self.rules.retry.larger_window, course.step.model)
        request = course.step
        if larger is not None and is_within_reach(request, larger):
            request = asked_of(request, larger)
        else:
            request = await self.brevity.cut(request)
        if request is course.step or request == course.step:
            return None
        return Next(replace(course, step=request, widened=True), request)

    def _retry(self, course: Course, failure: Failure, left: float) -> Next | None:
        rules, health = self.rules.retry, self.ports.health
        if course.retries >= rules.max_retries:
            return None
        delay = delay_of(failure, course.retries + 1, self.ports.draw())
        if delay is None or delay > left:
            return None
        request = self._retried(course)
        if rules.breaks and health.wait_for(place_of(request)):
            return None
        if not health.may_retry():
            return None
        return Next(replace(course, retries=course.retries + 1), request, delay)

    def _retried(self, course: Course) -> Request:
        """Ask the same, or the model that is named for this retry."""
        names = entry_of(self.rules.retry.retry_models, course.step.model)
        if not names:
            return course.step
        name = names[min(course.retries, len(names) - 1)]
        return asked_of(course.step, name) if is_within_reach(course.step, name) else course.step

    def _fallback(self, course: Course, left: float) -> Next | None:
        """Take the next step of the chain that can be reached and is not being left alone."""
        if left < 0:
            return None
        chain = entry_of(self.rules.retry.fallbacks, course.first.model) or ()
        for place, substitute in enumerate(chain[course.fallbacks :], course.fallbacks + 1):
            request = self._reached(course, substitute)
            if request is not None:
                return Next(replace(course, step=request, fallbacks=place), request)
        return None

    def _reached(self, course: Course, substitute: Substitute) -> Request | None:
        if not is_within_reach(course.first, substitute):
            return None
        request = asked_of(course.first, substitute)
        resting = self.rules.retry.breaks and self.ports.health.wait_for(place_of(request))
        return None if resting else request

    def _tell(self, ticket: Admitted, after: Next, kind: str) -> None:
        asked, to = ticket.request, after.request
        if (to.model, to.provider) == (asked.model, asked.provider) or after.delay:
            event: Retried | FellBack = Retried(
                id=ticket.id,
                model=to.model,
                provider=to.provider,
                kind=kind,
                attempt=ticket.attempt,
                delay=after.delay,
            )
        else:
            event = FellBack(
                id=ticket.id,
                model=asked.model,
                provider=asked.provider,
                to=to.model,
                to_provider=to.provider,
                kind=kind,
                attempt=ticket.attempt,
            )
        self.ports.tell(event)


def place_of(request: Request) -> Place:
    """Name what can be ill: a model, at an address, of a provider."""
    return (request.provider, request.base_url, request.model)


def _course_of(ticket: Admitted) -> Course:
    return ticket.course or Course(id=ticket.id, first=ticket.asked, step=ticket.asked)


def _may_go_elsewhere(course: Course, failure: Failure) -> bool:
    """Say whether another model may answer; a fallback that cannot be asked makes way itself."""
    if failure.kind == UNSUPPORTED:
        return course.fallbacks > 0
    return failure.retryable or failure.kind in ELSEWHERE


def _turned(ticket: Admitted, after: Next, *, attempt: int) -> Admitted:
    """Make the next attempt's ticket: another model's answer is remembered as its own.

    Another provider's is not kept: its address is not the policy's to know. Who waits for the call
    waits for whoever answers it.
    """
    course, request = after.course, after.request
    key = ticket.key
    if key is not None and request != ticket.asked:
        key = key_of(request) if request.provider == ticket.asked.provider else None
    return Admitted(
        id=course.id if attempt == 1 else f"{course.id}:{attempt}",
        asked=request,
        request=request,
        started=ticket.started,
        key=key,
        attempt=attempt,
        leading=ticket.leading,
        scope=ticket.scope,
        decision=ticket.decision,
        flight=ticket.flight or ticket.key,
        course=course,
        lookup=ticket.lookup if request == ticket.asked else None,
    )
