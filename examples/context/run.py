"""A support agent's sixty turns, whole and made short; then an agent that goes round in circles.

python examples/context/run.py       asks a local, simulated provider: no key, no network, no bill
"""

from __future__ import annotations

import json
from typing import Any

from agentfuse import Compressor, Fuse, LoopDetected, completion
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Call, Say

TURNS = 60
MODEL = "gpt-4o"
PROMPT = "You are the support agent of a shop. Answer in one sentence."
CODE = "Please remember: my account code is ZX-9017-K."
PARAMETERS = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
TOOLS = [{"type": "function", "function": {"name": "get_order", "parameters": PARAMETERS}}]


def get_order(number: int) -> str:
    """What the shop's system says of an order: some 400 tokens of JSON."""
    items = [{"sku": f"S{number:02d}{i:03d}", "name": f"part {i}", "left": i} for i in range(18)]
    found = {"order": f"A-{1000 + number}", "tracking": f"TRK{number * 7919:07d}"}
    return json.dumps({"found": found, "items": items})


def asked(upstream: Upstream, fuse: Fuse, messages: list[Any]) -> Any:
    answer: Any = completion(
        model=MODEL,
        messages=messages,
        tools=TOOLS,
        fuse=fuse,
        base_url=upstream.openai_url,
        api_key="sk-upstream",
    )
    return answer.choices[0].message


def conversation(upstream: Upstream, fuse: Fuse) -> list[Any]:
    """Play sixty questions, each with a call of a tool, and give the whole history."""
    messages: list[Any] = [{"role": "system", "content": PROMPT}]
    for number in range(TURNS):
        question = f"What is with order 'A-{1000 + number}'?"
        messages.append({"role": "user", "content": f"{CODE if not number else ''} {question}"})
        while True:
            said = asked(upstream, fuse, messages)
            messages.append(said.model_dump(exclude_none=True))
            if not said.tool_calls:
                break
            result = {"tool_call_id": said.tool_calls[0].id, "content": get_order(number)}
            messages.append({"role": "tool", **result})
    return messages


def compare() -> None:
    """Hold the same conversation twice, and ask about something early at the end."""
    short = Fuse(
        "$5",
        spend_book=False,
        cache=False,
        compress=Compressor(keep=lambda message: "remember" in message.text),
        compress_above=4_000,
    )
    for name, fuse in (("whole", Fuse("$5", spend_book=False, cache=False)), ("short", short)):
        with Upstream() as upstream:
            messages = conversation(upstream, fuse)
            tokens = sum(request.billed.input_tokens for request in upstream.requests)
            print(f"{name}: {tokens:,} input tokens, {fuse.receipt()}")
            messages.append({"role": "user", "content": "Which parcel number had A-1007?"})
            asked(upstream, fuse, messages)
            sent = json.dumps(upstream.requests[-1].body)
            print(f"       A-1007's parcel is in the last request: {'TRK0055433' in sent}")
            print(f"       the account code is in the last request: {'ZX-9017-K' in sent}")


def go_round() -> None:
    """Let an agent look the same order up again and again."""
    fuse = Fuse("$5", spend_book=False, cache=False, loops="stop")
    messages: list[Any] = [{"role": "user", "content": "Where is my parcel?"}]
    with Upstream(lambda _: Say("I look.", [Call("get_order", {"order": "A-1"})])) as upstream:
        try:
            for _ in range(50):
                said = asked(upstream, fuse, messages)
                result = {"tool_call_id": said.tool_calls[0].id, "content": "no such order"}
                messages += [said.model_dump(exclude_none=True), {"role": "tool", **result}]
        except LoopDetected as stop:
            print(f"after {upstream.calls} calls: {stop}")


if __name__ == "__main__":
    print(f"Asking a simulated {MODEL}.")
    compare()
    go_round()
