"""The SDK's input items in neutral words, and rewritten conversations as items again.

Items are the Responses API's, whatever the model behind speaks. As in chat completions, the
reasoning, text and calls of one answer are one assistant turn. Ids of items name copies that the
provider keeps and are no part of what was said; a reasoning item alone stands for more than it
shows, so its block is kept whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent, copy_of
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Piece:
    """What one input item says: ``message`` is the turn it makes where it stands alone.

    ``answers`` says that it is a part of an answer, ``speaks`` that it is more than thinking, and
    ``opens`` that it begins the next answer where something was said before it.
    """

    message: Message
    answers: bool = False
    speaks: bool = False
    opens: bool = False


def turns_of(given: str | Sequence[TResponseInputItem]) -> tuple[Turn, ...]:
    """Read a model's input."""
    if isinstance(given, str):
        return (Turn(Message("user", (Text(given),)), (given,)),)
    turns: list[Turn] = []
    said: list[_Piece] = []
    items: list[Any] = []
    for written in given:
        piece = _piece_of(written)
        if said and not _goes_on(said, piece):
            turns.append(Turn(_joined(said), tuple(items)))
            said, items = [], []
        said.append(piece)
        items.append(written)
    if said:
        turns.append(Turn(_joined(said), tuple(items)))
    return tuple(turns)


def _goes_on(said: Sequence[_Piece], piece: _Piece) -> bool:
    """Say whether an item is of the same answer as those before it."""
    if not piece.answers or not said[0].answers:
        return False
    return not piece.opens or not any(each.speaks for each in said)


def _joined(said: Sequence[_Piece]) -> Message:
    if len(said) == 1:
        return said[0].message
    messages = [piece.message for piece in said]
    extra: dict[str, Json] = {}
    for message in messages:
        extra |= message.extra
    return Message(
        "assistant",
        tuple(part for message in messages for part in message.parts),
        tuple(call for message in messages for call in message.tool_calls),
        extra=extra or NOTHING,
    )


def _piece_of(written: Any) -> _Piece:
    if type(written) is dict and written:  # most of them
        return _known_pieces(written)
    item: Mapping[str, Json] = object_of(plain_of(written))
    # What is no item that we can read is kept whole.
    return _known_pieces(item or {"type": "message", "item": written})


def _read(given: Mapping[str, Json]) -> _Piece:
    """Read an item of an answer, or one that is none."""
    item = copy_of(given)
    match _kind_of(item):
        case "function_call":
            message = Message("assistant", (), (call_of(item),))
            return _Piece(message=message, answers=True, speaks=True)
        case "reasoning":
            message = Message("assistant", (reasoning_of(item),))
            return _Piece(message=message, answers=True, opens=True)
        case "message" if item.get("role") == "assistant":
            message = _message_of(item)
            speaks = any(not isinstance(part, Reasoning) for part in message.parts)
            return _Piece(message=message, answers=True, speaks=speaks, opens=True)
        case _:
            return _Piece(message=_message_of(item))


# An agent sends its whole conversation each time, and all but the last items were read before.
_known_pieces = ByContent(_read)


def _kind_of(item: Mapping[str, Json]) -> str:
    return str(item.get("type") or "message")


def _message_of(item: Mapping[str, Json]) -> Message:
    """Read one item as a turn of its own; an unknown kind is kept whole."""
    kind = _kind_of(item)
    if kind == "message" and "role" in item:
        extra = _rest_of(item, _SAID)
        parts = content_of(item.get("content"))
        return Message(str(item["role"]), parts, extra=extra)
    if kind == "function_call_output":
        extra = _rest_of(item, _RETURNED)
        call_id = str(item.get("call_id") or "")
        return Message("tool", content_of(item.get("output")), (), call_id, extra=extra)
    return Message("assistant", (Other(item),))


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
