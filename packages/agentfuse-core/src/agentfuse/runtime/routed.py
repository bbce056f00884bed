"""The part of a fuse that has to do with routing: decisions, outcomes, cascades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.now import run_now
from agentfuse.runtime.streams import aopened_stream, opened_stream
from agentfuse.scopes import current_route

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.decisions import Decision
    from agentfuse.messages import Reply, Request
    from agentfuse.policy.pipeline import Policy
    from agentfuse.ports import Codec, Teller
    from agentfuse.pricing import PriceBook
    from agentfuse.routing import Cascade, Router
    from agentfuse.runtime.cascading import Course
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.routes import Routes
    from agentfuse.runtime.wiring import Shared
    from agentfuse.scopes import Scope
    from agentfuse.tickets import Admitted


@dataclass(slots=True)
class Routing:
    """A fuse's routes, made when a call first needs them: until then nothing is imported."""

    route: Router | Cascade | None
    book: PriceBook
    resolve: Callable[[str], tuple[str, str]]
    _made: Routes | None = None

    def routes(self) -> Routes | None:
        """Give the routes, None where neither the fuse nor the call has a router."""
        if self._made is None:
            if self.route is None and current_route() in {None, False}:
                return None
            from agentfuse.runtime.routes import Routes

            self._made = Routes(self.route, self.book, self.resolve)
        return self._made


@dataclass(frozen=True, slots=True)
class FuseGuide:
    """What the policy sees of a fuse's routers."""

    fuse: Fuse
    routing: Routing
    tell: Teller
    blocking: bool

    def applies(self, request: Request) -> bool:
        """Say whether there is a choice to make."""
        routes = self.routing.routes()
        return routes is not None and routes.router_for(request) is not None

    async def decide(self, request: Request, scope: Scope, used: float) -> Decision:
        """Choose; a judge, where there is one, is asked first."""
        routes = cast("Routes", self.routing.routes())
        router = cast("Router", routes.router_for(request))
        judge, judged = router.judge, ""
        if judge is not None:
            from agentfuse.runtime import judging

            if self.blocking:
                judged = judging.judged(self.fuse, judge, request)
            else:
                judged = await judging.ajudged(self.fuse, judge, request)
        return routes.decide(router, request, scope, used, judged)

    def answered(self, ticket: Admitted, reply: Reply, seconds: float) -> None:
        """Learn from an answer."""
        routes = self.routing.routes()
        if routes is not None:
            routes.answered(ticket, reply, seconds, self.tell)


class RoutedCalls:
    """What ``Fuse`` inherits of it."""

    _shared: Shared
    _tell: Teller

    def report_outcome(self, decision_id: str, score: float) -> None:
        """Say how good a routed answer was, 0 (useless) to 1 (right): the router learns from it.

        ``decision_id`` is that of ``receipt.decision`` or ``decisions()``. A later score takes the
        place of an earlier one. Raises ConfigurationError for an unknown id or another number.
        """
        self._known_routes().report(decision_id, score, self._tell)

    def decisions(self) -> tuple[Decision, ...]:
        """List the decisions that outcomes can be reported for, oldest first."""
        routes = self._routes()
        return routes.decisions() if routes is not None else ()

    @property
    def may_route(self) -> bool:
        """Say whether the fuse, or who asks just now, has a router or a cascade."""
        return self._routes() is not None

    def _routes(self) -> Routes | None:
        return self._shared.routing.routes()

    def _known_routes(self) -> Routes:
        routes = self._routes()
        if routes is None:
            raise ConfigurationError("this fuse routes nothing: give Fuse(route=Router([...]))")
        return routes

    def _guide(self, *, blocking: bool) -> FuseGuide:
        return FuseGuide(cast("Fuse", self), self._shared.routing, self._tell, blocking)

    def _course(
        self,
        request: Request,
        codec: Codec[Any, Any, Any, Any],
        answer: Callable[..., Any],
        *,
        blocking: bool,
    ) -> Course | None:
        """Begin a cascade where one is to answer this call."""
        routes = self._routes()
        cascade = routes.cascade_for(request) if routes is not None else None
        if routes is None or cascade is None:
            return None
        from agentfuse.runtime.cascading import Course

        return Course(
            fuse=cast("Fuse", self),
            cascade=cascade,
            requests=cascade.requests(request, routes.resolve),
            codec=codec,
            release=self._release if blocking else self._arelease,
            answer=answer,
            tell=self._tell,
        )

    def _streamed_course(
        self,
        request: Request,
        codec: Codec[Any, Any, Any, Any],
        send: Callable[[Request], Any],
        *,
        blocking: bool,
    ) -> Course | None:
        """Begin a cascade whose answer is given out as a stream."""
        fuse = cast("Fuse", self)

        def answer(
            _fuse: Fuse, ticket: Admitted, _whole: object, codec: Codec[Any, Any, Any, Any]
        ) -> Any:
            return (opened_stream if blocking else aopened_stream)(ticket, send, codec, fuse)

        course = self._course(request, codec, answer, blocking=blocking)
        return course.streamed(blocking=blocking) if course is not None else None

    def lose(self, ticket: Admitted, error: BaseException) -> None:
        """Book an attempt that failed while its call goes on: somebody else answers or repeats."""
        self._shared.renewals.drop(ticket)
        policy: Policy = cast("Any", self)._blocking  # noqa: SLF001 - the heir's own
        run_now(policy.lose(ticket, error))

    async def alose(self, ticket: Admitted, error: BaseException) -> None:
        """Do as ``lose``, awaited."""
        self._shared.renewals.drop(ticket)
        policy: Policy = cast("Any", self)._awaited  # noqa: SLF001 - the heir's own
        await policy.lose(ticket, error)

    def _release(self, ticket: Admitted) -> None:
        self._shared.renewals.drop(ticket)
        policy: Policy = cast("Any", self)._blocking  # noqa: SLF001 - the heir's own
        run_now(policy.release(ticket))

    async def _arelease(self, ticket: Admitted) -> None:
        self._shared.renewals.drop(ticket)
        policy: Policy = cast("Any", self)._awaited  # noqa: SLF001 - the heir's own
        await policy.release(ticket)
