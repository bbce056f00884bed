"""A model's answers and events in neutral words and back, for one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentfuse.messages import Choice, Delta, Reasoning, Reply, Text, ToolCall
from agentfuse.policy.cacheable import COMPLETE
from agentfuse_openai_agents.answers import (
    reply_of_output,
    report_of_usage,
    response_of_reply,
)
from agentfuse_openai_agents.replay import events_of_reply
from agentfuse_openai_agents.taps import Tap, said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agents import ModelResponse
    from agents.items import TResponseStreamEvent

    from agentfuse.messages import Json, Request
    from agentfuse.usage import UsageReport
    from agentfuse_openai_agents.requests import Asking

ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""The events that close a response and hold it whole."""

# The pieces of an answer, by their event: which of them is billed output, and of which kind.
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_WORDS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_ARGUMENTS = frozenset(
    {"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"}
)
_PIECES = _THOUGHTS | _WORDS | _ARGUMENTS | {"response.code_interpreter_call_code.delta"}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model gave back: its answer, or the error it raised over one that was billed."""

    response: ModelResponse | None
    error: Exception | None = None


class RunCodec:
    """Reads and writes what one call of a model says.

    ``sent`` is the request that went out, ``tap`` what was overheard of its answer, and ``said``
    what that came to. ``kept`` is the remembered reply that was given instead, if one was, and
    ``rejection`` the SDK's error over a streamed answer that was billed.
    """

    __slots__ = ("_asking", "kept", "rejection", "said", "sent", "tap")

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.sent: Request = asking.request
        self.tap = Tap()
        self.said: Reply | None = None
        self.kept: Reply | None = None
        self.rejection: Exception | None = None

    def send(self, request: Request, tap: Tap) -> None:
        """Note that a request goes out."""
        self.sent, self.tap = request, tap

    @property
    def was_cut_short(self) -> bool:
        """Whether the answer ran into a maximum that only the policy had set."""
        lowered = self.sent.max_output_tokens != self._asking.request.max_output_tokens
        return lowered and self.tap.finish_reason == "length"

    @property
    def billed(self) -> UsageReport | None:
        """What the provider was overheard to bill."""
        return self.tap.report(self.sent.provider, self.sent.model)

    def reply_of(self, result: Answered) -> Reply:
        """Read a whole answer; one that was rejected is billed, and never kept."""
        response = result.response
        output = self.tap.rejected if response is None else response.output
        reply = reply_of_output(
            output,
            finish_reason=self.tap.finish_reason,
            report=self.billed or self._counted(response),
            model=self._model,
            response_id=response.response_id if response else None,
        )
        self.said = reply if response else _unkept(reply)
        return self.said

    def answer_of(self, result: Answered) -> ModelResponse:
        """Give the live answer as it is; raises the error of one that was rejected."""
        if result.response is None:
            raise result.error or RuntimeError("a model gave neither an answer nor an error")
        return result.response

    def result_of(self, reply: Reply) -> ModelResponse:
        """Make a fresh answer of a remembered reply."""
        self.kept = reply
        return response_of_reply(reply, self._asking.place.flavour)

    def delta_of(self, chunk: TResponseStreamEvent) -> Delta:
        """Read the text, thinking, tool names and arguments that an event added."""
        kind = said(chunk, "type")
        if kind in _PIECES:
            return Delta(str(said(chunk, "delta") or ""))
        if kind == "response.output_item.added":
            return Delta(str(said(said(chunk, "item"), "name") or ""))
        return Delta()

    def shown(self, chunk: TResponseStreamEvent) -> Sequence[TResponseStreamEvent]:
        """Give the live event as it is."""
        return (chunk,)

    def joined(self, chunks: Sequence[TResponseStreamEvent]) -> Reply:
        """Read the events so far as one answer; without a closing event it was cut."""
        closing = next((each for each in reversed(chunks) if said(each, "type") in ENDINGS), None)
        if closing is None:
            cut = (_cut_choice_of(chunks),)
            self.said = Reply(choices=cut, report=self.billed, model=self._model)
        else:
            response = said(closing, "response")
            self.said = reply_of_output(
                said(response, "output") or (),
                finish_reason=self.tap.finish_reason,
                report=self.billed,
                model=self._model,
                response_id=said(response, "id"),
            )
        return self.said

    def chunks_of(self, reply: Reply) -> Iterator[TResponseStreamEvent]:
        """Replay a remembered reply as the model's own stream."""
        self.kept = reply
        return events_of_reply(reply, self._asking.place)

    @property
    def _model(self) -> str:
        return self.tap.model or self.sent.model

    def _counted(self, response: ModelResponse | None) -> UsageReport | None:
        """Read the SDK's own count, of a model that cannot be overheard."""
        if response is None:
            return None
        request = self.sent
        return report_of_usage(response.usage, provider=request.provider, model=request.model)


def _unkept(reply: Reply) -> Reply:
    """Mark an answer that the SDK would not have, however whole it looks."""
    choices = (
        replace(choice, finish_reason="rejected") if choice.finish_reason in COMPLETE else choice
        for choice in reply.choices
    )
    return replace(reply, choices=tuple(choices))


def _cut_choice_of(chunks: Sequence[TResponseStreamEvent]) -> Choice:
    """Put together what a stream had said before it was cut."""
    text: list[str] = []
    thoughts: list[str] = []
    calls: dict[Json, list[str]] = {}
    for chunk in chunks:
        kind, piece = said(chunk, "type"), said(chunk, "delta")
        if kind in _WORDS:
            text.append(piece)
        elif kind in _THOUGHTS:
            thoughts.append(piece)
        elif kind in _ARGUMENTS:
            calls.setdefault(said(chunk, "output_index"), ["", ""])[1] += piece
        elif kind == "response.output_item.added":
            name = said(said(chunk, "item"), "name")
            if name:
                calls[said(chunk, "output_index")] = [name, ""]
    thinking = (Reasoning("".join(thoughts)),) if thoughts else ()
    return Choice(
        parts=(*thinking, *((Text("".join(text)),) if text else ())),
        tool_calls=tuple(ToolCall("", name, arguments) for name, arguments in calls.values()),
    )
