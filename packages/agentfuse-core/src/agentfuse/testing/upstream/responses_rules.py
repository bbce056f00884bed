"""What OpenAI's Responses API refuses, in OpenAI's words.

Source: platform.openai.com/docs/api-reference/responses/create and the messages the API itself
answers with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.problems import Problem, reasons
from agentfuse.testing.upstream.said import list_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.testing.upstream.said import Json

_ROLES = ("assistant", "system", "developer", "user")
LEAST_OUTPUT = 16


def response_problems(
    body: Mapping[str, Json], earlier: Sequence[Mapping[str, Json]] | None
) -> Iterator[Problem]:
    """Find everything that is wrong with a request, the first thing first.

    ``earlier`` are the items of the previous response, None where there is none of its id.
    """
    previous = body.get("previous_response_id")
    if previous and earlier is None:
        text = f"Previous response with id '{previous}' not found."
        yield Problem(400, text, param="previous_response_id", code="previous_response_not_found")
    given = body.get("input")
    if not given:
        text = "Missing required parameter: 'input'."
        yield Problem(400, text, param="input", code="missing_required_parameter")
    elif isinstance(given, list):
        items = list_in(given)
        yield from _item_problems(items)
        yield from _tool_turn_problems([*(earlier or ()), *items])
    yield from _parameter_problems(body)


def _item_problems(items: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    for index, item in enumerate(items):
        if item.get("type", "message") == "message" and item.get("role") not in _ROLES:
            supported = ", ".join(map(repr, _ROLES))
            text = f"Invalid value: '{item.get('role')}'. Supported values are: {supported}."
            yield Problem(400, text, param=f"input[{index}].role", code="invalid_value")


def _tool_turn_problems(items: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    waiting: set[str] = set()
    for item in items:
        kind = item.get("type")
        if kind == "function_call":
            waiting.add(item["call_id"])
        elif kind == "function_call_output" and item["call_id"] not in waiting:
            text = f"No tool call found for function call output with call_id {item['call_id']}."
            yield Problem(400, text, param="input")
        elif kind == "function_call_output":
            waiting.discard(item["call_id"])
    for call in sorted(waiting):
        yield Problem(400, f"No tool output found for function call {call}.", param="input")


def _parameter_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    limit = body.get("max_output_tokens")
    if limit is not None and limit < LEAST_OUTPUT:
        text = (
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >="
            f" {LEAST_OUTPUT}, but got {limit} instead."
        )
        yield Problem(400, text, param="max_output_tokens", code="integer_below_min_value")
    for name in ("max_tokens", "max_completion_tokens", "messages"):
        if name in body:
            text = f"Unsupported parameter: '{name}' is not supported with the Responses API."
            yield Problem(400, text, param=name, code="unsupported_parameter")
    if reasons(body["model"]) and body.get("temperature") not in {None, 1}:
        text = "Unsupported parameter: 'temperature' is not supported with this model."
        yield Problem(400, text, param="temperature", code="unsupported_parameter")
