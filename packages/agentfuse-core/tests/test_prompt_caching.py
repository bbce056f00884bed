"""Prompt caching: marks where they pay, the saving on the receipt, and our own key untouched."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from agentfuse import Fuse, acompletion, completion, wrap_anthropic, wrap_openai
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.tickets import Event

CLAUDE = "claude-sonnet-4-6"
RULES = "You know all about fuses. Rule: be short, exact and kind. " * 250
KEY = "sk-upstream"
MARK = {"type": "ephemeral"}


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def hear(self, event: Event) -> None:
        if isinstance(event, Receipt):
            self.receipts.append(event)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.anthropic_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        yield provider


def fused(heard: Heard | None = None, **options: Any) -> Fuse:
    options.setdefault("prompt_caching", True)
    options.setdefault("clock", FrozenClock())
    return Fuse("$9", spend_book=False, listeners=[heard] if heard else [], **options)


def turns(*texts: str, system: str = RULES) -> list[dict[str, Any]]:
    """Write a conversation: the user begins, and the two take turns."""
    said = [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(texts)
    ]
    return [{"role": "system", "content": system}, *said]


def ask(fuse: Fuse, *texts: str, model: str = CLAUDE, **options: Any) -> None:
    completion(model, turns(*texts), fuse=fuse, max_tokens=50, **options)


def marks_of(body: Any) -> list[str]:
    """Say where a body is marked: the tool's or turn's place, or the system."""
    found = [f"tool {i}" for i, tool in enumerate(body.get("tools", ())) if "cache_control" in tool]
    if isinstance(body.get("system"), list) and "cache_control" in body["system"][-1]:
        found.append("system")
    for place, message in enumerate(body["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else []
        found += [f"turn {place}" for block in blocks if "cache_control" in block]
    return found


def test_a_prefix_is_marked_once_it_comes_back_and_the_receipt_shows_the_saving(
    upstream: Upstream,
) -> None:
    heard = Heard()
    fuse = fused(heard)
    for question in ("One?", "Two?", "Three?", "Four?"):
        ask(fuse, question)
    assert [marks_of(request.body) for request in upstream.requests] == [
        [],
        ["system"],
        ["system"],
        ["system"],
    ]
    first, write, *reads = heard.receipts
    assert first.prompt_cache_saved == 0
    written = upstream.requests[1].billed.cache_write_5m_tokens
    assert written > 2_048
    assert write.prompt_cache_saved == -written * 750, "a quarter of $3 a million more"
    assert [read.prompt_cache_saved for read in reads] == [written * 2_700] * 2
    saved = fuse.receipt().prompt_cache_saved
    assert saved == written * (2 * 2_700 - 750)
    assert "saved by prompt caching" in str(fuse.receipt())
    for receipt, request in zip(heard.receipts, upstream.requests, strict=True):
        billed = request.billed
        plain = billed.input_tokens * 3_000 + billed.output_tokens * 15_000
        assert receipt.cost == plain - receipt.prompt_cache_saved


def test_off_is_byte_for_byte_as_before(upstream: Upstream) -> None:
    for fuse in (fused(prompt_caching=False), fused()):
        ask(fuse, "One?")
    off, on = (request.body for request in upstream.requests)
    assert json.dumps(off) == json.dumps(on), "and a first time is as good as off"
    fuse = fused(prompt_caching=False)
    for _ in range(3):
        ask(fuse, "One?", model="gpt-4o")
    assert "prompt_cache_key" not in upstream.requests[-1].body


def test_a_prefix_that_never_comes_back_or_is_too_short_is_not_marked(upstream: Upstream) -> None:
    fuse = fused()
    for number in range(3):
        completion(CLAUDE, turns("Hi", system=f"{number}. {RULES}"), fuse=fuse, max_tokens=50)
        completion(CLAUDE, turns(f"{number}?", system="Be short."), fuse=fuse, max_tokens=50)
    assert all(not marks_of(request.body) for request in upstream.requests)


def test_a_growing_conversation_is_read_as_far_as_it_was(upstream: Upstream) -> None:
    heard = Heard()
    fuse = fused(heard)
    said: list[str] = []
    for number in range(6):
        said += [f"Question {number}? " + "More about it. " * 60]
        ask(fuse, *said)
        said += [f"Answer {number}."]
    assert marks_of(upstream.requests[0].body) == []
    assert marks_of(upstream.requests[1].body) == ["system", "turn 0", "turn 2"]
    reads = [request.billed.cache_read_tokens for request in upstream.requests]
    assert reads[:2] == [0, 0]
    assert sorted(reads) == reads
    last = upstream.requests[-1].billed
    assert last.cache_read_tokens > 0.9 * (last.input_tokens - last.cache_write_5m_tokens)
    assert fuse.receipt().prompt_cache_saved > 0


def test_a_time_given_is_marked_at_once_and_kept_so_long(upstream: Upstream) -> None:
    fuse = fused(prompt_caching="1h")
    ask(fuse, "One?")
    body = upstream.requests[0].body
    assert body["system"][-1]["cache_control"] == {**MARK, "ttl": "1h"}
    assert upstream.requests[0].billed.cache_write_1h_tokens > 2_048
    upstream.age(3_000)
    ask(fuse, "Two?")
    assert upstream.requests[1].billed.cache_read_tokens > 2_048


def test_what_comes_back_slowly_is_kept_an_hour(upstream: Upstream) -> None:
    clock = FrozenClock()
    fuse = fused(clock=clock)
    for number in range(5):
        ask(fuse, f"{number}?")
        clock.advance(1_200)
        upstream.age(1_200)
    ttls = [
        request.body["system"][-1]["cache_control"].get("ttl", "5m") if marks else ""
        for request in upstream.requests
        for marks in [marks_of(request.body)]
    ]
    assert ttls == ["", "5m", "1h", "1h", "1h"]
    assert upstream.requests[-1].billed.cache_read_tokens > 2_048


def test_tools_are_marked_and_keep_their_order(upstream: Upstream) -> None:
    text = "Looks a word up. " * 400
    tools = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": {}}}
        for name in ("zeta", "alpha")
    ]
    fuse = fused()
    for number in range(2):
        ask(fuse, f"{number}?", tools=tools)
    body = upstream.requests[-1].body
    assert [tool["name"] for tool in body["tools"]] == ["zeta", "alpha"]
    assert marks_of(body) == ["tool 1", "system"]


def test_a_callers_own_marks_stay_alone(upstream: Upstream) -> None:
    fuse = fused(prompt_caching="5m")
    own = {"role": "system", "content": [{"type": "text", "text": RULES, "cache_control": MARK}]}
    completion(CLAUDE, [own, *turns("One?")[1:]], fuse=fuse, max_tokens=50)
    assert marks_of(upstream.requests[0].body) == ["system"]
    completion("gpt-4o", turns("One?"), fuse=fuse, prompt_cache_key="mine")
    assert upstream.requests[1].body["prompt_cache_key"] == "mine"


def test_the_key_of_our_own_cache_is_untouched(upstream: Upstream) -> None:
    ledgerless = FrozenClock()
    fuse = fused(prompt_caching="5m", clock=ledgerless)
    for _ in range(3):
        ask(fuse, "One?")
    assert upstream.calls == 1
    assert fuse.receipt().exact == 2


def test_openai_is_given_the_same_key_for_the_same_beginning(upstream: Upstream) -> None:
    heard = Heard()
    fuse = fused(heard)
    for question in ("One?", "Two?"):
        ask(fuse, question, model="gpt-4o")
    completion("gpt-4o", turns("One?", system="Be short."), fuse=fuse)
    completion("gpt-4o", turns("One?")[1:], fuse=fuse)
    one, two, other, none = (request.body.get("prompt_cache_key") for request in upstream.requests)
    assert one == two
    assert str(one).startswith("agentfuse-")
    assert other not in {one, None}
    assert none is None
    assert heard.receipts[1].prompt_cache_saved > 0, "OpenAI's cache is its own, and is accounted"


def test_the_worst_case_holds_for_what_is_written(upstream: Upstream) -> None:
    """A write costs more than plain input, and is set aside for."""
    fuse = fused(prompt_caching="1h")
    ask(fuse, "One?")
    assert upstream.requests[0].billed.cache_write_1h_tokens
    assert fuse.receipt().overruns == 0


def test_a_fallback_takes_the_marks_of_its_own_provider(upstream: Upstream) -> None:
    fuse = fused(prompt_caching="5m", fallbacks={CLAUDE: ["openai/gpt-4o"]})
    upstream.fail(529)
    ask(fuse, "One?")
    assert marks_of(upstream.requests[0].body) == ["system"]
    fallen = upstream.requests[1].body
    assert "cache_control" not in json.dumps(fallen)
    assert fallen["prompt_cache_key"]


@pytest.mark.parametrize("stream", [False, True])
def test_awaited_calls_and_streams_are_marked_too(upstream: Upstream, *, stream: bool) -> None:
    fuse = fused()

    async def both() -> None:
        for question in ("One?", "Two?", "Three?"):
            answer = await acompletion(
                CLAUDE, turns(question), fuse=fuse, max_tokens=50, stream=stream
            )
            if stream:
                async for _ in answer:
                    pass

    asyncio.run(both())
    assert upstream.requests[-1].billed.cache_read_tokens > 2_048
    assert fuse.receipt().prompt_cache_saved > 0


def test_a_wrapped_anthropic_client_is_marked_and_nothing_else_is_changed(
    upstream: Upstream,
) -> None:
    fuse = fused(cache=False)
    client = wrap_anthropic(anthropic.Anthropic(api_key=KEY, max_retries=0), fuse=fuse)
    tool = {"name": "look_up", "input_schema": {"type": "object"}}
    use = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "found it"}
    messages: list[Any] = [{"role": "user", "content": "Look it up."}]
    asked: dict[str, Any] = {"model": CLAUDE, "max_tokens": 50, "system": RULES, "tools": [tool]}
    client.messages.create(**asked, messages=messages)
    after = {"role": "user", "content": [result, {"type": "text", "text": "And then?"}]}
    messages += [{"role": "assistant", "content": [use]}, after]
    client.messages.create(**asked, messages=messages)
    body: Any = upstream.requests[1].body
    assert marks_of(body) == ["system", "turn 0", "turn 2"]
    assert body["messages"][2]["content"][1]["cache_control"] == MARK
    assert json.loads(json.dumps(body).replace(', "cache_control": {"type": "ephemeral"}', "")) == {
        **asked,
        "system": [{"type": "text", "text": RULES}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look it up."}]},
            *messages[1:],
        ],
    }
    client.messages.create(**asked, messages=messages)
    assert upstream.requests[2].billed.cache_read_tokens > 2_048


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_wrapped_openai_client_is_given_a_key(upstream: Upstream, api: str) -> None:
    client = wrap_openai(openai.OpenAI(api_key=KEY, max_retries=0), fuse=fused())
    if api == "chat":
        client.chat.completions.create(model="gpt-4o", messages=turns("One?"))  # type: ignore[arg-type]
    else:
        client.responses.create(model="gpt-4o", instructions=RULES, input="One?")
    assert upstream.requests[0].body["prompt_cache_key"]
