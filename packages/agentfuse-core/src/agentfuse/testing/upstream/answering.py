"""From what to say to what goes out: ids, the length limit, the reason it ended, the bill."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from agentfuse.nothing import NOTHING
from agentfuse.testing.upstream.counting import cut_to, output_tokens
from agentfuse.testing.upstream.problems import reasons
from agentfuse.testing.upstream.said import Answer, Call, Spoken, object_in
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from agentfuse.testing.upstream.said import Asked, Say
    from agentfuse.usage import Usage

# What a reasoning model thinks about every question, in tokens: OpenAI bills multiples of 64.
REASONING_TOKENS = 64
_CALL_PREFIX = {"anthropic.messages": "toolu_01"}


def id_of(prefix: str, serial: int, index: int = 0) -> str:
    """Make the id a serial number always gets."""
    return prefix + blake2b(f"{prefix}{serial}.{index}".encode(), digest_size=12).hexdigest()


def answer_of(asked: Asked, say: Say, prompt: Usage, serial: int, created: int) -> Answer:
    """Say it in every choice that was asked for, and bill prompt, reasoning and output."""
    thought = min(_reasoning_tokens(asked, say), asked.max_tokens or 1 << 60)
    choices = tuple(_spoken(asked, say, thought, (serial, index)) for index in range(asked.n))
    said = sum(output_tokens(choice, asked.model) for choice in choices)
    billed = replace(
        prompt,
        output_tokens=said + thought * asked.n,
        reasoning_tokens=thought * asked.n,
    )
    override = say.usage or NOTHING
    return Answer(serial=serial, created=created, choices=choices, billed=billed, override=override)


def _reasoning_tokens(asked: Asked, say: Say) -> int:
    if say.reasoning:
        return count_text(say.reasoning, asked.model)
    effort = asked.body.get("reasoning_effort") or object_in(asked.body.get("reasoning")).get(
        "effort"
    )
    if asked.api == "anthropic.messages" or not reasons(asked.model):
        return 0
    return 0 if effort in {"none", "minimal"} else REASONING_TOKENS


def _spoken(asked: Asked, say: Say, thought: int, place: tuple[int, int]) -> Spoken:
    """Cut one choice to the limit; a tool call that does not fit whole is left out."""
    calls = tuple(_identified(asked, call, place, at) for at, call in enumerate(say.tool_calls))
    finish = "tool_calls" if calls else "stop"
    spoken = Spoken(text=say.text, calls=calls, reasoning=say.reasoning, finish=finish)
    if asked.max_tokens is not None and not say.overlong:
        spoken = _shortened(spoken, asked.max_tokens - thought, asked.model)
    return replace(spoken, finish=say.finish_reason or spoken.finish)


def _shortened(spoken: Spoken, room: int, model: str) -> Spoken:
    if output_tokens(spoken, model) <= room:
        return spoken
    text = cut_to(spoken.text, max(room, 0), model)
    kept: tuple[Call, ...] = ()
    for call in spoken.calls:
        longer = replace(spoken, text=text, calls=(*kept, call))
        if output_tokens(longer, model) > room:
            break
        kept = longer.calls
    return replace(spoken, text=text, calls=kept, finish="length")


def _identified(asked: Asked, call: Call, place: tuple[int, int], at: int) -> Call:
    if call.id:
        return call
    prefix = _CALL_PREFIX.get(asked.api, "call_")
    return replace(call, id=id_of(prefix, place[0], place[1] * 100 + at))
