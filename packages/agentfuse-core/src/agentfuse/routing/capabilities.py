"""What a request needs of a model, and which models have it.

Context windows are those of the price cards (genai-prices). The rest is a table kept by hand after
what the vendors publish of their models (platform.openai.com/docs/models,
docs.anthropic.com/en/docs/about-claude/models, ai.google.dev/gemini-api/docs/models,
docs.mistral.ai/getting-started/models, api-docs.deepseek.com); it was not checked against those
pages as of November 2026. A model that no row names is taken to have none of it:
``Router(capabilities={"my-model": {"tools", "vision"}})`` says what yours has, over any row.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from agentfuse.messages import Media

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from agentfuse.messages import Request

NEEDS = ("tools", "vision", "json", "reasoning")

# The first row that matches a bare name holds: exceptions stand before their family.
_ROWS: tuple[tuple[str, str], ...] = (
    (r"o1-(mini|preview)", "reasoning"),
    (r"o3-mini", "tools json reasoning"),
    (r"o[134]", "tools vision json reasoning"),
    (r"gpt-5.*-chat", "tools vision json"),
    (r"gpt-5", "tools vision json reasoning"),
    (r"gpt-4o|gpt-4\.1|gpt-4\.5", "tools vision json"),
    (r"gpt-4-turbo", "tools vision json"),
    (r"gpt-4-\d{4}-preview", "tools json"),
    (r"gpt-4", "tools"),
    (r"gpt-3\.5", "tools json"),
    (r"gpt-oss", "tools json reasoning"),
    (r"claude-(3-7|(opus|sonnet|haiku)-[4-9])", "tools vision json reasoning"),
    (r"claude-3", "tools vision json"),
    (r"claude", ""),
    (r"gemini-(2\.5|[3-9])", "tools vision json reasoning"),
    (r"gemini", "tools vision json"),
    (r"pixtral|mistral-(small|medium)", "tools vision json"),
    (r"mistral-large|ministral|codestral|open-mixtral", "tools json"),
    (r"deepseek-reasoner", "tools json reasoning"),
    (r"deepseek", "tools json"),
    (r"grok-4", "tools vision json reasoning"),
    (r"grok", "tools json"),
    (r"(meta-)?llama-?(4|3\.2-(11|90)b)", "tools vision json"),
    (r"(meta-)?llama-?3", "tools json"),
    (r"qwen", "tools json"),
)

# Parameters that only a model which thinks aloud accepts.
_THINKING = frozenset({"reasoning_effort", "reasoning", "thinking"})


def needs_of(request: Request) -> tuple[str, ...]:
    """Name what a request asks for beyond text."""
    return tuple(_needed(request))


def lacking(
    model: str, needs: Collection[str], own: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Name what a model is not known to have; ``own`` are the user's words by model's name."""
    if not needs:
        return ()
    has = own[model] if model in own else capabilities_of(model)
    return tuple(need for need in needs if need not in has)


@lru_cache(maxsize=1024)
def capabilities_of(model: str) -> frozenset[str]:
    """Give what a model is known to have, by its bare name."""
    name = model.lower().rpartition("/")[2]
    for pattern, words in _ROWS:
        if re.match(pattern, name):
            return frozenset(words.split())
    return frozenset()


def _needed(request: Request) -> Iterator[str]:
    if request.tools:
        yield "tools"
    parts = (part for message in request.messages for part in message.parts)
    if any(isinstance(part, Media) and part.kind in {"image", "document"} for part in parts):
        yield "vision"
    if request.params.get("response_format") or request.params.get("text"):
        yield "json"
    if any(request.params.get(word) for word in _THINKING):
        yield "reasoning"
