"""What OpenAI's Chat Completions refuses, in OpenAI's words.

Source: the API reference (platform.openai.com/docs/api-reference/chat/create) and the messages
the API itself answers with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.problems import Problem, reasons
from agentfuse.testing.upstream.said import list_in, object_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.testing.upstream.said import Json

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def chat_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    """Find everything that is wrong with a chat request, the first thing first."""
    messages = list_in(body.get("messages"))
    if not isinstance(body.get("messages"), list):
        text = "Missing required parameter: 'messages'."
        yield Problem(400, text, param="messages", code="missing_required_parameter")
        return
    if not messages:
        text = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an"
            " empty array instead."
        )
        yield Problem(400, text, param="messages", code="empty_array")
    yield from _role_problems(messages)
    yield from _tool_turn_problems(messages)
    yield from _parameter_problems(body)
    yield from sampling_problems(body)


def _role_problems(messages: Sequence[Json]) -> Iterator[Problem]:
    for index, message in enumerate(messages):
        role = object_in(message).get("role")
        if role not in _ROLES:
            text = f"Invalid value: '{role}'. Supported values are: {', '.join(map(repr, _ROLES))}."
            yield Problem(400, text, param=f"messages[{index}].role", code="invalid_value")
        elif message.get("content") is None and not _says_otherwise(message):
            text = f"Invalid value for 'content': expected a string, got null in messages[{index}]."
            yield Problem(400, text, param=f"messages.[{index}].content")
        elif message.get("tool_calls") == []:
            text = (
                f"Invalid 'messages[{index}].tool_calls': empty array. Expected an array with"
                " minimum length 1, but got an empty array instead."
            )
            yield Problem(400, text, param=f"messages[{index}].tool_calls", code="empty_array")


def _says_otherwise(message: Mapping[str, Json]) -> bool:
    """Say whether an assistant's message may do without content: it calls, refuses or speaks."""
    words = ("tool_calls", "function_call", "refusal", "audio")
    return message.get("role") == "assistant" and any(message.get(word) for word in words)


def _tool_turn_problems(messages: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    """Check that every tool call is answered at once, and nothing else is."""
    waiting: list[str] = []
    in_turn = False
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if not in_turn or message.get("tool_call_id") not in waiting:
                yield _stray_result(index)
                return
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            break
        calls = list_in(message.get("tool_calls"))
        waiting = [call["id"] for call in calls]
        in_turn = bool(calls)
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            " to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(waiting)
        )
        yield Problem(400, text, param="messages")


def _stray_result(index: int) -> Problem:
    text = (
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message"
        " with 'tool_calls'."
    )
    return Problem(400, text, param=f"messages.[{index}].role")


def _parameter_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    if body.get("stream_options") is not None and not body.get("stream"):
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        yield Problem(400, text, param="stream_options")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            text = (
                f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            )
            yield Problem(400, text, param=name)
    wants_json = object_in(body.get("response_format")).get("type") == "json_object"
    if wants_json and "json" not in str(body["messages"]).lower():
        text = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of"
            " type 'json_object'."
        )
        yield Problem(400, text, param="messages")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        yield Problem(400, text, code="invalid_parameter_combination")


def sampling_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    """Find what a reasoning model does not take (platform.openai.com/docs/guides/reasoning)."""
    model = body["model"]
    if not reasons(model):
        return
    if body.get("max_tokens") is not None:
        text = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use"
            " 'max_completion_tokens' instead."
        )
        yield Problem(400, text, param="max_tokens", code="unsupported_parameter")
    if body.get("temperature") not in {None, 1}:
        yield temperature_problem(model, body["temperature"])


def temperature_problem(model: str, value: Json) -> Problem:
    """Refuse a temperature: the o-series knows no such parameter, gpt-5 only its default."""
    if model.startswith("o"):
        text = "Unsupported parameter: 'temperature' is not supported with this model."
        return Problem(400, text, param="temperature", code="unsupported_parameter")
    text = (
        f"Unsupported value: 'temperature' does not support {value} with this model. Only the"
        " default (1) value is supported."
    )
    return Problem(400, text, param="temperature", code="unsupported_value")
