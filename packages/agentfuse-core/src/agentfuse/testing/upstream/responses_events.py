"""How OpenAI's Responses API streams: items open, fill and close, each event with its number.

Source: platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.sse import named_event, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.said import Event, Json

    Step = tuple[dict[str, Json], str]
    """An event without its number, and the billed text in it."""


def response_events(started: Json, finished: Json) -> Iterator[Event]:
    """Give all events of a response, from its two ends: as it starts and as it is finished."""
    for number, (event, said) in enumerate(_steps_of(started, finished)):
        yield named_event({**event, "sequence_number": number}, said)


def _steps_of(started: Json, finished: Json) -> Iterator[Step]:
    yield {"type": "response.created", "response": started}, ""
    yield {"type": "response.in_progress", "response": started}, ""
    for index, item in enumerate(finished["output"]):
        place = {"item_id": item["id"], "output_index": index}
        opened, filling = _opened(item, place)
        added = {"type": "response.output_item.added", "output_index": index, "item": opened}
        yield added, item.get("name", "")
        yield from filling
        yield {"type": "response.output_item.done", "output_index": index, "item": item}, ""
    yield {"type": f"response.{finished['status']}", "response": finished}, ""


def _opened(
    item: Mapping[str, Json], place: Mapping[str, Json]
) -> tuple[dict[str, Json], Iterator[Step]]:
    """Give an item as it opens, and the steps that fill it."""
    match item["type"]:
        case "message":
            opened: dict[str, Json] = {**item, "status": "in_progress", "content": []}
            return opened, _text_steps(item["content"][0], place)
        case "function_call":
            opened = {**item, "status": "in_progress", "arguments": ""}
            return opened, _argument_steps(item["arguments"], place)
        case _:
            return {**item, "summary": []}, _summary_steps(item["summary"], place)


def _text_steps(part: Mapping[str, Json], place: Mapping[str, Json]) -> Iterator[Step]:
    at = {**place, "content_index": 0}
    empty = {**part, "text": ""}
    yield {"type": "response.content_part.added", **at, "part": empty}, ""
    for piece in pieces_of(part["text"]):
        delta: dict[str, Json] = {
            "type": "response.output_text.delta",
            **at,
            "delta": piece,
            "logprobs": [],
        }
        yield delta, piece
    done: dict[str, Json] = {
        "type": "response.output_text.done",
        **at,
        "text": part["text"],
        "logprobs": [],
    }
    yield done, ""
    yield {"type": "response.content_part.done", **at, "part": part}, ""


def _argument_steps(arguments: str, place: Mapping[str, Json]) -> Iterator[Step]:
    for piece in pieces_of(arguments):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}, piece
    yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}, ""


def _summary_steps(summary: list[Mapping[str, Json]], place: Mapping[str, Json]) -> Iterator[Step]:
    prefix = "response.reasoning_summary"
    for index, part in enumerate(summary):
        at = {**place, "summary_index": index}
        yield {"type": f"{prefix}_part.added", **at, "part": {**part, "text": ""}}, ""
        for piece in pieces_of(part["text"]):
            yield {"type": f"{prefix}_text.delta", **at, "delta": piece}, piece
        yield {"type": f"{prefix}_text.done", **at, "text": part["text"]}, ""
        yield {"type": f"{prefix}_part.done", **at, "part": part}, ""
