"""A support agent's long conversation, played over the simulated provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentfuse import acompletion, completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse import Fuse
    from agentfuse.testing import Upstream
    from agentfuse.tickets import Event

PROMPT = "You are the support agent of a shop. Answer in one sentence. Never promise refunds."
CODE = "Please remember for the whole conversation: my account code is ZX-9017-K."
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_order",
            "description": "Look an order up.",
            "parameters": {
                "type": "object",
                "properties": {"order": {"type": "string"}},
                "required": ["order"],
            },
        },
    }
]


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def hear(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def order_of(number: int) -> str:
    return f"A-{1000 + number}"


def tracking_of(number: int) -> str:
    return f"TRK{number * 7919:07d}"


def result_of(number: int) -> str:
    """What the shop's system says of an order: some 400 tokens of JSON."""
    items = [{"sku": f"S{number:02d}{i:03d}", "name": f"part {i}", "left": i} for i in range(18)]
    order = {"order": order_of(number), "tracking": tracking_of(number), "state": "shipped"}
    return json.dumps({"found": order, "items": items})


def questions(turns: int) -> Iterator[str]:
    """What the user says; each mentions one order, and nothing of the ones before."""
    yield f"{CODE} What is with order '{order_of(0)}'?"
    for number in range(1, turns):
        yield f"And what is with order '{order_of(number)}'?"


class Talk:
    """One conversation through ``completion`` or ``acompletion``."""

    def __init__(self, fuse: Fuse, upstream: Upstream, model: str, **options: Any) -> None:
        at = upstream.anthropic_url if "claude" in model else upstream.openai_url
        self.words = {"model": model, "fuse": fuse, "base_url": at, "api_key": "sk-upstream"}
        self.words |= {"tools": TOOLS, **options}
        self.messages: list[Any] = [{"role": "system", "content": PROMPT}]

    def say(self, question: str, number: int) -> str:
        """Ask, run the tools the model calls, and give its answer."""
        self.messages.append({"role": "user", "content": question})
        while True:
            answer: Any = completion(messages=self.messages, **self.words)
            if self.done(answer.choices[0].message, number):
                return answer.choices[0].message.content

    async def asay(self, question: str, number: int) -> str:
        """Do as ``say``, awaited."""
        self.messages.append({"role": "user", "content": question})
        while True:
            answer: Any = await acompletion(messages=self.messages, **self.words)
            if self.done(answer.choices[0].message, number):
                return answer.choices[0].message.content

    def done(self, said: Any, number: int) -> bool:
        self.messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls or ():
            result = {"role": "tool", "tool_call_id": call.id, "content": result_of(number)}
            self.messages.append(result)
        return not said.tool_calls
