"""How the adapter speaks: an LLM's returned answer on both sides, our words in the middle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Choice, Delta, Reply, Text
from agentfuse.providers.chat_streams import pieces_of_text
from agentfuse_crewai.answers import OTHER, calls_of, form_of, reply_of_result, said_in
from agentfuse_crewai.bills import report_of_bills
from agentfuse_crewai.requests import is_streaming, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentfuse.messages import Request
    from agentfuse_crewai.requests import Asked


@dataclass(slots=True, kw_only=True)
class Said:
    """What a call returned, and what its LLM told on the way: bills, the end, the answer's id.

    ``request`` is what was sent. ``result`` is None for a call that was paid and then failed.
    """

    request: Request
    result: Any = None
    bills: list[Any] = field(default_factory=list[Any])
    finish: str | None = None
    answer_id: str | None = None


class LLMCodec:
    """Reads and writes the answers of one call of an LLM; a chunk is a streamed text."""

    __slots__ = ("_asked", "_llm")

    def __init__(self, llm: Any, asked: Asked) -> None:
        self._llm = llm
        self._asked = asked

    def reply_of(self, result: Said) -> Reply:
        """Read a whole answer, or the bill of one that was lost."""
        report = report_of_bills(result.bills, result.request)
        if result.result is None:
            return Reply(choices=(Choice(finish_reason=OTHER),), report=report)
        return reply_of_result(
            result.result, finish=result.finish, answer_id=result.answer_id, report=report
        )

    def answer_of(self, result: Said) -> Any:
        """Give what the LLM returned, as it is."""
        return result.result

    def result_of(self, reply: Reply) -> Any:
        """Make what the LLM would have returned."""
        if not reply.choices[0].tool_calls:
            return said_in(reply, schema=shape_of(self._llm, self._asked))
        return calls_of(reply, form=form_of(self._llm, streaming=is_streaming(self._llm)))

    def delta_of(self, chunk: str) -> Delta:
        """Read what a chunk adds to the billed output."""
        return Delta(chunk)

    def shown(self, chunk: str) -> tuple[str, ...]:
        """Give the chunk: CrewAI shows each as an event."""
        return (chunk,)

    def joined(self, chunks: Sequence[str]) -> Reply:
        """Read the chunks of a stream that was cut."""
        return Reply(choices=(Choice(parts=(Text("".join(chunks)),)),))

    def chunks_of(self, reply: Reply) -> Iterator[str]:
        """Cut an answer's text as a stream would bring it."""
        return pieces_of_text(reply.text)
