"""LangChain's answers and chunks in neutral words and back, for one call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatResult

from agentfuse.messages import Choice, Delta, Reply
from agentfuse.providers.wire_json import list_of
from agentfuse_langchain.answers import EXACTLY, mark_of, reply_of_result, result_of_reply
from agentfuse_langchain.bills import SAY_THEIR_END
from agentfuse_langchain.parts import settled
from agentfuse_langchain.replay import chunks_of_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk

    from agentfuse.tickets import Answered
    from agentfuse_langchain.requests import Asking

NOTHING_SAID = Reply(choices=(Choice(),))

# Where the words of a block are that the provider bills as output; a tool call's are counted from
# its `tool_call_chunks`.
_WORDS = ("text", "thinking", "reasoning", "refusal")


class ChatCodec:
    """Reads and writes what one call of a fused model says.

    ``ended`` is set once the provider's stream has come to its end by itself.
    """

    __slots__ = ("_asking", "_held", "_mark", "ended")

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._mark: Mapping[str, Any] = EXACTLY
        self._held: tuple[ChatGenerationChunk, ...] = ()
        self.ended = False

    def answered(self, ticket: Answered) -> None:
        """Note where a remembered answer came from."""
        self._mark = mark_of(ticket)

    def reply_of(self, result: ChatResult) -> Reply:
        """Read a whole answer, before LangChain adds its own to it."""
        return reply_of_result(result)

    def answer_of(self, result: ChatResult) -> ChatResult:
        """Give the live answer as it is."""
        return result

    def result_of(self, reply: Reply) -> ChatResult:
        """Make a fresh ChatResult of a remembered reply."""
        return result_of_reply(reply, self._asking.schema, self._mark)

    def delta_of(self, chunk: ChatGenerationChunk) -> Delta:
        """Read the text, the thinking and the tool arguments that a chunk added."""
        message = chunk.message
        content = message.content
        said = content if isinstance(content, str) else "".join(map(_words_of, content))
        calls = getattr(message, "tool_call_chunks", None)
        if calls:
            said += "".join(f"{call.get('name') or ''}{call.get('args') or ''}" for call in calls)
        thought = message.additional_kwargs.get("reasoning_content")
        return Delta(f"{thought}{said}" if isinstance(thought, str) else said)

    def shown(self, chunk: ChatGenerationChunk) -> Sequence[ChatGenerationChunk]:
        """Give the caller a copy, since LangChain writes into what it gets.

        Usage that only our books asked for stays out, and so do the chunks made for it.
        """
        if not self._asking.forces_usage:
            return (_copy_of(chunk),)
        held, self._held = self._held, ()
        if _says_nothing(chunk):
            # Usage, or with a response_format perhaps another of the SDK's events, all as empty:
            # then the last one before the completion as a whole is the one made for usage.
            self._held = () if _usage_of(chunk) else (_copy_of(chunk),)
            return held
        if _opens_for_usage(chunk):
            return held
        copy, whole = _without_usage(chunk)
        return (copy,) if whole else (*held, copy)

    def joined(self, chunks: Sequence[ChatGenerationChunk]) -> Reply:
        """Read the chunks so far as one answer; without an end of its own it was cut."""
        if not chunks:
            return NOTHING_SAID
        whole = chunks[0] + list(chunks[1:]) if len(chunks) > 1 else chunks[0]
        speaks = whole.message.response_metadata.get("model_provider") in SAY_THEIR_END
        assumed = "stop" if self.ended and not speaks else ""
        message = _whole_message(whole.message)
        generation = ChatGeneration(message=message, generation_info=whole.generation_info)
        return reply_of_result(ChatResult(generations=[generation]), assumed_end=assumed)

    def chunks_of(self, reply: Reply) -> Iterator[ChatGenerationChunk]:
        """Replay a remembered reply as this call's own stream."""
        asking = self._asking
        return chunks_of_result(
            self.result_of(reply), blocks=asking.streams_blocks, usage=not asking.forces_usage
        )


def _words_of(block: Any) -> str:
    if isinstance(block, str):
        return block
    said = "".join(block[word] for word in _WORDS if isinstance(block.get(word), str))
    return said + "".join(map(_words_of, list_of(block.get("summary"))))


def _copy_of(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    return chunk.model_copy(update={"message": chunk.message.model_copy()})


def _usage_of(chunk: ChatGenerationChunk) -> Any:
    return getattr(chunk.message, "usage_metadata", None)


def _without_usage(chunk: ChatGenerationChunk) -> tuple[ChatGenerationChunk, bool]:
    """Copy a chunk without its tokens, and say whether it told the completion as a whole."""
    info = chunk.generation_info
    whole = info is not None and "token_usage" in info
    changes: dict[str, Any] = {"usage_metadata": None} if _usage_of(chunk) else {}
    message = chunk.message.model_copy(update=changes)
    told = {**info, "token_usage": None} if info is not None and whole else info
    return chunk.model_copy(update={"message": message, "generation_info": told}), whole


def _says_nothing(chunk: ChatGenerationChunk) -> bool:
    """Recognise ChatOpenAI's chunk for an event without a choice: all empty but for usage."""
    message: Any = chunk.message
    said = message.content or message.additional_kwargs or message.tool_call_chunks
    return not said and not message.response_metadata and not chunk.generation_info


def _opens_for_usage(chunk: ChatGenerationChunk) -> bool:
    """Recognise the chunk that opens ChatAnthropic's message, with its model's name, for usage."""
    metadata = chunk.message.response_metadata
    opens = "model_name" in metadata and "stop_reason" not in metadata
    return metadata.get("model_provider") == "anthropic" and opens and not chunk.message.content


def _whole_message(chunk: BaseMessage) -> BaseMessage:
    """Make the message a whole answer would have been: blocks in full, tool calls parsed."""
    if isinstance(chunk, AIMessageChunk):
        chunk = chunk.model_copy(update={"chunk_position": "last"})
    message = message_chunk_to_message(chunk)
    if isinstance(message.content, list):
        message.content = _whole_content([_whole_block(block) for block in message.content])
    return message


def _whole_content(blocks: list[Any]) -> Any:
    """Give plain text as a string, as ChatAnthropic does for a whole answer of one text."""
    match blocks:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return blocks


def _whole_block(block: Any) -> Any:
    """Close a streamed block: arguments that came as JSON in pieces are parsed."""
    if not isinstance(block, dict):
        return block
    closed = settled(block)
    pieces = closed.pop("partial_json", None)
    if isinstance(pieces, str) and pieces:
        try:
            closed["input"] = json.loads(pieces)
        except ValueError:
            closed["partial_json"] = pieces
    return closed
