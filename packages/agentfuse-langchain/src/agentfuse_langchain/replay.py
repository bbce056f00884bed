"""A remembered answer as the chunks of a true stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from agentfuse.providers.wire_json import object_of
from agentfuse_langchain.messages import arguments_of

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    for piece in _pieces_of(content):
        yield _chunk(AIMessageChunk(content=piece, response_metadata=dialect))
    for calls in _call_pieces(message, content):
        said = AIMessageChunk(content=empty, tool_call_chunks=calls, response_metadata=dialect)
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


def _end_of(result: ChatResult) -> dict[str, Any]:
    generation = result.generations[0]
    output = {k: v for k, v in (result.llm_output or {}).items() if k not in _WHOLE_ONLY}
    told = generation.generation_info or {}
    output = {k: v for k, v in output.items() if k not in told}
    return {**output, **generation.message.response_metadata}


def _pieces_of(content: str | list[Any]) -> Iterator[Any]:
    """Cut content where a word ends; blocks keep their place as ``index``."""
    if isinstance(content, str):
        yield from _WORD.findall(content)
        return
    for place, written in enumerate(content):
        block = {"type": "text", "text": written} if isinstance(written, str) else written
        for piece in _block_pieces(block):
            yield [{**piece, "index": place}]


def _block_pieces(block: dict[str, Json]) -> Iterator[dict[str, Json]]:
    field = _TEXT_FIELDS.get(str(block.get("type")))
    words = _WORD.findall(str(block.get(field) or "")) if field else []
    if field is None or not words:
        yield block
        return
    for word in words[:-1]:
        yield {"type": block["type"], field: word}
    yield {**block, field: words[-1]}


def _call_pieces(message: Any, content: str | list[Any]) -> Iterator[list[Any]]:
    """Give each tool call's name and id first and then its arguments, as providers do."""
    blocks = enumerate(map(object_of, content))
    places = {block.get("call_id") or block.get("id"): place for place, block in blocks}
    calls = [(call, arguments_of(call["args"])) for call in getattr(message, "tool_calls", ())]
    calls += [(c, c.get("args") or "") for c in getattr(message, "invalid_tool_calls", ())]
    for number, (call, arguments) in enumerate(calls):
        after = number if isinstance(content, str) else len(content) + number
        index = places.get(call["id"], after) if call.get("id") else after
        yield [tool_call_chunk(name=call.get("name"), args="", id=call.get("id"), index=index)]
        yield [tool_call_chunk(args=arguments, index=index)]
