"""What CrewAI's listeners and hooks hear of a call that our side has ended: a hit, or a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import llm_call_context

from agentfuse_crewai.requests import is_streaming

if TYPE_CHECKING:
    from agentfuse.messages import Reply, ToolCall
    from agentfuse_crewai.codec import LLMCodec
    from agentfuse_crewai.requests import Asked

# A hit is billed nothing.
_NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def replay(llm: Any, asked: Asked, reply: Reply, codec: LLMCodec) -> Any:
    """Give a remembered answer with the events of a call: started, its chunks, completed."""
    result = codec.result_of(reply)
    calls = reply.choices[0].tool_calls
    whose = _whose(asked)
    with llm_call_context():
        _start(llm, asked)
        if is_streaming(llm):
            _stream(llm, asked, reply, codec)
        llm._emit_call_completed_event(  # noqa: SLF001 - as CrewAI's own providers do
            response=result.model_dump_json() if hasattr(result, "model_dump_json") else result,
            call_type=LLMCallType.TOOL_CALL if calls else LLMCallType.LLM_CALL,
            messages=asked.listed,
            usage=dict(_NOTHING),
            finish_reason=reply.finish_reason,
            response_id=reply.id or None,
            **whose,
        )
    return result


def deny(llm: Any, asked: Asked, denial: Exception) -> None:
    """Tell of a call that was refused before it was made, as CrewAI tells of a hook's denial."""
    with llm_call_context():
        _start(llm, asked)
        llm._emit_call_denied_event(denial, **_whose(asked))  # noqa: SLF001 - the same


def _whose(asked: Asked) -> dict[str, Any]:
    return {"from_task": asked.get("from_task"), "from_agent": asked.get("from_agent")}


def _start(llm: Any, asked: Asked) -> None:
    llm._emit_call_started_event(  # noqa: SLF001 - the same
        messages=asked.messages,
        tools=asked.get("tools"),
        callbacks=asked.get("callbacks"),
        available_functions=asked.get("available_functions"),
        **_whose(asked),
    )


def _stream(llm: Any, asked: Asked, reply: Reply, codec: LLMCodec) -> None:
    for piece in codec.chunks_of(reply):
        llm._emit_stream_chunk_event(  # noqa: SLF001 - the same
            chunk=piece, response_id=reply.id or None, **_whose(asked)
        )
    for place, call in enumerate(reply.choices[0].tool_calls):
        llm._emit_stream_chunk_event(  # noqa: SLF001 - the same
            chunk=call.arguments,
            tool_call=_call_of(call, place),
            call_type=LLMCallType.TOOL_CALL,
            response_id=reply.id or None,
            **_whose(asked),
        )


def _call_of(call: ToolCall, place: int) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "function": function, "type": "function", "index": place}
