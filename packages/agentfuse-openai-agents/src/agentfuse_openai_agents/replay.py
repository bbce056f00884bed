"""A remembered answer as the events of a true stream, in the order of the model it stands for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agents.models.chatcmpl_stream_handler import ChatCmplStreamHandler
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types import responses
from openai.types.responses import Response
from pydantic import ValidationError

from agentfuse.providers.chat_replies import completion_body
from agentfuse.providers.chat_streams import chunks_of_body, pieces_of_text
from agentfuse.runtime.now import run_now
from agentfuse_openai_agents.answers import output_of_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from agents.items import TResponseStreamEvent
    from openai.types.chat import ChatCompletionChunk

    from agentfuse.messages import Reply
    from agentfuse_openai_agents.places import Place

    Step = tuple[str, dict[str, Any]]
    """An event's type and its fields, but for its number."""

# https://platform.openai.com/docs/api-reference/responses-streaming
_EVENTS: dict[str, Any] = {
    "response.created": responses.ResponseCreatedEvent,
    "response.in_progress": responses.ResponseInProgressEvent,
    "response.completed": responses.ResponseCompletedEvent,
    "response.output_item.added": responses.ResponseOutputItemAddedEvent,
    "response.output_item.done": responses.ResponseOutputItemDoneEvent,
    "response.content_part.added": responses.ResponseContentPartAddedEvent,
    "response.content_part.done": responses.ResponseContentPartDoneEvent,
    "response.output_text.delta": responses.ResponseTextDeltaEvent,
    "response.output_text.done": responses.ResponseTextDoneEvent,
    "response.function_call_arguments.delta": responses.ResponseFunctionCallArgumentsDeltaEvent,
    "response.function_call_arguments.done": responses.ResponseFunctionCallArgumentsDoneEvent,
    "response.reasoning_summary_part.added": responses.ResponseReasoningSummaryPartAddedEvent,
    "response.reasoning_summary_part.done": responses.ResponseReasoningSummaryPartDoneEvent,
    "response.reasoning_summary_text.delta": responses.ResponseReasoningSummaryTextDeltaEvent,
    "response.reasoning_summary_text.done": responses.ResponseReasoningSummaryTextDoneEvent,
    "response.reasoning_text.delta": responses.ResponseReasoningTextDeltaEvent,
    "response.reasoning_text.done": responses.ResponseReasoningTextDoneEvent,
}


def events_of_reply(reply: Reply, place: Place) -> Iterator[TResponseStreamEvent]:
    """Say an answer event by event; its closing response tells no usage, since none was billed."""
    output, response_id = output_of_reply(reply, place.flavour)
    if place.flavour == "chat":
        started = envelope_of(place.spoken, FAKE_RESPONSES_ID)
        finished = started.model_copy(update={"output": output, "status": "completed"})
        return _chat_events(reply, started, finished)
    started = envelope_of(reply.model or place.spoken, response_id)
    finished = started.model_copy(update={"output": output, "status": "completed"})
    return _numbered(_steps_of(started, finished))


def envelope_of(model: str, response_id: str | None) -> Response:
    """Make a response as it starts; one without an id of the provider's has none."""
    response = Response(
        id=response_id or "",
        created_at=time.time(),
        model=model,
        object="response",
        output=[],
        parallel_tool_calls=False,
        status="in_progress",
        tool_choice="auto",
        tools=[],
    )
    return response if response_id else response.model_copy(update={"id": None})


def _chat_events(
    reply: Reply, started: Response, finished: Response
) -> Iterator[TResponseStreamEvent]:
    """Let the SDK itself make its events of the answer's chunks, as it does of live ones.

    It closes with a response of its own making; the remembered one, with its very items, goes out.
    """
    started = started.model_copy(update={"status": None})
    finished = finished.model_copy(update={"status": None})
    chunks = chunks_of_body(completion_body(reply), include_usage=False)
    events = ChatCmplStreamHandler.handle_stream(
        started,
        _awaited(chunks),  # type: ignore[arg-type]  # the SDK reads it as any async iterator
        model=str(started.model),
    )
    for event in _at_once(events):
        if event.type == "response.completed":
            yield event.model_copy(update={"response": finished})
        else:
            yield event


