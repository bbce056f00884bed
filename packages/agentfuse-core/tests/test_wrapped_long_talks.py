"""Clients of the vendors' own SDKs send long conversations short, and valid, in every dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from anthropic import Anthropic
from long_talks import PROMPT, Heard, order_of, result_of, tracking_of
from openai import OpenAI

from agentfuse import Fuse, wrap_anthropic, wrap_openai
from agentfuse.lengths import Compressed
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TURNS = 25
KEY = "sk-upstream"
ASK = "Now about {}."
LAST = f"Which parcel number does {order_of(3)} have?"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


def chat(fuse: Fuse, upstream: Upstream) -> None:
    client = wrap_openai(OpenAI(base_url=upstream.openai_url, api_key=KEY), fuse=fuse)
    messages: list[Any] = [{"role": "system", "content": PROMPT}]
    for number in range(TURNS):
        function = {"name": "get_order", "arguments": json.dumps({"order": order_of(number)})}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        messages += [
            {"role": "user", "content": ASK.format(order_of(number))},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result_of(number)},
        ]
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
    messages.append({"role": "user", "content": LAST})
    client.chat.completions.create(model="gpt-4o", messages=messages)


def responses(fuse: Fuse, upstream: Upstream) -> None:
    client = wrap_openai(OpenAI(base_url=upstream.openai_url, api_key=KEY), fuse=fuse)
    items: list[Any] = []
    words: dict[str, Any] = {"model": "gpt-4o", "instructions": PROMPT}
    for number in range(TURNS):
        call = {"call_id": f"call_{number}", "name": "get_order"}
        arguments = json.dumps({"order": order_of(number)})
        output = {"call_id": f"call_{number}", "output": result_of(number)}
        items += [
            {"role": "user", "content": ASK.format(order_of(number))},
            {"type": "function_call", **call, "arguments": arguments},
            {"type": "function_call_output", **output},
        ]
        answer = client.responses.create(input=items, **words)
        items.append({"role": "assistant", "content": answer.output_text})
    client.responses.create(input=[*items, {"role": "user", "content": LAST}], **words)


def claude(fuse: Fuse, upstream: Upstream) -> None:
    client = wrap_anthropic(Anthropic(base_url=upstream.anthropic_url, api_key=KEY), fuse=fuse)
    messages: list[Any] = []
    words: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 100, "system": PROMPT}
    for number in range(TURNS):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "get_order"}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": result_of(number)}
        messages += [
            {"role": "user", "content": ASK.format(order_of(number))},
            {"role": "assistant", "content": [{**use, "input": {"order": order_of(number)}}]},
            {"role": "user", "content": [result]},
        ]
        answer: Any = client.messages.create(messages=messages, **words)
        messages.append({"role": "assistant", "content": answer.content[0].text})
    client.messages.create(messages=[*messages, {"role": "user", "content": LAST}], **words)


@pytest.mark.parametrize("talk", [chat, responses, claude])
def test_what_goes_over_the_wire_is_short_and_valid(
    upstream: Upstream, talk: Callable[[Fuse, Upstream], None]
) -> None:
    heard = Heard()
    fuse = Fuse(
        "$50",
        spend_book=False,
        cache=False,
        listeners=[heard],
        compress="keep_recent",
        compress_above=3_000,
    )
    talk(fuse, upstream)
    assert [request.status for request in upstream.requests] == [200] * (TURNS + 1)
    assert max(request.billed.input_tokens for request in upstream.requests) < 3_300
    assert len(heard.of(Compressed)) > TURNS / 2
    last = json.dumps(upstream.requests[-1].body)
    assert PROMPT in last
    assert tracking_of(3) in last
