"""One call on its way: what its LLM tells of it while CrewAI's own code runs."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from agentfuse.errors import BudgetExceeded
from agentfuse.usages import plain_body
from agentfuse_crewai.bills import bill_in
from agentfuse_crewai.codec import LLMCodec, Said
from agentfuse_crewai.errors import BudgetStop

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentfuse import Fuse
    from agentfuse.tickets import Admitted

# The call that runs in this context. CrewAI's threads and tasks inherit it; an LLM that is not its
# own has nothing to tell it.
_running: ContextVar[Course | None] = ContextVar("agentfuse_crewai_course", default=None)


class Course:
    """A call that was admitted; ``loose`` where only a hook knows of it, and no call of ours."""

    __slots__ = ("_answer", "_token", "codec", "fuse", "llm", "loose", "said", "texts", "ticket")

    def __init__(
        self, fuse: Fuse, ticket: Admitted, llm: Any, codec: LLMCodec, *, loose: bool = False
    ) -> None:
        self.fuse = fuse
        self.ticket = ticket
        self.llm = llm
        self.codec = codec
        self.loose = loose
        self.said = Said(request=ticket.request)
        self.texts: list[str] = []
        self._answer: Any = None
        self._token: Any = None

    def hear_answer(self, answer: Any) -> None:
        """Note the SDK's own answer, whose usage tells more than CrewAI's extract of it."""
        self._answer = bill_in(answer)

    def hear_usage(self, usage: Any) -> None:
        """Note that an answer was billed."""
        if self._answer or usage:
            self.said.bills.append(self._answer or plain_body(usage))
        self._answer = None

    def hear_chunk(self, text: str) -> None:
        """Meter what a stream brought; raises BudgetStop when the lease runs out."""
        self.texts.append(text)
        try:
            self.fuse.meter(self.ticket, self.codec.delta_of(text))
        except BudgetExceeded as stop:
            raise BudgetStop.of(stop) from None

    def hear_end(self, finish: str | None, answer_id: str | None) -> None:
        """Note why the answer ended, and its id."""
        self.said.finish = finish or self.said.finish
        self.said.answer_id = answer_id or self.said.answer_id

    def __enter__(self) -> None:
        """Let the LLM's own code tell this course what it learns."""
        self._token = _running.set(self)

    def __exit__(self, *_: object) -> None:
        """Hear no more."""
        _running.reset(self._token)


def course_of(llm: Any) -> Course | None:
    """Give the call of this very LLM that runs in this context."""
    course = _running.get()
    return course if course is not None and course.llm is llm else None


def let_loose(course: Course) -> None:
    """Leave a course for the LLM to tell, where no call of ours encloses it."""
    _running.set(course)


def drop_course() -> None:
    """Forget the course of this context."""
    _running.set(None)


@contextmanager
def out_of_course() -> Generator[None]:
    """Hide the call that runs: a tool's own calls, of the same LLM too, are their own."""
    token = _running.set(None)
    try:
        yield
    finally:
        _running.reset(token)
