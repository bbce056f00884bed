"""Answers in OpenAI's ChatCompletion shape: read into a Reply, and made of any Reply.

Works on the JSON body; ``completion_of`` alone makes the SDK's object. Source of the shape:
https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Choice, Media, Other, Reasoning, Reply, Text
from agentfuse.providers.chat_requests import call_body, call_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openai.types.chat import ChatCompletion

    from agentfuse.messages import Json, Part, ToolCall
    from agentfuse.semantics import SemanticHit
    from agentfuse.usage import UsageReport

SHAPE = "openai.chat"
_THINKING = frozenset({"thinking", "redacted_thinking"})
_ORDER = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
_REASONING_WORDS = ("reasoning_content", "reasoning")  # DeepSeek, vLLM, xAI; OpenRouter, Groq
_OPENAI_FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter"})


def reply_of_body(body: Mapping[str, Json], *, provider: str, model: str, raw: str = "") -> Reply:
    """Read a ChatCompletion's body; ``model`` is what was asked, should the body not say."""
    from agentfuse.usages import report_of

    return Reply(
        choices=tuple(_choice_of(choice) for choice in body.get("choices") or ()),
        report=report_of(body, provider=provider, model=model),
        model=body.get("model") or model,
        id=body.get("id") or "",
        shape=SHAPE,
        raw=raw or json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


def _choice_of(choice: Mapping[str, Json]) -> Choice:
    message: Mapping[str, Json] = choice.get("message") or {}
    calls = [_call_of_answer(call) for call in message.get("tool_calls") or ()]
    if message.get("function_call"):
        calls.append(call_of({"type": "function_call", "function": message["function_call"]}))
    finish = choice.get("finish_reason") or ""
    if message.get("refusal"):
        finish = "refusal"
    elif finish == "function_call":  # the word before tools, still sent by old models
        finish = "tool_calls"
    return Choice(
        parts=tuple(_parts_of_answer(message)), tool_calls=tuple(calls), finish_reason=finish
    )


def _call_of_answer(call: Mapping[str, Json]) -> ToolCall:
    """Read a tool call; its index, which DeepSeek and Mistral send unstreamed, is its place."""
    return call_of({word: value for word, value in call.items() if word != "index"})


def _parts_of_answer(message: Mapping[str, Json]) -> Iterator[Part]:
    blocks = message.get("thinking_blocks")
    if blocks:
        yield from (Reasoning(block.get("thinking", ""), block) for block in blocks)
    else:
        for word in _REASONING_WORDS:
            if isinstance(message.get(word), str) and message[word]:
                yield Reasoning(message[word], {word: message[word]})
                break
    yield from (part for part in parts_of(message.get("content")) if part != Text(""))
    if message.get("refusal"):
        yield Other({"type": "refusal", "refusal": message["refusal"]})
    if message.get("audio"):
        sound = message["audio"]
        yield Media(kind="audio", data=sound.get("data") or "", block={"audio": sound})


def completion_of(reply: Reply, hit: SemanticHit | None = None) -> ChatCompletion:
    """Make a fresh ChatCompletion of any reply; one that was a ChatCompletion equals the first.

    One that answers by meaning says so: its field ``agentfuse`` tells of the ``hit``.
    """
    from openai.types.chat import ChatCompletion

    plain = reply.shape == SHAPE and hit is None
    raw = reply.raw if plain else json.dumps(completion_body(reply, hit))
    completion: ChatCompletion = typed(ChatCompletion, raw)
    return completion


def typed(kind: Any, raw: str) -> Any:
    """Read JSON as an SDK type, as the SDK does: what does not fit its schema is kept as it is.

    Compatible providers send words the SDK does not list (``service_tier: "on_demand"``), so where
    validation (fast, but strict) refuses, the SDK's own lenient construction takes over.
    """
    try:
        return kind.model_validate_json(raw, strict=True)
    except ValueError:
        return kind.construct(**json.loads(raw))


def completion_body(reply: Reply, hit: SemanticHit | None = None) -> dict[str, Json]:
    """Give any reply as a ChatCompletion's body; with the ``hit`` of one that is semantic."""
    told = {} if hit is None else {"agentfuse": hit.told()}
    if reply.shape == SHAPE:
        body: dict[str, Json] = json.loads(reply.raw)
        return body | told
    kept = _kept_blocks(reply)
    body = {
        "id": reply.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.model,
        "choices": [
            {
                "index": index,
                "message": _message_of(choice, kept),
                "logprobs": None,
                "finish_reason": finish_word(choice.finish_reason),
            }
            for index, choice in enumerate(reply.choices)
        ],
    }
    if reply.report is not None:
        body["usage"] = usage_body(reply.report)
    return body | told


def finish_word(finish: str) -> str | None:
    """Say in OpenAI's words why an answer ended; None for one that was cut.

    A refusal of another provider is OpenAI's ``content_filter``; words it lacks become ``stop``.
    """
    if not finish:
        return None
    if finish in _OPENAI_FINISHES:
        return finish
    return "content_filter" if finish == "refusal" else "stop"


def _kept_blocks(reply: Reply) -> list[Json]:
    if reply.shape != "anthropic.messages":
        return []
    return kept_blocks(json.loads(reply.raw).get("content") or [])


def kept_blocks(content: list[Json]) -> list[Json]:
    """Give the blocks of a Claude answer where thinking, text and calls do not say it all.

    They do if the kinds come in that order, with one text: a next turn is rebuilt from them.
    With citations, server tools or thinking between texts it cannot be.
    """
    order = [_ORDER.get(block.get("type"), -1) for block in content]
    texts = [block for block in content if block.get("type") == "text"]
    plain = len(texts) <= 1 and all(not block.get("citations") for block in texts)
    sayable = plain and -1 not in order and order == sorted(order)
    return [] if sayable else content


def _message_of(choice: Choice, kept: list[Json]) -> dict[str, Json]:
    refusals = [
        str(part.block.get("refusal") or "")
        for part in choice.parts
        if isinstance(part, Other) and part.block.get("type") == "refusal"
    ]
    message: dict[str, Json] = {
        "role": "assistant",
        "content": choice.text if _speaks(choice) else None,
        "refusal": "".join(refusals) or None,
    }
    message |= reasoning_fields(choice.parts)
    if choice.tool_calls:
        message["tool_calls"] = [call_body(call) for call in choice.tool_calls]
    if kept:
        message["content_blocks"] = kept
    return message


def _speaks(choice: Choice) -> bool:
    return any(isinstance(part, Text) for part in choice.parts)


def reasoning_fields(parts: tuple[Part, ...]) -> dict[str, Json]:
    """Give a message's fields for its thinking: readable, and whole for Claude's next turn."""
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    fields: dict[str, Json] = {}
    if thoughts:
        fields["reasoning_content"] = "".join(part.text for part in thoughts)
    blocks = [dict(part.block) for part in thoughts if part.block.get("type") in _THINKING]
    if blocks:
        fields["thinking_blocks"] = blocks
    return fields


def usage_body(report: UsageReport) -> dict[str, Json]:
    """Give a report as a ChatCompletion's usage; details that are zero are left out."""
    usage = report.usage
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    prompt = {
        "cached_tokens": usage.cache_read_tokens,
        "cache_write_tokens": written,
        "audio_tokens": usage.input_audio_tokens,
    }
    completion = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.output_audio_tokens,
    }
    body: dict[str, Json] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    for name, counts in (
        ("prompt_tokens_details", prompt),
        ("completion_tokens_details", completion),
    ):
        if any(counts.values()):
            body[name] = {kind: count for kind, count in counts.items() if count}
    return body
