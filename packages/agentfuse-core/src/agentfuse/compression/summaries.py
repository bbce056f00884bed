"""Older turns in fewer words: written by a cheap model, or by any function that shortens a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentfuse.compression.facts import words_of
from agentfuse.compression.notes import is_note
from agentfuse.compression.outputs import shortened_output
from agentfuse.errors import BudgetExceeded, ProviderFailed
from agentfuse.messages import Message, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentfuse.compression.plans import Talk
    from agentfuse.lengths import Desk
    from agentfuse.messages import Request

# A tool's result says what it has to in so many tokens, for a summary.
_OF_A_RESULT = 300
_TASK = (
    "You keep the notes of a conversation between a user and an assistant that calls tools. Extend"
    " the notes by the new messages. Keep what was decided, what was asked and is still open, and"
    " names, identifiers, numbers and dates word for word; leave out courtesies and what is"
    " superseded. Answer with the notes alone, in at most {words} words."
)


async def summary_of(
    before: str,
    messages: Sequence[Message],
    talk: Talk,
    request: Request,
    desk: Desk,
    api_key: str = "",
) -> str | None:
    """Extend the summary ``before`` by further messages, with one call of a model.

    ``request`` names the model and the most tokens of its answer. None says that it failed, or
    would have passed a budget: both are told by the call's own events, and nothing is lost but the
    summary.
    """
    words = (request.max_output_tokens or 0) // 2
    new = transcript_of(messages, talk)
    asked = f"Notes so far:\n{before or '(none)'}\n\nNew messages:\n{new}"
    told = (
        Message("system", (Text(_TASK.format(words=words)),)),
        Message("user", (Text(asked),)),
    )
    try:
        reply = await desk.ask(replace(request, messages=told), api_key)
    except (BudgetExceeded, ProviderFailed):
        return None
    return reply.text.strip() or None


def squeezed(
    before: str,
    messages: Sequence[Message],
    talk: Talk,
    shorten: Callable[[str, float], str],
    tokens: int,
) -> str:
    """Extend the notes ``before`` by what a function makes of further messages.

    ``shorten`` is given the ratio of tokens to keep. The newer half of the notes is of the new
    messages; what was shortened before is shortened again only where both would not fit.
    """
    new = transcript_of(messages, talk)
    old = talk.count(before)
    room = max(tokens - old, tokens // 2)
    if old > tokens - room:
        before = shorten(before, (tokens - room) / old).strip()
    ratio = min(room / max(talk.count(new), 1), 1.0)
    return "\n".join(filter(None, [before, shorten(new, ratio).strip()]))


def transcript_of(messages: Sequence[Message], talk: Talk) -> str:
    """Write messages as a text; long results of tools are shortened."""
    lines: list[str] = []
    for message in messages:
        text = words_of(message).strip()
        if message.role == "tool":
            text = shortened_output(text, _OF_A_RESULT, talk.count)
        if text and not is_note(message):
            lines.append(f"{message.name or message.role}: {text}")
    return "\n".join(lines)
