"""The SDK's input items in neutral words, and rewritten conversations as items again.

Items are the Responses API's, whatever the model behind speaks. As in chat completions, the
reasoning, text and calls of one answer are one assistant turn. Ids of items name copies that the
provider keeps and are no part of what was said; a reasoning item alone stands for more than it
shows, so its block is kept whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Message, Other, Reasoning, Text, ToolCall
from agentfuse.nothing import NOTHING
from agentfuse.providers.chat_requests import parts_of
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse_openai_agents.json_values import plain_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agents import TResponseInputItem

    from agentfuse.messages import Json, Part

# Which copy of an item this is, and how its making ended.
_BOOKKEEPING = frozenset({"id", "status", "type", "provider_data"})
# What is read of a message, of a call and of its result; the provider's data is looked into.
_SAID = frozenset({"id", "status", "type", "role", "content"})
_RETURNED = frozenset({"id", "status", "type", "call_id", "output"})
_CALLED = frozenset({"id", "status", "type", "call_id", "name", "arguments"})
# Whose answer an item was (the chat models of the SDK note it): not a part of it.
_ORIGIN = frozenset({"model", "response_id"})


@dataclass(frozen=True, slots=True)
class Turn:
    """A message and the input items it was read from."""

    message: Message
    items: tuple[Any, ...]


@dataclass(slots=True)
class _Answer:
    """One answer of the model, as far as its items have come."""

    items: list[Any] = field(default_factory=list[Any])
    parts: list[Part] = field(default_factory=list["Part"])
    calls: list[ToolCall] = field(default_factory=list[ToolCall])
    extra: dict[str, Json] = field(default_factory=dict[str, Any])

    @property
    def speaks(self) -> bool:
        """Whether more than thinking has come."""
        return bool(self.calls) or any(not isinstance(part, Reasoning) for part in self.parts)

    def turn(self) -> Turn:
        """Close the answer."""
        parts, calls = tuple(self.parts), tuple(self.calls)
        message = Message("assistant", parts, calls, extra=self.extra or NOTHING)
        return Turn(message, tuple(self.items))


def turns_of(given: str | Sequence[TResponseInputItem]) -> tuple[Turn, ...]:
    """Read a model's input."""
    if isinstance(given, str):
        return (Turn(Message("user", (Text(given),)), (given,)),)
    turns: list[Turn] = []
    answer: _Answer | None = None
    for written in given:
        item: Mapping[str, Json] = object_of(plain_of(written))
        part_of_answer = _is_answers(item)
        if answer is not None and (not part_of_answer or _opens(item, answer)):
            turns.append(answer.turn())
            answer = None
        if part_of_answer:
            answer = answer or _Answer()
            _add(answer, item, written)
        else:
            turns.append(Turn(_message_of(item, written), (written,)))
    if answer is not None:
        turns.append(answer.turn())
    return tuple(turns)


def _kind_of(item: Mapping[str, Json]) -> str:
    return str(item.get("type") or "message")


def _is_answers(item: Mapping[str, Json]) -> bool:
    kind = _kind_of(item)
    return kind in {"reasoning", "function_call"} or (
        kind == "message" and item.get("role") == "assistant"
    )


def _opens(item: Mapping[str, Json], answer: _Answer) -> bool:
    """Say whether an item begins the next answer: thinking or text after something was said."""
    return _kind_of(item) != "function_call" and answer.speaks


def _add(answer: _Answer, item: Mapping[str, Json], written: Any) -> None:
    answer.items.append(written)
    match _kind_of(item):
        case "function_call":
            answer.calls.append(call_of(item))
        case "reasoning":
            answer.parts.append(reasoning_of(item))
        case _:
            answer.parts += content_of(item.get("content"))
            answer.extra |= _rest_of(item, _SAID)


