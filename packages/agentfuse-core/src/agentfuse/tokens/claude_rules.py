"""Claude's overheads around the text of a request.

Anthropic publishes no tokenizer since Claude 3; overheads are measured on recorded usages, and the
tool prompts agree with https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/overview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.tokens.contents import contents_of, json_tokens
from agentfuse.tokens.estimates import TokenEstimate, estimate_of
from agentfuse.tokens.json_shapes import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentfuse.messages import Request
    from agentfuse.tokens.contents import Contents

_PER_REQUEST = 7
_PER_CALL = 55
_PER_FURTHER_TOOL = 32
_SCHEMA = 140
_THINKING = 30  # a request with thinking switched on

# The hidden tool prompt where the model may choose, and where it must call, by family.
_TOOL_PROMPT = {
    "claude-3": (270, 270),
    "claude-3-opus": (535, 535),
    "claude-4": (310, 300),
    "claude-4.5": (500, 600),
    "claude-4.7": (400, 350),
}

# How far small requests went above the rules, and requests with the provider's own tools.
_SPARE = 60
_OLD_TOOL_SPARE = 80  # the tool prompts of Claude 3's versions differ by so much
_BUILTIN = {"web_": 35_000, "code_execution": 12_000, "mcp": 4_000}


def claude_estimate(request: Request) -> TokenEstimate:
    """Count a request to one of Claude's models by measured ratios and overheads."""
    contents = contents_of(request)
    tools = _tool_tokens(request, contents)
    tokens = (
        _PER_REQUEST
        + contents.text
        + contents.calls
        + _PER_CALL * contents.call_count
        + contents.media
        + tools
        + _schema_tokens(request, contents)
        + _thinking_tokens(request)
    )
    builtin = sum(_builtin_spare(tool) for tool in request.tools)
    factor = 2000 if contents.opaque or builtin else contents.family.high
    cushion = _SPARE + contents.spare + builtin
    if tools and contents.family.name == "claude-3":
        cushion += _OLD_TOOL_SPARE
    doubt = "opaque" if builtin else contents.doubt
    return estimate_of(tokens, factor=factor, cushion=cushion, method="rules", doubt=doubt)


def _builtin_spare(tool: Mapping[str, Any]) -> int:
    """Allow for what Anthropic's own tools add: long prompts, and results billed as input."""
    if "input_schema" in _definition(tool):
        return 0
    kind = str(tool.get("type", ""))
    return next((most for word, most in _BUILTIN.items() if kind.startswith(word)), 4000)


def _definition(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a tool in Anthropic's own shape; OpenAI's (``parameters``) counts the same."""
    definition = object_of(tool.get("function")) or tool
    if "parameters" in definition:
        return {**definition, "input_schema": definition["parameters"]}
    return definition


def _tool_tokens(request: Request, contents: Contents) -> int:
    if not request.tools:
        return 0
    choice = request.params.get("tool_choice")
    word = object_of(choice).get("type", choice)
    forced = word in ("any", "tool", "required", "function")
    opus = contents.model.startswith("claude-3-opus")
    prompt = _TOOL_PROMPT["claude-3-opus" if opus else contents.family.name][forced]
    shown = [tool for tool in request.tools if _is_shown(tool, contents)]
    further = _PER_FURTHER_TOOL * max(len(shown) - 1, 0)
    return prompt + further + json_tokens(contents.family, shown)


def _is_shown(tool: Mapping[str, Any], contents: Contents) -> bool:
    """Say whether the model sees a tool: a deferred one only once a search has found it."""
    return not tool.get("defer_loading") or tool.get("name") in contents.loaded


def _thinking_tokens(request: Request) -> int:
    given = object_of(request.params.get("thinking")).get("type")
    return _THINKING if given == "enabled" else 0


def _schema_tokens(request: Request, contents: Contents) -> int:
    given = request.params.get("output_format") or request.params.get("response_format")
    given = object_of(request.params.get("output_config")).get("format") or given
    return _SCHEMA + json_tokens(contents.family, given) if given else 0
