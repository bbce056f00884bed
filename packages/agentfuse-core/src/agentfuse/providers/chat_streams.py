"""Streams in OpenAI's ChatCompletionChunk shape: joined into one body, or cut from one.

Source of the order of chunks: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from agentfuse.providers.chat_replies import typed
from agentfuse.providers.wire_json import list_of, object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from openai.types.chat import ChatCompletionChunk

    from agentfuse.messages import Json

_SAID_ONCE = frozenset({"id", "type", "role", "name", "index"})
_OF_CHUNKS_ONLY = frozenset({"choices", "object", "obfuscation"})
_IN_PIECES = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_PIECE = re.compile(r"\s*\S+(?:\s+$)?|\s+")
_WORDS_A_CHUNK = 4


def body_of_chunks(chunks: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """Join chunk bodies into the body that the same answer would have had unstreamed.

    A choice that never ended has ``finish_reason`` null; a usage that never came is left out.
    """
    body: dict[str, Json] = {}
    choices: dict[int, dict[str, Json]] = {}
    for chunk in chunks:
        body |= {
            word: value
            for word, value in chunk.items()
            if value is not None and word not in _OF_CHUNKS_ONLY
        }
        for choice in chunk.get("choices") or ():
            _take(choices.setdefault(choice.get("index") or 0, _empty()), choice)
    body["object"] = "chat.completion"
    body["choices"] = [_whole(index, choices[index]) for index in sorted(choices)]
    return body


def _empty() -> dict[str, Json]:
    return {"message": {"role": "assistant", "content": None}, "finish_reason": None}


def _take(whole: dict[str, Json], choice: Mapping[str, Json]) -> None:
    """Add what one chunk says about a choice; Writer repeats the delta as a ``message``."""
    for word, value in choice.items():
        if word == "delta":
            _add_delta(whole["message"], value or {})
        elif word == "logprobs" and value:
            _merge(whole.setdefault("logprobs", {}), value)
        elif value is not None and word not in {"index", "logprobs", "message"}:
            whole[word] = value


def _add_delta(message: dict[str, Json], delta: Mapping[str, Json]) -> None:
    calls = delta.get("tool_calls")
    if "tool_calls" in delta:
        delta = {word: value for word, value in delta.items() if word != "tool_calls"}
    _merge(message, delta)
    for call in calls or ():
        _add_call(message.setdefault("tool_calls", {}), call)


def _add_call(calls: dict[int, dict[str, Json]], call: Mapping[str, Json]) -> None:
    """Add a piece of a tool call; without an index a new id starts a new call."""
    place = call.get("index")
    if place is None:
        place = len(calls) if call.get("id") or not calls else max(calls)
    _merge(calls.setdefault(place, {}), {k: v for k, v in call.items() if k != "index"})


def _merge(whole: dict[str, Json], piece: Mapping[str, Json]) -> None:
    """Join text and lists, merge dicts, and let the last of anything else stand."""
    for word, value in piece.items():
        held = whole.get(word)
        if value is None:
            whole.setdefault(word, None)
        elif isinstance(value, dict):
            whole[word] = dict(object_of(held))
            _merge(whole[word], object_of(value))
        elif isinstance(value, list):
            whole[word] = [*list_of(held), *list_of(value)]
        elif isinstance(value, str) and isinstance(held, str) and word not in _SAID_ONCE:
            whole[word] = held + value
        elif value != "" or not held:
            whole[word] = value


def _whole(index: int, choice: dict[str, Json]) -> dict[str, Json]:
    message = choice["message"]
    calls: dict[int, dict[str, Json]] = message.pop("tool_calls", {})
    if calls:
        message["tool_calls"] = [_whole_call(calls[place]) for place in sorted(calls)]
        message["content"] = message["content"] or None  # the role chunk's "" says nothing
    return {"index": index, **choice, "logprobs": choice.get("logprobs")}


def _whole_call(call: dict[str, Json]) -> dict[str, Json]:
    """Finish a tool call; Writer and others say null for arguments that are empty."""
    function = object_of(call.get("function"))
    if function:
        call["function"] = {**function, "arguments": function.get("arguments") or ""}
    return {"type": "function", **call}


def chunks_of_body(
    body: Mapping[str, Json], *, include_usage: bool
) -> Iterator[ChatCompletionChunk]:
    """Cut a ChatCompletion's body into the chunks of a stream, in the vendor's order."""
    from openai.types.chat import ChatCompletionChunk

    for chunk in chunk_bodies_of(body, include_usage=include_usage):
        yield typed(ChatCompletionChunk, json.dumps(chunk))


def chunk_bodies_of(body: Mapping[str, Json], *, include_usage: bool) -> Iterator[dict[str, Json]]:
    """Cut a ChatCompletion's body into the bodies of chunks."""
    top = {k: v for k, v in body.items() if k not in {"choices", "usage", "object"}}
    top["object"] = "chat.completion.chunk"
    if include_usage:
        top["usage"] = None
    for choice in body.get("choices") or ():
        for said in _pieces_of(choice):
            yield {**top, "choices": [{"index": choice.get("index") or 0, **said}]}
    if include_usage and body.get("usage") is not None:
        yield {**top, "choices": [], "usage": body["usage"]}


