"""Requests that end in the same question and differ in one other thing: none may meet another."""

from __future__ import annotations

import random
from base64 import b64encode
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentfuse.messages import Json

QUESTION = "What does the report say about the second quarter?"
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")
WORDS = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett"),
    *("kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango"),
)


@dataclass(slots=True)
class NearRequest:
    """A request in OpenAI's words; ``what`` says what was changed in it."""

    model: str = MODELS[0]
    messages: list[dict[str, Json]] = field(default_factory=list[dict[str, Any]])
    tenant: str = ""
    user: str = ""
    params: dict[str, Json] = field(default_factory=dict[str, Any])
    what: str = "nothing"


def first_request() -> NearRequest:
    """Give a conversation with a system prompt, a turn, a tool's result, an image, and a question.

    The question comes last, and in a message of its own.
    """
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "read", "arguments": '{"page": 1}'},
    }
    return NearRequest(
        messages=[
            {"role": "system", "content": "You answer from the report alone."},
            {"role": "user", "content": "Please read the report."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Revenue rose."},
            {"role": "assistant", "content": "I have read it."},
            {"role": "user", "content": [_image(b"page one"), {"type": "text", "text": "See."}]},
            {"role": "assistant", "content": "I see it."},
            {"role": "user", "content": QUESTION},
        ],
        tenant="acme",
        params={"temperature": 0.0, "max_tokens": 200},
    )


def near_requests(count: int, seed: int = 1) -> Iterator[NearRequest]:
    """Give requests that each differ from ``first_request`` in one kind of thing, all of them new.

    System prompt, history, tool call, tool result, image, tenant, user, model, format, parameters.
    The models are few, so that a change of model comes with one word more in the system prompt.
    """
    rng = random.Random(seed)  # noqa: S311 - for a test
    kinds = list(_CHANGES.items())
    for number in range(count):
        what, change = kinds[number % len(kinds)]
        request = deepcopy(first_request())
        request.what = what
        change(request, _new(rng, number))
        yield request


def _new(rng: random.Random, number: int) -> str:
    """Give words that no other request has."""
    return f"{' '.join(rng.choices(WORDS, k=3))} {number}"


def _image(content: bytes) -> dict[str, Json]:
    url = f"data:image/png;base64,{b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _system(request: NearRequest, new: str) -> None:
    request.messages[0]["content"] += f" {new}"


def _history(request: NearRequest, new: str) -> None:
    request.messages[4]["content"] = f"I have read it: {new}."


def _asked_before(request: NearRequest, new: str) -> None:
    request.messages[1]["content"] = f"Please read the report on {new}."


def _further_turn(request: NearRequest, new: str) -> None:
    turn = [{"role": "user", "content": new}, {"role": "assistant", "content": "Yes."}]
    request.messages[7:7] = turn


def _tool_call(request: NearRequest, new: str) -> None:
    call = request.messages[2]["tool_calls"][0]
    call["function"]["arguments"] = f'{{"page": "{new}"}}'


def _tool_result(request: NearRequest, new: str) -> None:
    request.messages[3]["content"] = f"Revenue rose by {new}."


def _other_image(request: NearRequest, new: str) -> None:
    request.messages[5]["content"][0] = _image(new.encode())


def _tenant(request: NearRequest, new: str) -> None:
    request.tenant = f"acme {new}"


def _user(request: NearRequest, new: str) -> None:
    request.user = new


def _model(request: NearRequest, new: str) -> None:
    number = int(new.rsplit(" ", 1)[1])
    request.model = MODELS[1 + number % (len(MODELS) - 1)]
    # A few models make few requests: another word in the system prompt makes each a new one.
    _system(request, new)


def _format(request: NearRequest, new: str) -> None:
    name = new.replace(" ", "_")
    shape = {"type": "object", "properties": {name: {"type": "string"}}}
    schema = {"name": name, "schema": shape}
    request.params["response_format"] = {"type": "json_schema", "json_schema": schema}


def _parameter(request: NearRequest, new: str) -> None:
    number = int(new.rsplit(" ", 1)[1])
    request.params |= {"seed": number, "max_tokens": 201 + number}


_CHANGES: dict[str, Callable[[NearRequest, str], None]] = {
    "system prompt": _system,
    "history": _history,
    "an earlier question": _asked_before,
    "a further turn": _further_turn,
    "a tool's call": _tool_call,
    "a tool's result": _tool_result,
    "an image": _other_image,
    "tenant": _tenant,
    "user": _user,
    "model": _model,
    "format": _format,
    "a parameter": _parameter,
}
