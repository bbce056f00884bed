"""What Anthropic's Messages API refuses, in Anthropic's words.

Source: docs.anthropic.com/en/api/messages and the messages the API itself answers with.
Consecutive turns of one role are fine there: they are combined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentfuse.testing.upstream.anthropic_caching import caching_problems
from agentfuse.testing.upstream.problems import Problem
from agentfuse.testing.upstream.said import list_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.testing.upstream.said import Json


def message_problems(body: Mapping[str, Json], headers: Mapping[str, str]) -> Iterator[Problem]:
    """Find everything that is wrong with a Messages request, the first thing first."""
    if "anthropic-version" not in headers:
        yield Problem(400, "anthropic-version: header is required")
    limit = body.get("max_tokens")
    if limit is None:
        yield Problem(400, "max_tokens: Field required")
    elif not isinstance(limit, int) or limit < 1:
        yield Problem(400, "max_tokens: must be greater than or equal to 1")
    if not isinstance(body.get("messages"), list):
        yield Problem(400, "messages: Field required")
        return
    messages = list_in(body["messages"])
    yield from _role_problems(messages)
    yield from _content_problems(messages)
    yield from _tool_turn_problems(messages)
    yield from _tool_problems(body)
    yield from caching_problems(body)
    if not 0 <= (body.get("temperature") or 0) <= 1:
        yield Problem(400, "temperature: range: 0..1")


def _role_problems(messages: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    if not messages:
        yield Problem(400, "messages: at least one message is required")
        return
    for message in messages:
        role = message.get("role")
        if role == "system":
            text = (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system`'
                ' parameter, not "system" as an input message role.'
            )
            yield Problem(400, text)
        elif role not in {"user", "assistant"}:
            text = f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".'
            yield Problem(400, text)
    if messages[0].get("role") != "user":
        yield Problem(400, 'messages: first message must use the "user" role')


def _content_problems(messages: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    last = len(messages) - 1
    for index, message in enumerate(messages):
        content = message.get("content")
        if not content and not (index == last and message["role"] == "assistant"):
            text = (
                f"messages.{index}: all messages must have non-empty content except for the"
                " optional final assistant message"
            )
            yield Problem(400, text)
        for block in blocks_of(content):
            if block.get("type") == "text" and not block.get("text"):
                yield Problem(400, "messages: text content blocks must be non-empty")


def _tool_turn_problems(messages: Sequence[Mapping[str, Json]]) -> Iterator[Problem]:
    """Check that each tool_use is answered in the next user turn, and nothing else is."""
    waiting: list[str] = []
    for index, (role, blocks) in enumerate(_turns(messages)):
        results = [b.get("tool_use_id", "") for b in blocks if b.get("type") == "tool_result"]
        stray = [result for result in results if result not in waiting]
        missing = [use for use in waiting if use not in results] if role == "user" else []
        yield from _order_problems(index, blocks, results)
        if stray:
            text = (
                f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result`"
                f" blocks: {', '.join(stray)}. Each `tool_result` block must have a corresponding"
                " `tool_use` block in the previous message."
            )
            yield Problem(400, text)
        if missing:
            yield _unanswered(index - 1, missing)
        waiting = [b["id"] for b in blocks if b.get("type") == "tool_use"]
    if waiting:
        yield _unanswered(len(messages) - 1, waiting)


def _order_problems(
    index: int, blocks: Sequence[Mapping[str, Json]], results: Sequence[str]
) -> Iterator[Problem]:
    """Check that results come first in their turn, each once.

    Source: docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use, "tool result
    blocks must come FIRST in the content array".
    """
    kinds = [block.get("type") for block in blocks[: len(results)]]
    if any(kind != "tool_result" for kind in kinds):
        text = (
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately"
            f" after: {', '.join(results)}. Each `tool_use` block must have a corresponding"
            " `tool_result` block in the next message."
        )
        yield Problem(400, text)
    twice = sorted({result for result in results if results.count(result) > 1})
    for result in twice:
        text = (
            f"messages.{index}.content: each tool_use must have a single result. Found multiple"
            f" `tool_result` blocks with id: {result}"
        )
        yield Problem(400, text)


def _unanswered(index: int, missing: Sequence[str]) -> Problem:
    text = (
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately"
        f" after: {', '.join(missing)}. Each `tool_use` block must have a corresponding"
        " `tool_result` block in the next message."
    )
    return Problem(400, text)


def _turns(messages: Sequence[Mapping[str, Json]]) -> list[tuple[str, list[Mapping[str, Json]]]]:
    """Combine consecutive messages of one role."""
    turns: list[tuple[str, list[Mapping[str, Json]]]] = []
    for message in messages:
        blocks = blocks_of(message.get("content"))
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], blocks))
    return turns


def _tool_problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type", "custom") == "custom" and "input_schema" not in tool:
            yield Problem(400, f"tools.{index}.custom.input_schema: Field required")
    if body.get("tool_choice") and not body.get("tools"):
        yield Problem(400, "tool_choice: may only be specified while providing tools")


def blocks_of(content: Json) -> list[Mapping[str, Json]]:
    """Give a content as blocks; a string is one text block."""
    if isinstance(content, list):
        return list_in(content)
    return [{"type": "text", "text": content}] if content else []
