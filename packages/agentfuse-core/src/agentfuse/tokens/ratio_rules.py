"""Families without published overheads: a ratio for the text, and measured frames around it.

The frames (hidden prompts, what a turn adds, what tools bring along) are what recorded requests
were billed beyond their text. Output schemas constrain the decoder and are mostly not billed: they
only widen the upper bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.messages import Reasoning
from agentfuse.tokens.contents import contents_of, json_tokens, text_tokens
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.json_shapes import object_of
from agentfuse.tokens.mistral import NEWEST_SMALL, SETTINGS

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.tokens.contents import Contents
    from agentfuse.tokens.estimates import TokenEstimate

_CUSHION = 100
_TOOL_CUSHION = 700
_EMPTY_THOUGHT = 4
_THOUGHT_TAGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Tokens around the text: in every request, a turn, with any tool, and for each tool."""

    request: int = 0
    turn: int = 0
    tools: int = 0
    tool: int = 0


_UNKNOWN = Frame(request=2, turn=1, tools=20, tool=10)

# (pattern of "provider/model", frame), first match wins.
_FRAMES = tuple(
    (re.compile(pattern), frame)
    for pattern, frame in (
        (r"gpt-oss", Frame(request=63, turn=4)),
        (NEWEST_SMALL, Frame(request=1 + SETTINGS, turn=1, tool=12)),
        (
            r"mistral|mixtral|ministral|codestral|devstral|pixtral",
            Frame(request=1, turn=1, tool=12),
        ),
        (r"nova-2", Frame(tools=815, tool=37)),
        (r"nova-", Frame(tools=353, tool=10)),
        (r"bedrock/.*llama-?4", Frame(request=1, turn=3, tools=105)),
        (r"llama-?4", Frame(request=1, turn=3, tools=640, tool=10)),
        (r"llama-?3[.-][13]", Frame(request=28, turn=4, tools=100)),
        (r"llama", Frame(request=4, turn=4, tools=100)),
        (r"deepseek-(v4-)?flash", Frame(request=80, turn=1, tools=210, tool=5)),
        (r"deepseek", Frame(request=1, turn=1, tools=210, tool=5)),
        (r"qwen", Frame(request=3, turn=5, tools=215, tool=10)),
        # Its template: https://huggingface.co/zai-org/GLM-4.7 (chat_template.jinja).
        (r"glm-", Frame(request=4, turn=1, tools=20, tool=10)),
        (r"command-(a|r7b)", Frame(request=508, turn=3, tools=850)),
        (r"command", Frame(request=58, turn=3, tools=780)),
        (r"minimax", Frame(request=38, turn=2, tools=150)),
    )
)


def ratio_estimate(request: Request) -> TokenEstimate:
    """Count a request by its family's ratio and what its frames were measured to add."""
    contents = contents_of(request)
    family, frame = contents.family, _frame_of(request, contents)
    turns = len(request.messages) + contents.call_count
    tokens = frame.request + contents.text + contents.calls + contents.media + frame.turn * turns
    if request.tools:
        tokens += frame.tools + frame.tool * len(request.tools)
        tokens += json_tokens(family, list(request.tools))
    tokens += _kept_thoughts(request, contents) + _no_thought(request, contents)
    schema = request.params.get("response_format") or request.params.get("response_schema")
    spare = contents.spare + (json_tokens(family, schema) if schema else 0)
    factor = 2000 if contents.opaque or request.tools else family.high
    cushion = spare + (_TOOL_CUSHION if request.tools else max(_CUSHION, family.cushion))
    return estimate_of(
        tokens, factor=factor, cushion=cushion, method="heuristic", doubt=contents.doubt
    )


def _kept_thoughts(request: Request, contents: Contents) -> int:
    """Count past thoughts where the model sees them: Magistral's always, GLM's if asked for.

    Sources: mistral_common/tokens/tokenizers/instruct.py (``encode_think``),
    https://docs.z.ai/guides/capabilities/thinking-mode (``clear_thinking``).
    """
    asked = object_of(request.params.get("thinking")).get("clear_thinking") is False
    if not asked and contents.family.name != "mistral":
        return 0
    parts = [part for message in request.messages for part in message.parts]
    return sum(
        text_tokens(contents.family, part.text) + _THOUGHT_TAGS
        for part in parts
        if isinstance(part, Reasoning)
    )


def _no_thought(request: Request, contents: Contents) -> int:
    """Count the empty thought that Qwen's template writes where thinking is switched off.

    Source: the chat template of https://huggingface.co/Qwen/Qwen3-32B (``enable_thinking``).
    """
    off = contents.family.name == "qwen" and request.params.get("reasoning_effort") == "none"
    return _EMPTY_THOUGHT if off else 0


def _frame_of(request: Request, contents: Contents) -> Frame:
    name = f"{request.provider}/{contents.model}"
    return next((frame for pattern, frame in _FRAMES if pattern.search(name)), _UNKNOWN)