async def _awaited(chunks: Iterator[ChatCompletionChunk]) -> AsyncIterator[ChatCompletionChunk]:
    for chunk in chunks:
        yield chunk


def _at_once(events: AsyncIterator[Any]) -> Iterator[Any]:
    """Step an async iterator that never waits."""

    async def step() -> Any:
        return await anext(events, None)

    while (event := run_now(step())) is not None:
        yield event


def _numbered(steps: Iterator[Step]) -> Iterator[TResponseStreamEvent]:
    for number, (kind, fields) in enumerate(steps):
        event = _EVENTS[kind]
        words = {"type": kind, "sequence_number": number, **fields}
        try:
            yield event(**words)
        except ValidationError:  # an item of a newer API, which the SDK too passes on unread
            yield event.construct(**words)


def _steps_of(started: Response, finished: Response) -> Iterator[Step]:
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    for index, item in enumerate(finished.output):
        opened, filling = _opened(item, index)
        yield "response.output_item.added", {"output_index": index, "item": opened}
        yield from filling
        yield "response.output_item.done", {"output_index": index, "item": item}
    yield "response.completed", {"response": finished}


def _opened(item: Any, index: int) -> tuple[Any, Iterator[Step]]:
    """Give an item as it opens, and the steps that fill it."""
    place = {"item_id": getattr(item, "id", None) or FAKE_RESPONSES_ID, "output_index": index}
    match getattr(item, "type", None):
        case "message":
            opened = item.model_copy(update={"content": [], "status": "in_progress"})
            return opened, _content_steps(item.content, place)
        case "function_call":
            opened = item.model_copy(update={"arguments": "", "status": "in_progress"})
            return opened, _argument_steps(item, place)
        case "reasoning":
            return item.model_copy(update={"summary": []}), _reasoning_steps(item, place)
        case _:
            return item, iter(())


def _content_steps(parts: list[Any], place: dict[str, Any]) -> Iterator[Step]:
    for index, part in enumerate(parts):
        at = {**place, "content_index": index}
        if part.type == "output_text":
            yield "response.content_part.added", {**at, "part": part.model_copy(update=_UNSAID)}
            for piece in pieces_of_text(part.text):
                yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
            yield "response.output_text.done", {**at, "text": part.text, "logprobs": []}
        else:
            yield "response.content_part.added", {**at, "part": part}
        yield "response.content_part.done", {**at, "part": part}


_UNSAID: dict[str, Any] = {"text": "", "annotations": [], "logprobs": []}


def _argument_steps(item: Any, place: dict[str, Any]) -> Iterator[Step]:
    for piece in pieces_of_text(item.arguments):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {**place, "arguments": item.arguments, "name": item.name}
    yield "response.function_call_arguments.done", done


def _reasoning_steps(item: Any, place: dict[str, Any]) -> Iterator[Step]:
    prefix = "response.reasoning_summary"
    for index, part in enumerate(item.summary):
        at = {**place, "summary_index": index}
        shown = {"type": "summary_text", "text": part.text}
        yield f"{prefix}_part.added", {**at, "part": {**shown, "text": ""}}
        for piece in pieces_of_text(part.text):
            yield f"{prefix}_text.delta", {**at, "delta": piece}
        yield f"{prefix}_text.done", {**at, "text": part.text}
        yield f"{prefix}_part.done", {**at, "part": shown}
    for index, part in enumerate(item.content or ()):
        at = {**place, "content_index": index}
        for piece in pieces_of_text(part.text):
            yield "response.reasoning_text.delta", {**at, "delta": piece}
        yield "response.reasoning_text.done", {**at, "text": part.text}
