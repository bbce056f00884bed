"""Whole answers: LangChain's ChatResult as JSON text and as a neutral reply, and back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, ChatMessage
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from agentfuse.messages import Choice, Reply
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse_langchain.bills import (
    finish_reason_of,
    model_of,
    report_of,
    usage_metadata_of,
)
from agentfuse_langchain.fresh import copies_of
from agentfuse_langchain.json_values import unparsed_of
from agentfuse_langchain.messages import calls_of, field_of
from agentfuse_langchain.parts import content_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.messages import BaseMessage

    from agentfuse.messages import Json, ToolCall
    from agentfuse.tickets import Answered

SHAPE = "langchain"
MARK = "agentfuse"
"""The ``response_metadata`` key that tells an answer from memory."""

# How many answers are held as they were read, and how long the JSON of the longest may be.
MOST, LONGEST = 256, 32_768

_FIELDS = (
    *("additional_kwargs", "response_metadata", "name"),
    *("tool_calls", "invalid_tool_calls", "usage_metadata"),
)
_CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call"})


def reply_of_result(result: ChatResult, *, assumed_end: str = "stop") -> Reply:
    """Read a whole answer; ``assumed_end`` is why it ended where it does not say so itself."""
    generations = result.generations
    told = [_metadata_of(result, generation) for generation in generations]
    metadata = told[0] if told else {}
    usage = field_of(generations[0].message, "usage_metadata") if generations else None
    return Reply(
        choices=tuple(
            _choice_of(generation.message, each, assumed_end)
            for generation, each in zip(generations, told, strict=True)
        ),
        report=report_of(usage, metadata),
        model=model_of(metadata),
        id=_id_of(metadata),
        shape=SHAPE,
        raw=_written(_fields_of(result)),
    )


def _written(fields: dict[str, Json]) -> str:
    """Write an answer out, which pydantic does in a third of the time that ``json`` takes."""
    try:
        return to_json(fields, fallback=str).decode()
    except PydanticSerializationError:  # half a character (a lone surrogate), cut off by a provider
        return json.dumps(fields, default=str)


def _id_of(metadata: Mapping[str, Any]) -> str:
    found = metadata.get("id")
    return found if isinstance(found, str) else ""


def _metadata_of(result: ChatResult, generation: ChatGeneration) -> dict[str, Any]:
    """Gather all that is said beside an answer, as LangChain itself merges it after the hook."""
    message = generation.message.response_metadata
    return {**(result.llm_output or {}), **(generation.generation_info or {}), **message}


def _choice_of(message: BaseMessage, metadata: Mapping[str, Any], assumed_end: str) -> Choice:
    calls = calls_of(message)
    content: Any = message.content
    refused = bool(message.additional_kwargs.get("refusal"))
    if isinstance(content, list):  # the calls among the blocks are told apart
        refused = refused or _refuses(content)
        content = [block for block in list_of(content) if not (calls and _is_call(block))]
    end = finish_reason_of(metadata, calls=bool(calls), refused=refused) or assumed_end
    return Choice(parts=parts_of(content or []), tool_calls=calls, finish_reason=end)


def _is_call(block: Any) -> bool:
    return object_of(block).get("type") in _CALL_BLOCKS


def _refuses(content: Any) -> bool:
    return any(object_of(block).get("type") == "refusal" for block in list_of(content))


def _fields_of(result: ChatResult) -> dict[str, Json]:
    return {
        "generations": [
            {
                "message": _message_fields(generation.message),
                "generation_info": unparsed_of(generation.generation_info),
            }
            for generation in result.generations
        ],
        "llm_output": unparsed_of(result.llm_output),
    }


def _message_fields(message: BaseMessage) -> dict[str, Json]:
    """Give a message's fields without its id, which LangChain gives anew, and without our mark.

    Parsed objects are made again for whoever asks for their class.
    """
    fields: dict[str, Json] = {"content": unparsed_of(message.content)}
    fields |= {name: unparsed_of(each) for name in _FIELDS if (each := field_of(message, name))}
    if MARK in message.response_metadata:
        fields["response_metadata"].pop(MARK, None)
        fields.get("usage_metadata", {}).pop("total_cost", None)
    if isinstance(message, ChatMessage):
        fields["role"] = message.role
    return {name: value for name, value in fields.items() if value or name == "content"}


EXACTLY: Mapping[str, Any] = {"cached": True, "source": "exact"}


def mark_of(ticket: Answered) -> Mapping[str, Any]:
    """Say where a remembered answer came from; of one by meaning, why it was taken for one."""
    if ticket.hit is not None:
        return ticket.hit.told()
    return EXACTLY if ticket.source == "exact" else {**EXACTLY, "source": ticket.source}


def result_of_reply(
    reply: Reply, schema: Any = None, mark: Mapping[str, Any] = EXACTLY
) -> ChatResult:
    """Make a ChatResult of a remembered reply, LangChain's own or another framework's.

    It is marked as LangChain marks its own hits (``total_cost`` 0) and with ``MARK``, which holds
    ``mark``. Where ``schema`` is a pydantic class, ``additional_kwargs["parsed"]`` is made
    anew.
    """
    short = reply.shape == SHAPE and len(reply.raw) <= LONGEST
    result = _copies_of(reply.raw)() if short else _marked_result_of(reply)
    for generation in result.generations:
        if mark is not EXACTLY:
            _mark(generation.message, mark)
        if _is_parsed_into(schema, generation.message):
            text = str(generation.message.text)
            generation.message.additional_kwargs["parsed"] = schema.model_validate_json(text)
    return result


@lru_cache(maxsize=MOST)
def _copies_of(raw: str) -> Callable[[], ChatResult]:
    """Read an answer that is asked for over and over; who gets it gets a copy."""
    return copies_of(_marked_result_of(Reply(choices=(), raw=raw, shape=SHAPE)))


def _marked_result_of(reply: Reply) -> ChatResult:
    if reply.shape == SHAPE:
        result = _result_of_fields(json.loads(reply.raw))
    else:
        result = _result_of_choices(reply)
    for generation in result.generations:
        _mark(generation.message, EXACTLY)
    return result


def _mark(message: BaseMessage, mark: Mapping[str, Any]) -> None:
    message.response_metadata = {**message.response_metadata, MARK: dict(mark)}
    if isinstance(message, AIMessage) and message.usage_metadata:
        # As langchain-core's own cache writes it (BaseChatModel._convert_cached_generations).
        free: Any = {**message.usage_metadata, "total_cost": 0}
        message.usage_metadata = free


def _is_parsed_into(schema: Any, message: BaseMessage) -> bool:
    asked = isinstance(schema, type) and issubclass(schema, BaseModel)
    return asked and isinstance(message, AIMessage) and not message.tool_calls


def _result_of_fields(fields: dict[str, Any]) -> ChatResult:
    return ChatResult(
        generations=[
            ChatGeneration(
                message=_message_of_fields(each["message"]),
                generation_info=each["generation_info"],
            )
            for each in fields["generations"]
        ],
        llm_output=fields["llm_output"],
    )


def _message_of_fields(fields: dict[str, Any]) -> BaseMessage:
    content = fields.pop("content", "")
    kind = ChatMessage if "role" in fields else AIMessage
    return kind(content=content, **fields)


def _result_of_choices(reply: Reply) -> ChatResult:
    """Build an answer that another framework remembered."""
    generations = [
        ChatGeneration(
            message=_message_of_choice(choice, reply),
            generation_info={"finish_reason": choice.finish_reason},
        )
        for choice in reply.choices
    ]
    output = {"model_name": reply.model, **({"id": reply.id} if reply.id else {})}
    return ChatResult(generations=generations, llm_output=output)


def _message_of_choice(choice: Choice, reply: Reply) -> AIMessage:
    calls = [_call_of(call) for call in choice.tool_calls]
    return AIMessage(
        content=content_of(choice.parts),
        tool_calls=[call for call in calls if call["type"] == "tool_call"],
        invalid_tool_calls=[call for call in calls if call["type"] != "tool_call"],
        usage_metadata=usage_metadata_of(reply.report) if reply.report else None,
    )


def _call_of(call: ToolCall) -> Any:
    """Write a tool call; one whose arguments are no JSON object is LangChain's invalid kind."""
    raw = {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
    try:
        args: Json = json.loads(call.arguments or "{}")
    except ValueError as error:
        return make_invalid_tool_call(raw, str(error))
    if not isinstance(args, dict):
        return make_invalid_tool_call(raw, "the arguments are no JSON object")
    return {"type": "tool_call", "id": call.id, "name": call.name, "args": object_of(args)}
