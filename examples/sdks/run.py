"""Two agents written by hand on the vendors' own SDKs, under one budget.

python examples/sdks/run.py     asks a local, simulated provider: no key, no cost

Each loop would go on as long as its model calls tools. The fuse ends the second one before the call
that would pass the budget, and a second run of the first costs nothing.
"""

from __future__ import annotations

import json
from typing import Any

from anthropic import Anthropic
from openai import OpenAI

from agentfuse import BudgetExceeded, Fuse, wrap_anthropic, wrap_openai
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Call, Say

BUDGET = "$0.02"
STOCK = {"fuse": 12, "wire": 0, "lamp": 40}
PART = {
    "type": "object",
    "properties": {"part": {"type": "string"}},
    "required": ["part"],
}
DESCRIPTION = "Say how many of a part are in stock."


def main() -> None:
    with Upstream(simulated_model) as provider:
        print(f"Asking a simulated provider on {provider.url}: its answers are made up.\n")
        fuse = Fuse(BUDGET, name="stock keeping", spend_book=False)
        openai = wrap_openai(OpenAI(api_key="sk-upstream", base_url=provider.openai_url), fuse=fuse)
        claude = wrap_anthropic(
            Anthropic(api_key="sk-upstream", base_url=provider.anthropic_url), fuse=fuse
        )
        with openai, claude:
            for turn in ("first", "second"):
                calls = provider.calls
                print(f"OpenAI, {turn} time: {count_with_openai(openai, list(STOCK))}")
                print(f"  requests on the wire: {provider.calls - calls}")
            try:
                count_with_claude(claude)
            except BudgetExceeded as stop:
                print(f"\nClaude was stopped: {stop}")
                print(f"  answers so far, of both: {len(stop.results)}")
        print(f"\n{fuse.receipt().table()}")


def in_stock(part: str) -> str:
    return f"{STOCK.get(part, 0)} of {part} in stock"


def count_with_openai(client: OpenAI, parts: list[str]) -> str:
    """Ask until the model answers in words."""
    function: Any = {"name": "in_stock", "description": DESCRIPTION, "parameters": PART}
    messages: list[Any] = [{"role": "user", "content": f"How many are there of {parts}?"}]
    while True:
        message = (
            client.chat.completions.create(
                model="gpt-4o",
                messages=messages,
                tools=[{"type": "function", "function": function}],
                max_tokens=200,
            )
            .choices[0]
            .message
        )
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content or ""
        for call in message.tool_calls:
            given = json.loads(call.function.arguments)
            result = {"role": "tool", "tool_call_id": call.id, "content": in_stock(**given)}
            messages.append(result)


def count_with_claude(client: Anthropic) -> None:
    """Ask for ever: this model always wants to look once more. Streams as it goes."""
    tools: Any = [{"name": "in_stock", "description": DESCRIPTION, "input_schema": PART}]
    messages: list[Any] = [{"role": "user", "content": "Keep watch over the stock."}]
    while True:
        with client.messages.stream(
            model="claude-sonnet-4-6", messages=messages, tools=tools, max_tokens=200
        ) as stream:
            said = stream.get_final_message()
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": in_stock(**dict(use.input))}
            for use in said.content
            if use.type == "tool_use"
        ]
        messages += [
            {"role": "assistant", "content": said.content},
            {"role": "user", "content": results},
        ]


def simulated_model(asked: Asked) -> Say:
    """Stand in for both models: one looks each part up, the other never has enough."""
    if asked.api == "anthropic.messages":
        return Say("Let me look.", tool_calls=[Call("in_stock", {"part": "fuse"})])
    looked_up = [turn.text for turn in asked.turns if turn.role == "tool"]
    if looked_up:
        return Say("; ".join(looked_up))
    return Say(tool_calls=[Call("in_stock", {"part": part}) for part in STOCK])


if __name__ == "__main__":
    main()