def _pieces_of(choice: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Say one choice in pieces: role, what was said, how it ended."""
    logprobs = choice.get("logprobs")
    for number, delta in enumerate(_deltas_of(choice["message"])):
        yield {
            "delta": delta,
            "logprobs": logprobs if number == 1 else None,
            "finish_reason": None,
        }
    if choice.get("finish_reason"):
        yield {"delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}


def _deltas_of(message: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    content = message.get("content")
    yield {"role": "assistant", "content": None if content is None else ""}
    rest = dict(message)
    calls = rest.pop("tool_calls", None)
    rest.pop("role", None)
    for word in ("reasoning_content", "reasoning", "content", "refusal"):
        said = rest.get(word)
        if isinstance(said, str):
            rest.pop(word)
            yield from ({word: piece} for piece in pieces_of_text(said))
    kept = {word: value for word, value in rest.items() if value not in (None, [])}
    if kept:
        yield kept
    for index, call in enumerate(calls or ()):
        yield from ({"tool_calls": [piece]} for piece in _pieces_of_call(index, call))


def _pieces_of_call(index: int, call: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Name the call first, then say its arguments."""
    function = object_of(call.get("function"))
    if not function:
        yield {"index": index, **call}
        return
    yield {"index": index, **call, "function": {**function, "arguments": ""}}
    for piece in pieces_of_text(function.get("arguments") or ""):
        yield {"index": index, "function": {"arguments": piece}}


def pieces_of_text(text: str) -> Iterator[str]:
    """Cut a text into runs of a few words; joined they are the text."""
    words = _PIECE.findall(text)
    for start in range(0, len(words), _WORDS_A_CHUNK):
        yield "".join(words[start : start + _WORDS_A_CHUNK])


def said_in_chunk(chunk: Mapping[str, Json]) -> str:
    """Give the text of a chunk's body that is billed as output, over all choices."""
    said: list[Json] = []
    for choice in list_of(chunk.get("choices")):
        delta = object_of(object_of(choice).get("delta"))
        said += [value for word, value in delta.items() if word in _IN_PIECES]
        calls = list_of(delta.get("tool_calls"))
        if "function_call" in delta:
            calls = [*calls, delta["function_call"]]
        for call in map(object_of, calls):
            called = object_of(call.get("function") or call.get("custom") or call)
            said += [called.get(word) for word in ("name", "arguments", "input")]
    return "".join([piece for piece in said if isinstance(piece, str)])


def said_by(delta: Any) -> str:
    """Give the text of a delta that is billed as output: words, reasoning, names and arguments."""
    fields = _fields_of(delta)
    said = [fields.get(word) for word in _IN_PIECES]
    calls = [*(fields.get("tool_calls") or ()), fields.get("function_call")]
    for call in filter(None, calls):
        function = getattr(call, "function", None) or call
        said += [getattr(function, "name", None), getattr(function, "arguments", None)]
        custom = object_of(getattr(call, "custom", None))
        said += [custom.get("name"), custom.get("input")]
    return "".join(piece for piece in said if isinstance(piece, str))


def _fields_of(delta: Any) -> Mapping[str, Any]:
    """Give what a delta holds; asking pydantic for a field that is not there costs 3 us each."""
    extra = getattr(delta, "model_extra", None)
    held: dict[str, Any] = delta.__dict__
    return {**held, **extra} if extra else held
