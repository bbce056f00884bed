"""Which models share a tokenizer, and how far its counts lie from o200k_base.

Ratios are real tokens over o200k_base tokens, in thousandths: measured on recorded provider usages
and on documentation in twelve languages, source code and JSON with each family's own tokenizer
where it is public. Claude 3 and later publish none; theirs come from recorded usages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentfuse.tokens.encodings import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that count alike.

    ``text`` is the ratio of prose, ``json`` that of tools and schemas, both in thousandths of an
    o200k_base (or own ``vocabulary``) count; ``high`` is the factor, in thousandths, that covers
    a prompt of plain text in 95 of 100 recorded requests. ``cushion``
    the tokens that come on top of it. Some drop what stands between think tags in past answers.
    """

    name: str
    vocabulary: Vocabulary = "o200k_base"
    text: int = 1000
    json: int = 1000
    high: int = 1500
    cushion: int = 0
    keeps_thoughts: bool = True
    rules: str = "other"


UNKNOWN = Family(name="unknown", text=1050, json=1200, high=2000)

_FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(name="openai-old", vocabulary="cl100k_base", high=1000, rules="openai"),
        Family(name="openai", high=1000, rules="openai"),
        Family(name="openai-reasoning", high=1000, rules="openai"),
        Family(name="openai-unnamed", high=1300, rules="openai"),
        Family(name="gpt-oss", high=1110),
        Family(name="claude-3", text=1150, json=1150, high=1400, rules="claude"),
        Family(name="claude-4", text=1150, json=1200, high=1730, rules="claude"),
        Family(name="claude-4.5", text=1150, json=1200, high=1250, rules="claude"),
        Family(name="claude-4.7", text=1450, json=1400, high=1250, rules="claude"),
        Family(name="gemini", text=1040, json=1310, high=1600, rules="gemini"),
        Family(name="mistral", text=1080, json=1180, high=1490),
        Family(name="deepseek", text=1030, json=1140, high=1400, keeps_thoughts=False),
        Family(name="llama-3", text=1000, json=1000, high=1500),
        Family(name="llama-4", text=1000, json=1000, high=2000),
        Family(name="qwen", text=1010, json=1070, high=1500, keeps_thoughts=False),
        Family(name="nova", text=1010, json=1000, high=2000),
        Family(name="cohere", text=1050, json=1000, high=1500, cushion=600),
        Family(name="glm", text=1000, json=1050, high=1500, keeps_thoughts=False),
        UNKNOWN,
    )
}

# First match wins; names are matched without provider prefix, in lower case.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"gpt-oss", "gpt-oss"),
        (r"^(gpt-4(?!\.|o|-o)|gpt-3\.5|gpt-35|text-embedding-|text-moderation)", "openai-old"),
        (r"^(gpt-[5-9]|o3|o4|codex)", "openai-reasoning"),
        (r"^(gpt-|chatgpt|o1|computer-use|omni-)", "openai"),
        (r"claude-(opus|sonnet|haiku)-4[-.][56](?!\d)", "claude-4.5"),
        (r"claude-(opus|sonnet|haiku)-4([-.][01](?!\d)|-2\d{7}|@|$|-latest|-v)", "claude-4"),
        (r"claude-(opus|sonnet|haiku)-(4[-.][7-9]|[5-9])|claude-(fable|mythos)", "claude-4.7"),
        (r"claude-(instant|v?[123])", "claude-3"),
        (r"claude", "claude-4.7"),
        (r"gemini|gemma|learnlm", "gemini"),
        (r"mistral|mixtral|ministral|magistral|codestral|devstral|pixtral|voxtral", "mistral"),
        (r"deepseek", "deepseek"),
        (r"llama-?4", "llama-4"),
        (r"llama", "llama-3"),
        (r"qwen|qwq|qvq", "qwen"),
        (r"nova-", "nova"),
        (r"^(command|c4ai|embed-)|cohere", "cohere"),
        (r"glm-", "glm"),
    )
)

_PROVIDER_FAMILIES = {"openai": "openai-reasoning", "azure": "openai-unnamed"}


@lru_cache(maxsize=1024)
def family_of(model: str, provider: str = "") -> Family:
    """Name the tokenizer family of a model; an unknown name at OpenAI is counted as its newest.

    ``provider`` only decides where the name says nothing (an Azure deployment's own name).
    """
    name = bare(model)
    for pattern, family in _PATTERNS:
        if pattern.search(name):
            return _FAMILIES[family]
    return _FAMILIES[_PROVIDER_FAMILIES.get(provider.lower(), "unknown")]


@lru_cache(maxsize=1024)
def bare(model: str) -> str:
    """Strip a model's provider prefixes and fine-tuning marks: ``ft:gpt-4o:me::1`` is gpt-4o."""
    name = model.strip().lower()
    if name.startswith("ft:"):
        name = name[3:].split(":", 1)[0]
    name = name.rsplit("/", 1)[-1]
    return re.sub(
        r"^(?:(?:us|eu|apac|global|jp|au)\.)?(?:anthropic|openai|meta|amazon|mistral)\.", "", name
    )
