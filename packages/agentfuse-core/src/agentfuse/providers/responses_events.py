"""Streams of OpenAI's Responses API: joined into one body, or cut from one.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.providers.chat_streams import pieces_of_text
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentfuse.messages import Json

_ENDINGS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_LATER = ("completed_at", "incomplete_details")
# Deltas that are no text the model was billed for as such: sound in base64, pictures.
_UNSPOKEN = ("response.audio.", "response.image_generation_call.")


def said_in_event(event: Mapping[str, Json]) -> str:
    """Give the text of an event that is billed as output: words, reasoning, names, arguments."""
    kind = str(event.get("type"))
    said: Json = None
    if kind == "response.output_item.added":
        said = object_of(event.get("item")).get("name")
    elif kind.endswith(".delta") and not kind.startswith(_UNSPOKEN):
        said = event.get("delta")
    return said if isinstance(said, str) else ""


def body_of_events(events: Iterable[Mapping[str, Json]]) -> Mapping[str, Json]:
    """Give the response of the closing event, or what was said until the stream was cut."""
    body: dict[str, Json] = {"object": "response", "status": "in_progress", "output": []}
    done: list[Json] = []
    said: list[str] = []
    for event in events:
        kind = event.get("type")
        if kind in _ENDINGS:
            return object_of(event.get("response"))
        if kind == "response.created":
            body |= object_of(event.get("response"))
        elif kind == "response.output_item.done":
            done.append(event.get("item"))
            said.clear()
        else:
            said.append(said_in_event(event))
    text = "".join(said)
    if text:
        content = [{"type": "output_text", "text": text}]
        done.append({"type": "message", "role": "assistant", "content": content})
    return {**body, "output": done}


def events_of_response(body: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Cut a response's body into numbered events."""
    for number, event in enumerate(_steps_of(body)):
        yield {**event, "sequence_number": number}


def _steps_of(body: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    status = body.get("status")
    started: dict[str, Json] = {**body, "status": "in_progress", "output": [], "usage": None}
    started |= {word: None for word in _LATER if word in body}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    for index, item in enumerate(map(object_of, list_of(body.get("output")))):
        opened, steps = _opened(item, {"item_id": item.get("id"), "output_index": index})
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        yield from steps
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{status}", "response": body}


def _opened(
    item: Mapping[str, Json], at: Mapping[str, Json]
) -> tuple[dict[str, Json], Iterator[dict[str, Json]]]:
    """Give an item as it opens, and the steps that fill it."""
    running = {"status": "in_progress"} if "status" in item else {}
    match item.get("type"):
        case "message":
            return {**item, **running, "content": []}, _content_steps(item, at)
        case "function_call":
            name = "response.function_call_arguments"
            return {**item, **running, "arguments": ""}, _text_steps(
                name, "arguments", str(item.get("arguments") or ""), at
            )
        case "custom_tool_call":
            name = "response.custom_tool_call_input"
            given = str(item.get("input") or "")
            return {**item, **running, "input": ""}, _text_steps(name, "input", given, at)
        case "reasoning":
            return {**item, **running, "summary": []}, _summary_steps(item, at)
        case _:
            return {**item, **running}, iter(())


def _content_steps(item: Mapping[str, Json], at: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    for index, part in enumerate(map(object_of, list_of(item.get("content")))):
        place = {**at, "content_index": index}
        word = "refusal" if part.get("type") == "refusal" else "text"
        name = "response.refusal" if word == "refusal" else "response.output_text"
        beside: dict[str, Json] = {} if word == "refusal" else {"logprobs": []}
        empty = {**part, word: ""}
        yield {"type": "response.content_part.added", **place, "part": empty}
        yield from _text_steps(name, word, str(part.get(word) or ""), {**place, **beside})
        yield {"type": "response.content_part.done", **place, "part": part}


def _summary_steps(item: Mapping[str, Json], at: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    prefix = "response.reasoning_summary"
    for index, part in enumerate(map(object_of, list_of(item.get("summary")))):
        place = {**at, "summary_index": index}
        yield {"type": f"{prefix}_part.added", **place, "part": {**part, "text": ""}}
        yield from _text_steps(f"{prefix}_text", "text", str(part.get("text") or ""), place)
        yield {"type": f"{prefix}_part.done", **place, "part": part}


def _text_steps(
    name: str, word: str, text: str, at: Mapping[str, Json]
) -> Iterator[dict[str, Json]]:
    """Say a text piece by piece, and then whole."""
    for piece in pieces_of_text(text):
        yield {"type": f"{name}.delta", **at, "delta": piece}
    yield {"type": f"{name}.done", **at, word: text}
