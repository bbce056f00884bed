"""A remembered answer as the chunks of a true stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from agentfuse_langchain.fresh import Mould
from agentfuse_langchain.messages import arguments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.outputs import ChatResult

    from agentfuse.messages import Json

# A word with the space before it, as the vocabularies cut; the last one takes what space is left.
_WORD = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
# Where a block's streamed text is, by its type (langchain-openai, langchain-anthropic).
_TEXT_FIELDS = {"text": "text", "thinking": "thinking", "reasoning": "reasoning"}
# What a whole answer tells of itself and a stream does not: the body's usage and identity.
_WHOLE_ONLY = frozenset({"token_usage", "usage", "id", "model", "parsed"})

# What every live chunk says, so that its blocks are read in the right dialect.
_EVERYWHERE = ("model_provider", "output_version")


def chunks_of_result(
    result: ChatResult, *, blocks: bool = False, usage: bool = True
) -> Iterator[ChatGenerationChunk]:
    """Say an answer word by word, then its tool calls, then how it ended, exactly once each.

    ``blocks`` says that a live stream of this call would carry even plain text as blocks;
    ``usage`` that it would tell its tokens.
    """
    generation = result.generations[0]
    message: Any = generation.message
    content = message.content
    if blocks and isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    empty: Any = "" if isinstance(content, str) else []
    end = _end_of(result)
    dialect = {name: end[name] for name in _EVERYWHERE if name in end}
    saying = _word_chunks(dialect)
    for piece, calls in _spoken(message, content):
        if isinstance(piece, str) and not calls:
            yield saying(piece)
            continue
        said = AIMessageChunk(content=piece, tool_call_chunks=calls, response_metadata=dialect)
        yield _chunk(said)
    yield _chunk(
        AIMessageChunk(
            content=empty,
            additional_kwargs=message.additional_kwargs,
            response_metadata=end,
            usage_metadata=getattr(message, "usage_metadata", None) if usage else None,
            chunk_position="last",
        ),
        generation.generation_info,
    )


def _chunk(message: AIMessageChunk, info: dict[str, Any] | None = None) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message, generation_info=info)


def _word_chunks(dialect: dict[str, Any]) -> Callable[[str], ChatGenerationChunk]:
    """Give what makes chunks of one word each, all copies of one that was checked."""
    silent = AIMessageChunk(content="", tool_call_chunks=[], response_metadata=dialect)
    message, chunk = Mould(silent), Mould(_chunk(silent))

    def saying(text: str) -> ChatGenerationChunk:
        said = message.copy(content=text)
        return chunk.copy(message=said, text=said.text)

    return saying


def _end_of(result: ChatResult) -> dict[str, Any]:
    generation = result.generations[0]
    output = {k: v for k, v in (result.llm_output or {}).items() if k not in _WHOLE_ONLY}
    told = generation.generation_info or {}
    output = {k: v for k, v in output.items() if k not in told}
    return {**output, **generation.message.response_metadata}


def _spoken(message: Any, content: str | list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Give pieces of content and of tool calls, cut where a word ends; blocks keep their place.

    A call that stands among the blocks is told there and as a tool call at once, as providers do.
    """
    calls = _calls_of(message)
    if isinstance(content, str):
        yield from ((word, []) for word in _WORD.findall(content))
        content = []
        empty: Any = ""
    else:
        empty = []
    for place, written in enumerate(content):
        block = {"type": "text", "text": written} if isinstance(written, str) else written
        call = calls.pop(block.get("call_id") or block.get("id") or "", None)
        pieces = _block_pieces(block) if call is None else _call_pieces(block, call)
        for piece, *said in pieces:
            yield [{**piece, "index": place}], [{**each, "index": place} for each in said]
    for number, call in enumerate(calls.values(), start=len(content)):
        for each in _chunks_of_call(call):
            yield empty, [{**each, "index": number}]


def _calls_of(message: Any) -> dict[str, tuple[Any, str]]:
    """Give each call with its arguments as text, by its id where it has one of its own."""
    calls = [(call, arguments_of(call["args"])) for call in getattr(message, "tool_calls", ())]
    calls += [(c, c.get("args") or "") for c in getattr(message, "invalid_tool_calls", ())]
    named: dict[str, tuple[Any, str]] = {}
    for number, (call, args) in enumerate(calls):
        own = call.get("id")
        named[own if own and own not in named else f" {number}"] = (call, args)
    return named


def _chunks_of_call(call: tuple[Any, str]) -> tuple[Any, Any]:
    """Give a call's name and id first, and then its arguments."""
    told, arguments = call
    opening = tool_call_chunk(name=told.get("name"), args="", id=told.get("id"))
    return opening, tool_call_chunk(args=arguments)


def _call_pieces(block: dict[str, Json], call: tuple[Any, str]) -> Iterator[tuple[Any, Any]]:
    """Open a call's block without its arguments, then tell them, in the block's own dialect."""
    opening, arguments = _chunks_of_call(call)
    if block["type"] == "function_call":  # OpenAI's Responses
        text = str(block.get("arguments", arguments["args"]))
        yield {**block, "arguments": ""}, opening
        yield {"type": "function_call", "arguments": text}, {**arguments, "args": text}
    elif block["type"] == "tool_use":  # Anthropic
        yield {**block, "input": {}}, opening
        yield {"type": "input_json_delta", "partial_json": arguments["args"]}, arguments
    else:
        yield block, {**opening, "args": arguments["args"]}


def _block_pieces(block: dict[str, Json]) -> Iterator[tuple[dict[str, Json]]]:
    field = _TEXT_FIELDS.get(str(block.get("type")))
    words = _WORD.findall(str(block.get(field) or "")) if field else []
    if field is None or not words:
        yield (block,)
        return
    for word in words[:-1]:
        yield ({"type": block["type"], field: word},)
    yield ({**block, field: words[-1]},)
