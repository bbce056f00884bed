"""Made-up traces of agents that loop, and of agents that repeat themselves for a good reason."""

from __future__ import annotations

import json
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Step = tuple[str, dict[str, Any], str]
"""A tool's name, its arguments and its result."""

NAMES = ("search", "read_file", "run_query", "fetch", "list_rows", "get_status")
WORDS = ("fuse", "invoice 204", "heat pump", "tests", "north", "A-1043", "cache", "order")


def traces(seed: int, each: int) -> Iterator[dict[str, Any]]:
    """Make so many traces of each kind, some 8 to 24 calls long."""
    for kind, (loops, make) in KINDS.items():
        for number in range(each):
            draw = Random(f"{seed} {kind} {number}")  # noqa: S311 - no secret
            calls = make(draw)
            yield {"name": f"{kind} {number}", "kind": kind, "loop": loops, "calls": calls}


def agent(draw: Random, step: Callable[[int], Step], length: int) -> list[dict[str, Any]]:
    """Play an agent that calls a tool at each step, with words of its own beside it."""
    messages: list[Any] = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": f"Find out about {draw.choice(WORDS)}."},
    ]
    calls: list[dict[str, Any]] = []
    for number in range(length):
        name, arguments, result = step(number)
        said = f"Step {number}: {draw.choice(('I look.', 'Once more.', 'Let me see.', ''))}"
        written = json.dumps(shuffled(draw, arguments))
        calls.append(call_of(messages, said, [{"name": name, "arguments": written}]))
        function = {"name": name, "arguments": written}
        used = {"id": f"call_{draw.random()}", "type": "function", "function": function}
        messages = [
            *messages,
            {"role": "assistant", "content": said, "tool_calls": [used]},
            {"role": "tool", "tool_call_id": used["id"], "content": result},
        ]
    return calls


