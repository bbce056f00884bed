"""OpenAI's overheads around the text of a request.

Messages: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken. Tools, schemas and
history: measured on recorded usages, where the rules meet 96.5 % of plain requests to the token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from agentfuse.by_content import ByContent
from agentfuse.messages import Other, Reasoning
from agentfuse.tokens.contents import compact, contents_of
from agentfuse.tokens.estimates import TokenEstimate, estimate_of
from agentfuse.tokens.json_shapes import items_of, object_of
from agentfuse.tokens.text import vocabulary_count
from agentfuse.tokens.tool_text import functions_of, namespace_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentfuse.messages import Request
    from agentfuse.tokens.contents import Contents
    from agentfuse.tokens.encodings import Vocabulary

_PER_MESSAGE = 4  # the frame (3) and the role (1)
_PER_REPLY = 3
_PER_REASONED_REPLY = 2  # o3, o4 and gpt-5 onwards
_PER_PAST_ANSWER = 2  # of those models, in the history
_PRO_MODE = 1531  # the hidden prompt of ``reasoning.mode: pro``
_GPT5_CHAT_TOOLS = 81  # a hidden prompt that gpt-5 gets with tools on the chat endpoint

# What OpenAI's own tools bring along, (likely, at most), by the beginning of their type: a prompt,
# and what they find, which is billed as input. Web search by reasoning models feeds its pages back:
# a search is reckoned at 8,000 tokens (https://platform.openai.com/docs/pricing). File search takes
# 20 chunks of 800 at the most (.../docs/guides/tools-file-search). The rest by recorded usages.
_BUILTIN = {
    "web_search": (245, 1_000),
    "file_search": (1_000, 16_000),
    "code_interpreter": (1_200, 12_000),
    "image_generation": (300, 4_000),
    "mcp": (900, 12_000),
    "tool_search": (0, 2_000),
}
_REASONED_SEARCH = (8_000, 60_000)

# The parameters that an output schema may stand in.
_SHAPING = frozenset({"response_format", "text"})

# A conversation that the server keeps is billed again, and nobody here knows how long it is.
_KEPT = frozenset({"previous_response_id", "conversation", "prompt"})
_MOST_KEPT = 8_000

# An encrypted thought: a frame of some 900 characters, and some 7 for each token of it.
_THOUGHT_FRAME, _PER_THOUGHT_TOKEN = 900, 7


def openai_estimate(request: Request) -> TokenEstimate:
    """Count a request to one of OpenAI's models; plain text is exact."""
    contents = contents_of(request)
    family = contents.family
    reply = _PER_REASONED_REPLY if family.name == "openai-reasoning" else _PER_REPLY
    if family.name == "openai-reasoning":
        answers = (each for each in request.messages if each.role == "assistant")
        reply += _PER_PAST_ANSWER * sum(not each.tool_calls for each in answers)
    if object_of(request.params.get("reasoning")).get("mode") == "pro":
        reply += _PRO_MODE
    plain = contents.text + _PER_MESSAGE * len(request.messages) + contents.named + reply
    served = _served_of(request, contents)
    tools = _tool_tokens(request, contents, served) + _history_tokens(contents)
    schema = _schema_tokens(request, contents)
    thoughts = _thought_tokens(request) if contents.opaque else 0
    total = plain + tools + schema + contents.media + thoughts
    kept = _is_kept(request)
    known = family.name != "openai-unnamed" and not contents.opaque and not kept
    if total == plain and known and not contents.spare:
        return estimate_of(total, factor=1000, method="exact")
    factor, cushion = _doubt(request, contents, served, kept=kept)
    return estimate_of(
        total,
        factor=factor,
        cushion=cushion + contents.spare,
        method="rules",
        doubt="opaque" if served.number or kept else contents.doubt,
    )


def _doubt(request: Request, contents: Contents, served: _Served, *, kept: bool) -> tuple[int, int]:
    """Say how far recorded requests of this kind went above the rules (thousandths, tokens)."""
    if served.number or contents.opaque or kept:
        return 2000, 500 + served.most + (_MOST_KEPT if kept else 0)
    if request.tools or contents.call_count:
        return max(1150, contents.family.high), 60 if request.api == "chat.completions" else 250
    return max(1050, contents.family.high), 20


class _Served(NamedTuple):
    """OpenAI's own tools among a request's: their tokens, how many more at most, their number.

    ``rendered`` are the tokens of all the others.
    """

    tokens: int = 0
    most: int = 0
    number: int = 0
    rendered: int = 0


_NONE_SERVED = _Served()


def _served_of(request: Request, contents: Contents) -> _Served:
    if not request.tools:
        return _NONE_SERVED
    return _served(request.tools, contents.family.vocabulary, contents.family.name)


