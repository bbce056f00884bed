"""Mistral's models by their own vocabulary, with the extra ``agentfuse-core[mistral]``.

The frames are those of mistral-common's instruct tokenizers from version 7 on
(mistral_common/tokens/tokenizers/instruct.py); counts agree to the token with recorded usages.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Media, Text
from agentfuse.tokens.estimates import estimate_of
from agentfuse.tokens.families import bare, family_of
from agentfuse.tokens.images import image_tokens, size_of
from agentfuse.tokens.json_shapes import object_of
from agentfuse.tokens.text import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentfuse.messages import Message, Part, Request
    from agentfuse.tokens.estimates import TokenEstimate

# Models on the SentencePiece vocabularies that came before Tekken, or with other frames.
_OLDER = re.compile(
    r"7b|8x|-23\d\d|-240[1-6]|large-24|pixtral-large|mamba|embed|voxtral|ocr|moderation"
)

# These write their settings before the prompt, {"reasoning_effort": "none"}: 12 tokens.
NEWEST_SMALL = r"(mistral|magistral)-small-(latest|26\d\d)"
SETTINGS = 12

_BEGIN = 1
# [INST] [/INST], [SYSTEM_PROMPT] [/SYSTEM_PROMPT], [TOOL_RESULTS] [/TOOL_RESULTS]; an answer's end.
_TURN = {"assistant": 1}
_MARKS = 2
_PER_CALL = 2  # [TOOL_CALLS] name [ARGS]
_CUSHION, _FACTOR = 16, 1010


class MistralCounter:
    """Counts texts, and requests with tools, history and pictures, as Mistral does.

    Give it as ``Fuse(counters=[MistralCounter()])``. It loads at its first count (a second or two).
    Models from before July 2024, sounds and what cannot be read are left to the rules.
    """

    def count_text(self, text: str) -> int:
        """Count the tokens of a text; raises ImportError without the extra."""
        return sum(_encode()(text[at : at + CHUNK]) for at in range(0, len(text), CHUNK))

    def count(self, request: Request) -> TokenEstimate | None:
        """Count a request to one of Mistral's models; raises ImportError without the extra."""
        model = bare(request.model)
        if family_of(model).name != "mistral" or _OLDER.search(model):
            return None
        if "pixtral" in model and any(each.tool_calls for each in request.messages):
            return None
        weights = [self._turn_tokens(message, model) for message in request.messages]
        if None in weights:
            return None
        settings = SETTINGS if re.search(NEWEST_SMALL, model) else 0
        tokens = _BEGIN + settings + sum(weight or 0 for weight in weights)
        if request.tools:
            listed = json.dumps([_shown(tool) for tool in request.tools], ensure_ascii=False)
            tokens += _MARKS + self.count_text(listed)
        return estimate_of(tokens, factor=_FACTOR, cushion=_CUSHION, method="exact")

    def _turn_tokens(self, message: Message, model: str) -> int | None:
        tokens = _TURN.get(message.role, _MARKS)
        for part in message.parts:
            weight = self._part_tokens(part, model)
            if weight is None:
                return None
            tokens += weight
        for call in message.tool_calls:
            tokens += _PER_CALL + self.count_text(call.name) + self.count_text(call.arguments)
        return tokens

    def _part_tokens(self, part: Part, model: str) -> int | None:
        """Count a text or a picture of known size; nothing else can be known here."""
        if isinstance(part, Text):
            return self.count_text(part.text)
        size = size_of(part.data) if isinstance(part, Media) and part.kind == "image" else None
        return None if size is None else image_tokens(model, "mistral", size)[0]


@lru_cache(maxsize=1)
def _encode() -> Callable[[str], int]:
    """Load Tekken, the vocabulary of all models since Mistral NeMo."""
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    made: Any = MistralTokenizer  # its generics say nothing here
    tokenizer = made.v3(is_tekken=True).instruct_tokenizer.tokenizer
    return lambda text: len(tokenizer.encode(text, bos=False, eos=False))


def _shown(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Write a tool as the model reads it: a description even where there is none."""
    function = object_of(tool.get("function")) or tool
    return {
        "type": "function",
        "function": {
            "name": function.get("name", ""),
            "description": function.get("description") or "",
            "parameters": function.get("parameters") or function.get("input_schema") or {},
        },
    }
