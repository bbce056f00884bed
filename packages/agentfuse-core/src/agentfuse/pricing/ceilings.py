"""How long an answer each model can give at most."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

# For a name no line of the table begins: as long as any family but a few can write, since too low
# a ceiling would let an answer pass the budget.
UNKNOWN_CEILING = 128_000


# Bedrock's regional profiles and makers: us.anthropic.claude-..., meta.llama3-...
_REGION = re.compile(r"^(?:[a-z-]+\.)?(?:anthropic|openai|meta|amazon|mistral|deepseek)\.")


def max_output_of(model: str) -> int:
    """Give the most output tokens (reasoning included) a model can bill in one answer.

    The longest prefix in ``max_output.toml`` decides; an unknown name gets 128,000.
    """
    name = _REGION.sub("", model.strip().lower().rpartition("/")[2])
    table = _ceilings()
    for end in range(len(name), 0, -1):
        if name[:end] in table:
            return table[name[:end]]
    return UNKNOWN_CEILING


@cache
def _ceilings() -> dict[str, int]:
    import tomllib

    text = Path(__file__).with_name("max_output.toml").read_text("utf-8")
    return {
        prefix.lower(): ceiling
        for section in tomllib.loads(text).values()
        for prefix, ceiling in section["models"].items()
    }