def _message_of(item: Mapping[str, Json], written: Any) -> Message:
    """Read one item that is no part of an answer; an unknown kind is kept whole."""
    kind = _kind_of(item)
    if kind == "message" and "role" in item:
        extra = _rest_of(item, _SAID)
        parts = content_of(item.get("content"))
        return Message(str(item["role"]), parts, extra=extra)
    if kind == "function_call_output":
        extra = _rest_of(item, _RETURNED)
        call_id = str(item.get("call_id") or "")
        return Message("tool", content_of(item.get("output")), (), call_id, extra=extra)
    return Message("assistant", (Other(item or {"type": kind, "item": written}),))


def call_of(item: Mapping[str, Json]) -> ToolCall:
    """Read a function call."""
    extra = _rest_of(item, _CALLED)
    name, arguments = str(item.get("name") or ""), str(item.get("arguments") or "")
    return ToolCall(str(item.get("call_id") or ""), name, arguments, extra)


def reasoning_of(item: Mapping[str, Json]) -> Reasoning:
    """Read what a reasoning item shows, and keep it whole."""
    shown = [*list_of(item.get("summary")), *list_of(item.get("content"))]
    return Reasoning("".join(str(object_of(part).get("text") or "") for part in shown), item)


def _rest_of(item: Mapping[str, Json], told: frozenset[str]) -> Mapping[str, Json]:
    """Gather what else an item says, and what a provider must get back with it."""
    if told.issuperset(item):  # most of them
        return NOTHING
    rest = {
        name: value
        for name, value in item.items()
        if name not in told and name not in _BOOKKEEPING and value is not None
    }
    provided = object_of(item.get("provider_data"))
    kept = {name: value for name, value in provided.items() if name not in _ORIGIN}
    return {**rest, "provider_data": kept} if kept else rest or NOTHING


def content_of(content: Json) -> tuple[Part, ...]:
    """Read a content: a string, or a list of the Responses API's blocks."""
    if content is None or isinstance(content, str):
        return parts_of(content)
    return parts_of([_chat_block_of(object_of(plain_of(block))) for block in list_of(content)])


def _chat_block_of(block: Mapping[str, Json]) -> Json:
    """Write a block as chat completions would; one they lack stays as it is."""
    rest = dict(block)
    match rest.pop("type", None):
        case "input_text" | "output_text":
            # An answer's own marks: empty lists say nothing.
            said = {name: value for name, value in rest.items() if value not in (None, [])}
            return {"type": "text", **said}
        case "input_image" if isinstance(block.get("image_url"), str):
            image = {"url": rest.pop("image_url")}
            shown = {name: value for name, value in rest.items() if value is not None}
            return {"type": "image_url", "image_url": {**image, **shown}}
        case "input_file" if isinstance(block.get("file_data"), str):
            return {"type": "file", "file": rest}
        case _:
            return dict(block)


def items_of(messages: Iterable[Message], turns: Iterable[Turn]) -> list[Any]:
    """Write a rewritten conversation: a turn that was left alone goes back as it came."""
    came = {id(turn.message): turn.items for turn in turns}
    items: list[Any] = []
    for message in messages:
        known = came.get(id(message))
        items += _items_of_message(message) if known is None else map(_spelt, known)
    return items


def _spelt(item: Any) -> Any:
    """Give a bare string input as the message it stands for."""
    return {"role": "user", "content": item} if isinstance(item, str) else item


def _items_of_message(message: Message) -> list[Any]:
    if message.role == "tool":
        return [
            {
                "type": "function_call_output",
                "call_id": message.tool_call_id,
                "output": message.text,
            }
        ]
    kept = [dict(part.block) for part in message.parts if isinstance(part, Reasoning | Other)]
    said = [part for part in message.parts if isinstance(part, Text | Media)]
    items: list[Any] = [block for block in kept if "type" in block]
    if said:
        items.append({"role": message.role, "content": _content_of(said)})
    items += [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in message.tool_calls
    ]
    return items


def _content_of(parts: Sequence[Text | Media]) -> Json:
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [_block_of(part) for part in parts]


def _block_of(part: Text | Media) -> Json:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    match part.block:
        case {"type": "image_url", "image_url": {"url": url, **rest}}:
            return {"type": "input_image", "image_url": url, **rest}
        case {"type": "file", "file": {**rest}}:
            return {"type": "input_file", **rest}
        case _:
            return dict(part.block)
