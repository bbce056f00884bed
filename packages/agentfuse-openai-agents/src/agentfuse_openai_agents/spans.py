"""The span of a step that was answered from memory, so that a trace does not miss it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import generation_span, response_span
from agents.models.openai_responses import OpenAIResponsesModel

from agentfuse.providers.chat_requests import message_body
from agentfuse_openai_agents.answers import output_of_reply
from agentfuse_openai_agents.replay import envelope_of

if TYPE_CHECKING:
    from agents import Model

    from agentfuse.messages import Reply
    from agentfuse_openai_agents.requests import Asking


def trace_hit(inner: Model, asking: Asking, reply: Reply) -> None:
    """Leave the span that the model itself would have left, with its data where that is traced."""
    if asking.call.tracing.is_disabled():
        return
    either = hasattr(inner, "_selected_api")  # AnyLLMModel leaves the span of the API it speaks
    if isinstance(inner, OpenAIResponsesModel) or (either and asking.place.flavour == "responses"):
        _leave_response(asking, reply)
    else:
        _leave_generation(asking, reply)


def _leave_response(asking: Asking, reply: Reply) -> None:
    with response_span() as span:
        span.span_data.usage = _no_usage()
        if asking.call.tracing.include_data():
            output, response_id = output_of_reply(reply, asking.place.flavour)
            started = envelope_of(reply.model or asking.place.spoken, response_id)
            changes = {"output": output, "status": "completed"}
            span.span_data.response = started.model_copy(update=changes)
            span.span_data.input = asking.call.input


def _leave_generation(asking: Asking, reply: Reply) -> None:
    config = asking.call.model_settings.to_traceable_dict()
    if asking.place.base_url:
        config["base_url"] = asking.place.base_url
    with generation_span(model=asking.place.spoken, model_config=config) as span:
        span.span_data.usage = _no_usage()
        if asking.call.tracing.include_data():
            messages = asking.request.messages
            span.span_data.input = [message_body(message) for message in messages]
            output, _ = output_of_reply(reply, asking.place.flavour)
            span.span_data.output = [item.model_dump() for item in output]


def _no_usage() -> dict[str, Any]:
    return {"requests": 0, "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
