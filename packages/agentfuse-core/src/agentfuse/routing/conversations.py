"""Which model a conversation is with, and the signs that it is stuck.

A provider keeps the beginning of a conversation for the model that read it: another model reads it
anew, at the full price. So a model is chosen once, and changed once, upwards, on a stall.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.messages import Json, Message, Request

# Conversations remembered, the least recently used are forgotten first.
_MOST = 4_096

# So many identical tool calls in a row are a loop: twice may be a retry, thrice is none.
_LOOP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a conversation stands: with ``model`` since ``decision``, and whether it moved up."""

    model: str
    decision: str
    escalated: bool = False
    trouble: str = ""


@dataclass(slots=True)
class Conversations:
    """The courses of the latest conversations."""

    _courses: OrderedDict[str, Course] = field(
        default_factory=OrderedDict[str, Course], init=False, repr=False
    )

    def find(self, key: str) -> Course | None:
        """Give a conversation's course, if it is known."""
        return self._courses.get(key)

    def keep(self, key: str, course: Course) -> None:
        """Note a course, in place of the one before it."""
        self._courses[key] = course
        self._courses.move_to_end(key)
        if len(self._courses) > _MOST:
            self._courses.popitem(last=False)


def conversation_of(request: Request, session: str, tag: str) -> str:
    """Name a conversation: its session and tag, or else the words it began with.

    A request that opens a conversation without a session has no name to be recognised by yet; it
    gets the one its next turn will have.
    """
    if session:
        return f"{request.tenant or ''}\n{session}\n{tag}"
    digest = blake2b(digest_size=12)
    for message in _opening(request):
        digest.update(f"{message.role}\n{message.text}\n".encode("utf-8", "surrogatepass"))
    return f"{request.tenant or ''}\n{digest.hexdigest()}\n{tag}"


def goes_on(request: Request) -> bool:
    """Say whether a model has already answered in this conversation."""
    return any(message.role == "assistant" for message in request.messages)


def stall_of(request: Request) -> str:
    """Name the sign that the last answers led nowhere: ask again, loop, tool error; or nothing."""
    questions = [m.text for m in request.messages if m.role == "user" and m.text]
    if len(questions) > 1 and questions[-1] == questions[-2] and _asks(request):
        return "the user asks the same again"
    calls = [(c.name, c.arguments) for m in request.messages for c in m.tool_calls]
    if len(calls) >= _LOOP and len(set(calls[-_LOOP:])) == 1:
        return f"the tool {calls[-1][0]} was called {_LOOP} times with the same arguments"
    if _tool_failed(request):
        return "a tool reported an error"
    return ""


def broken_json(request: Request, text: str) -> str:
    """Say what is wrong with an answer that was to be JSON; empty where it is as asked.

    Checked are that it parses, and that the keys the schema requires at its top are there.
    """
    if not asks_json(request):
        return ""
    try:
        value: Json = json.loads(text)
    except ValueError:
        return "the answer is no JSON"
    wanted = cast("dict[str, dict[str, Json]]", request.params["response_format"])
    schema = cast("dict[str, list[str]]", (wanted.get("json_schema") or {}).get("schema") or {})
    held = cast("dict[str, Json]", value if isinstance(value, dict) else {})
    missing = [key for key in schema.get("required", ()) if key not in held]
    return f"the answer lacks {', '.join(map(repr, missing))}" if missing else ""


def asks_json(request: Request) -> bool:
    """Say whether the answer's form can be checked."""
    wanted: Json = request.params.get("response_format")
    if not isinstance(wanted, dict):
        return False
    kind = cast("dict[str, Json]", wanted).get("type")
    return kind in {"json_object", "json_schema"}


def _opening(request: Request) -> Iterator[Message]:
    """Give what stays the same in every turn: up to the first question."""
    for message in request.messages:
        yield message
        if message.role == "user":
            return


def _asks(request: Request) -> bool:
    return request.messages[-1].role == "user"


def _tool_failed(request: Request) -> bool:
    """See whether the turn's tool results are marked as errors (Anthropic's ``is_error``)."""
    last = request.messages[-1] if request.messages else None
    return last is not None and last.role == "tool" and bool(last.extra.get("is_error"))