def call_of(messages: list[Any], text: str, calls: list[Any], **words: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o", "messages": messages}
    return {
        "api": "chat.completions",
        "body": body,
        "answer": {"text": text, "calls": calls},
        **words,
    }


def shuffled(draw: Random, arguments: dict[str, Any]) -> dict[str, Any]:
    """Give arguments in any order, as models write them."""
    return dict(draw.sample(sorted(arguments.items()), len(arguments)))


def same_tool(draw: Random) -> list[dict[str, Any]]:
    """One call, the same result, after some honest steps."""
    name, word, honest = draw.choice(NAMES), draw.choice(WORDS), draw.randrange(4)

    def step(number: int) -> Step:
        if number < honest:
            return draw.choice(NAMES), {"part": number}, f"part {number}"
        return name, {"q": word, "limit": 5}, "nothing found"

    return agent(draw, step, honest + draw.randrange(6, 12))


def round_trip(draw: Random) -> list[dict[str, Any]]:
    """Two to four calls in turn, each with the same result."""
    length = draw.randrange(2, 5)
    names = draw.sample(NAMES, length)
    word = draw.choice(WORDS)
    return agent(draw, lambda n: (names[n % length], {"q": word}, f"see {word}"), 6 * length)


def same_question(draw: Random) -> list[dict[str, Any]]:
    """The very same question, with answers that vary."""
    messages = [{"role": "user", "content": f"Plan how to find {draw.choice(WORDS)}."}]
    return [call_of(messages, f"Not ready, {n}.", []) for n in range(draw.randrange(6, 20))]


def observations(draw: Random) -> list[dict[str, Any]]:
    """An agent whose tools are texts: the same action and the same observation."""
    word, calls = draw.choice(WORDS), []
    messages = [{"role": "user", "content": f"Find {word}."}]
    said = f"Thought: I search.\nAction: search\nAction Input: {word}"
    for _ in range(draw.randrange(7, 14)):
        calls.append(call_of(messages, said, []))
        seen = {"role": "user", "content": "Observation: nothing found"}
        messages = [*messages, {"role": "assistant", "content": said}, seen]
    return calls


def ping_pong(draw: Random) -> list[dict[str, Any]]:
    """Two agents with histories of their own that send each other the same."""
    word = draw.choice(WORDS)
    sides = (("writer", f"Is this on {word} good?", "No."), ("critic", "Improve it.", "Done."))
    return [
        call_of([{"role": "user", "content": text}], answer, [], tags=[tag])
        for _ in range(draw.randrange(5, 10))
        for tag, text, answer in sides
    ]


def polling(draw: Random) -> list[dict[str, Any]]:
    """The same call until something is done: its result moves on."""
    pace = draw.randrange(3, 12)
    return agent(
        draw,
        lambda n: ("get_status", {"job": 7}, f"{min(n * pace, 100)} % done"),
        min(draw.randrange(8, 20), 100 // pace),
    )


def slow_polling(draw: Random) -> list[dict[str, Any]]:
    """The same call, whose result stands still for two calls at a time."""
    return agent(draw, lambda n: ("get_status", {"job": 7}, f"{n // 2 * 10} %"), 12)


def paging(draw: Random) -> list[dict[str, Any]]:
    """Page after page."""
    return agent(
        draw, lambda n: ("list_rows", {"page": n, "size": 20}, "20 rows"), draw.randrange(8, 20)
    )


def repairing(draw: Random) -> list[dict[str, Any]]:
    """Edit, test, edit, test: the tests fail in other places each time."""

    def step(number: int) -> Step:
        if number % 2:
            return "run_tests", {}, f"{30 - number} tests fail"
        return "edit_file", {"path": "a.py", "line": number * 7}, "edited"

    return agent(draw, step, draw.randrange(10, 24))


def labelling(draw: Random) -> list[dict[str, Any]]:
    """One label for many texts."""
    return [
        call_of(
            [
                {"role": "system", "content": "Is it positive or negative?"},
                {"role": "user", "content": f"Review {n}: {draw.choice(WORDS)} is fine."},
            ],
            "positive",
            [],
        )
        for n in range(20)
    ]


def many_users(draw: Random) -> list[dict[str, Any]]:
    """The same question of many users."""
    messages = [{"role": "user", "content": f"What is {draw.choice(WORDS)}?"}]
    return [call_of(messages, "It is a thing.", [], user=f"u{n}") for n in range(16)]


def chatting(draw: Random) -> list[dict[str, Any]]:
    """A user who says next, and gets something new."""
    numbers, messages, calls = count(1), [{"role": "user", "content": "Tell me a fact."}], []
    for _ in range(draw.randrange(8, 16)):
        said = f"Fact {next(numbers)} about {draw.choice(WORDS)}."
        calls.append(call_of(messages, said, []))
        user = {"role": "user", "content": "next"}
        messages = [*messages, {"role": "assistant", "content": said}, user]
    return calls


def asking_again(draw: Random) -> list[dict[str, Any]]:
    """A user who asks the same tool to be called now and then, between other things."""
    messages: list[Any] = []
    calls: list[dict[str, Any]] = []
    for number in range(8):
        asks = "Is it raining?" if number % 2 else f"Now about {draw.choice(WORDS)} {number}."
        messages = [*messages, {"role": "user", "content": asks}]
        said = "No, dry." if number % 2 else f"That is thing {number}."
        calls.append(call_of(messages, said, []))
        messages = [*messages, {"role": "assistant", "content": said}]
    return calls


def reworded(draw: Random) -> list[dict[str, Any]]:
    """The same search in other words each time: no exact repeat, so `similar` is needed."""
    forms = ("{}", "the {}", "{} again", "all {}", "{} please", "any {}", "{} now", "{}s")
    word = draw.choice(WORDS)
    return agent(draw, lambda n: ("search", {"q": forms[n % 8].format(word)}, "nothing found"), 8)


def clocked(draw: Random) -> list[dict[str, Any]]:
    """The same call again and again, with the time in its result."""
    word = draw.choice(WORDS)
    return agent(draw, lambda n: ("search", {"q": word}, f"12:00:{n:02d} nothing found"), 10)


def patient_polling(draw: Random) -> list[dict[str, Any]]:
    """Waiting for a job that stands in a queue: right to do, and no different from a loop."""
    states = ["queued"] * 6 + ["done"] * 2
    return agent(draw, lambda n: ("get_status", {"job": 7}, states[n]), len(states))


KINDS: dict[str, tuple[bool, Callable[[Random], list[dict[str, Any]]]]] = {
    "same tool": (True, same_tool),
    "round trip": (True, round_trip),
    "same question": (True, same_question),
    "same observation": (True, observations),
    "ping-pong": (True, ping_pong),
    "reworded": (True, reworded),
    "clock in the result": (True, clocked),
    "polling": (False, polling),
    "patient polling": (False, patient_polling),
    "slow polling": (False, slow_polling),
    "paging": (False, paging),
    "edit and test": (False, repairing),
    "labelling": (False, labelling),
    "many users": (False, many_users),
    "chatting": (False, chatting),
    "asking again": (False, asking_again),
}
