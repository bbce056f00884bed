"""A fuse's routers: asked for one call at a time, told of answers, and written down."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError
from agentfuse.routing.cascade import Cascade
from agentfuse.routing.router import Router
from agentfuse.scopes import current_route
from agentfuse.tickets import StoreTrouble
from agentfuse.tokens.families import bare

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentfuse.decisions import Decision
    from agentfuse.messages import Reply, Request
    from agentfuse.ports import Teller
    from agentfuse.pricing import PriceBook
    from agentfuse.routing.outcomes import Outcome
    from agentfuse.scopes import Scope
    from agentfuse.tickets import Admitted

    Resolve = Callable[[str], tuple[str, str]]

# Decisions whose router is still known.
_MOST = 10_000


@dataclass(slots=True)
class Routes:
    """The router of a fuse, and those that single calls bring along, behind one lock.

    A router is given the fuse's prices when it is first asked. Outcomes are appended to its file;
    a file that cannot be written costs the outcome, and is told.
    """

    route: Router | Cascade | None
    book: PriceBook
    resolve: Resolve
    _bound: dict[int, Router] = field(default_factory=dict[int, Router], init=False, repr=False)
    _by: OrderedDict[str, Router] = field(
        default_factory=OrderedDict[str, Router], init=False, repr=False
    )
    _lock: RLock = field(default_factory=RLock, init=False, repr=False)

    def router_for(self, request: Request) -> Router | None:
        """Give the router of a call: its own, or the fuse's where that applies to it."""
        route = current_route()
        if route is False:
            return None
        if isinstance(route, Router):
            return self._ready(route)
        if route is True and self.route is None:
            raise ConfigurationError(
                "auto_route=True needs a router: give Fuse(route=Router([...])), or"
                " auto_route=Router([...])"
            )
        if not isinstance(self.route, Router) or isinstance(route, Cascade):
            return None
        router = self._ready(self.route)
        return router if route is True or router.applies(request) else None

    def cascade_for(self, request: Request) -> Cascade | None:
        """Give the cascade of a call: its own, or the fuse's where its strong model is asked."""
        route = current_route()
        if isinstance(route, Cascade):
            return route
        if route is False or isinstance(route, Router) or not isinstance(self.route, Cascade):
            return None
        strong = self.resolve(self.route.strong)[0]
        return self.route if route is True or bare(request.model) == bare(strong) else None

    def decide(
        self, router: Router, request: Request, scope: Scope, used: float, judged: str
    ) -> Decision:
        """Choose a model, and remember who did."""
        with self._lock:
            tag = router.tag_among(scope.tags)
            decision = router.decide(request, tag, used, session=scope.session, judged=judged)
            self._by[decision.id] = router
            if len(self._by) > _MOST:
                self._by.popitem(last=False)
        return decision

    def report(self, decision_id: str, score: float, tell: Teller) -> None:
        """Learn a score, and write it down."""
        router = self._by.get(decision_id)
        if router is None:
            raise ConfigurationError(f"no decision {decision_id!r} is remembered by this fuse")
        with self._lock:
            self._note(router, router.report_outcome(decision_id, score), tell)

    def answered(self, ticket: Admitted, reply: Reply, seconds: float, tell: Teller) -> None:
        """Take note of an answer: its time, its length, and its form."""
        decision = ticket.decision
        router = self._by.get(decision.id) if decision else None
        if decision is None or router is None or not reply.finish_reason:
            return
        usage = reply.report.usage if reply.report else None
        with self._lock:
            router.timed(decision, seconds, usage.output_tokens if usage else 0)
            outcome = router.answered(decision, ticket.request, reply.text)
            if outcome is not None:
                self._note(router, outcome, tell)

    def decisions(self) -> tuple[Decision, ...]:
        """List the decisions that an outcome can be reported for, oldest first."""
        with self._lock:
            routers = {id(router): router for router in self._by.values()}.values()
            return tuple(each for router in routers for each in router.decisions())

    def _ready(self, router: Router) -> Router:
        with self._lock:
            if id(router) not in self._bound:
                router.bind(self.book, self.resolve)
                self._bound[id(router)] = router
        return router

    def _note(self, router: Router, outcome: Outcome, tell: Teller) -> None:
        if router.outcomes is None:
            return
        try:
            with Path(router.outcomes).expanduser().open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome.to_json()) + "\n")
        except OSError as error:
            tell(StoreTrouble(store="outcomes", error=str(error)))