def _served_among(
    tools: Sequence[Mapping[str, Any]], vocabulary: Vocabulary, family: str
) -> _Served:
    """Weigh what is no function: the JSON it is, and what it brings along."""
    own = [tool for tool in tools if not functions_of([tool])]
    brought = [_brought_by(tool, family) for tool in own]
    written = sum(vocabulary_count(compact(tool), vocabulary) + 20 for tool in own)
    tokens = written + sum(likely for likely, _ in brought)
    most = sum(most for _, most in brought)
    return _Served(tokens, most, len(own), _rendered_count(tools, vocabulary))


_served = ByContent(_served_among)


def _is_kept(request: Request) -> bool:
    """Say whether a part of the conversation lies on the server."""
    params = request.params
    return not _KEPT.isdisjoint(params) and any(params.get(name) for name in _KEPT)


def _brought_by(tool: Mapping[str, Any], family: str) -> tuple[int, int]:
    """Reckon what one of OpenAI's own tools brings along: likely, and at most."""
    kind = str(tool.get("type", ""))
    if kind == "web_search" and family == "openai-reasoning":
        return _REASONED_SEARCH
    return next((both for word, both in _BUILTIN.items() if kind.startswith(word)), (0, 0))


def _thought_tokens(request: Request) -> int:
    """Count what is encrypted: thoughts behind the last question, and a compacted history.

    Thoughts before it are dropped (https://platform.openai.com/docs/guides/reasoning).
    """
    count, asked = 0, False
    for message in reversed(request.messages):
        asked = asked or message.role == "user"
        for part in message.parts:
            match part:
                case Reasoning() if not asked:
                    count += _sealed_tokens(part.block)
                case Other() if part.block.get("type") == "compaction":
                    count += _sealed_tokens(part.block)
                case _:
                    pass
    return count


def _sealed_tokens(block: Mapping[str, Any]) -> int:
    sealed = block.get("encrypted_content")
    length = len(sealed) if isinstance(sealed, str) else 0
    return max(length - _THOUGHT_FRAME, 0) // _PER_THOUGHT_TOKEN


def _tool_tokens(request: Request, contents: Contents, served: _Served) -> int:
    """Count the tools' rendering; what is no function is counted as the JSON it is."""
    if not request.tools and "functions" not in request.params:
        return 0
    rendered, legacy = served.rendered, request.params.get("functions")
    if legacy:
        functions = [*request.tools, *map(object_of, items_of(legacy))]
        rendered = _rendered(functions, contents.family.vocabulary)
    if not rendered:
        return served.tokens
    count = served.tokens + rendered
    count += 5 if contents.system else 9
    count += _choice_tokens(request.params.get("tool_choice"), contents)
    if contents.model.startswith("gpt-5") and request.api == "chat.completions":
        count += _GPT5_CHAT_TOOLS
    return count


def _rendered_count(tools: Sequence[Mapping[str, Any]], vocabulary: Vocabulary) -> int:
    """Count the rendering of all functions; 0 where there are none."""
    functions = functions_of(tools)
    if not functions:
        return 0
    return vocabulary_count(namespace_of(json.loads(compact(functions))), vocabulary)


_rendered = ByContent(_rendered_count)


def _choice_tokens(choice: Any, contents: Contents) -> int:
    """A function that the model must call is named in the prompt: its name and seven tokens."""
    asked = object_of(choice)
    if not asked:
        return 0
    named = object_of(asked.get("function")) or asked
    return 7 + _count(contents, str(named.get("name", "")))


def _history_tokens(contents: Contents) -> int:
    each = 9 if contents.call_count <= 1 else 12
    return contents.calls + each * contents.call_count + 2 * contents.results


def _schema_tokens(request: Request, contents: Contents) -> int:
    if _SHAPING.isdisjoint(request.params):
        return 0
    schema, name = _schema_of(request)
    if schema is None:
        return 0
    frame = 16 if contents.system else 20
    frame = 9 if request.tools else frame
    return _count(contents, compact(_trimmed(schema))) + _count(contents, name) + frame


def _schema_of(request: Request) -> tuple[Any, str]:
    """Find the output schema: ``response_format`` in chat, ``text.format`` in responses."""
    chat = object_of(object_of(request.params.get("response_format")).get("json_schema"))
    given = chat or object_of(object_of(request.params.get("text")).get("format"))
    return given.get("schema"), str(given.get("name", ""))


def _trimmed(schema: Any, *, properties: bool = False) -> Any:
    """Leave out what the model is not shown: ``additionalProperties`` and titles."""
    if isinstance(schema, list):
        return [_trimmed(each) for each in items_of(schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _trimmed(value, properties=key == "properties" and not properties)
        for key, value in object_of(schema).items()
        if properties
        or not (key == "additionalProperties" or (key == "title" and isinstance(value, str)))
    }


def _count(contents: Contents, text: str) -> int:
    return vocabulary_count(text, contents.family.vocabulary)
