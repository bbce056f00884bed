"""Requests that are too long: shortened where the user wants it, refused where nothing helps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.by_content import ByContent
from agentfuse.errors import ContextTooLong, UnknownPrice
from agentfuse.lengths import Compressed, Desk, Pressure
from agentfuse.messages import Text
from agentfuse.pricing import context_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentfuse.lengths import Shortened
    from agentfuse.messages import Json, Reply, Request
    from agentfuse.policy.given import Ports, Rules
    from agentfuse.tickets import Admitted, Limit

# Room for an answer where the request sets no maximum, in tokens.
_ANSWER = 1_024


@dataclass(frozen=True, slots=True)
class Brevity:
    """Keeps requests within what their model can read, and what their budget should pay for."""

    ports: Ports
    rules: Rules
    ask: Callable[[Request, str], Awaitable[Reply]]

    def require_room(self, request: Request) -> None:
        """Raise ContextTooLong where not even the least count of the input fits the window."""
        window = self._window_of(request)
        if window and _may_pass(request, window):
            self._require_fit(request, window)

    async def shortened(self, ticket: Admitted, limit: Limit | None) -> Admitted:
        """Give the ticket with a shorter request where one is due; ``limit`` is nearly used up.

        Raises ContextTooLong as ``require_room`` does.
        """
        request = ticket.request
        window = self._window_of(request)
        outcome = await self._outcome(request, limit, window)
        if outcome is not None:
            self.ports.tell(
                Compressed(
                    id=ticket.id,
                    model=request.model,
                    limit=limit,
                    why=outcome.why,
                    before=outcome.before,
                    after=outcome.after,
                    left_out=outcome.left_out,
                )
            )
            request = outcome.request
            saved = outcome.before - outcome.after
            ticket = replace(ticket, asked=request, request=request, left_out=saved)
        self.require_room(request)
        return ticket

    async def cut(self, request: Request) -> Request:
        """Give a request about half as long, since its provider found it too long; or as it is."""
        shortener = self.rules.compress
        if shortener is None:
            return request
        tokens = self.ports.counter.by_rules(request).tokens
        desk = Desk(self.ports.counter, self.ports.memo, self.ask)
        outcome = await shortener.shortened(request, Pressure(room=max(tokens - 1, 1)), desk)
        return request if outcome is None else outcome.request

    async def _outcome(
        self, request: Request, limit: Limit | None, window: int
    ) -> Shortened | None:
        shortener = self.rules.compress
        if shortener is None or request.api == "embeddings":
            return None
        answer = request.max_output_tokens or min(_ANSWER, window // 4)
        pressure = Pressure(
            limit=limit,
            room=max(window - answer, 1) if window else 0,
            above=self.rules.compress_above,
            after=self.rules.compress_after,
        )
        desk = Desk(self.ports.counter, self.ports.memo, self.ask)
        outcome = await shortener.shortened(request, pressure, desk)
        return None if outcome is None or outcome.request == request else outcome

    def _window_of(self, request: Request) -> int:
        """Give the tokens a model reads at most; 0 where that is not known, or not wanted.

        A price list that names a dearer rate from some length on says that the window is longer.
        """
        given = self.rules.context_windows.get(request.model)
        if given is not None or not self.rules.context_guard:
            return given or 0
        try:
            card = self.ports.book.card(request.model, request.provider, context_of(request))
        except UnknownPrice:
            return 0
        if card.tiers and any(start >= card.context_window for start, _ in card.tiers):
            return 0
        return card.context_window

    def _require_fit(self, request: Request, window: int) -> None:
        least = self.ports.counter.by_rules(request).low
        if least > window:
            raise ContextTooLong(
                f"the input is at least {least:,} tokens long, and {request.model} reads"
                f" {window:,} at most: nothing was sent; shorten it, let Fuse(compress="
                "'keep_recent') do so, or correct the window with Fuse(context_windows="
                f"{{{request.model!r}: ...}})",
                tokens=least,
                window=window,
            )


def _may_pass(request: Request, window: int) -> bool:
    """Say whether a request is worth counting: no text has more tokens than bytes."""
    length = _length_of_tools(request.tools) if request.tools else 0
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, Text):
                length += len(part.text)
        for call in message.tool_calls:
            length += len(call.arguments)
    return 4 * length > window


def _written(tools: Sequence[Mapping[str, Json]]) -> int:
    return sum(len(str(tool)) for tool in tools)


_length_of_tools = ByContent(_written)
