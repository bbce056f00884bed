"""Whether a request tells which hidden tool prompt it met: Claude 4.5's grew under the same names.

Recorded requests with tools are counted anew by what the others were billed beyond the rules: those
that agree with it in whatever might decide the prompt, for every choice of what might. Recordings
of the same file were made in one sitting and teach nothing of each other.
"""

from __future__ import annotations

import re
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any

from agentfuse.tokens.families import bare
from agentfuse.tokens.json_shapes import object_of
from agentfuse.tokens.wires import request_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from recordings import Recording

_SIGNS = ("model", "provider", "tool choice", "number of tools", "system prompt", "past turns")
_DATED = re.compile(r"(-20\d{6})?(-v\d.*|-latest)?$")
_SAME = {"required": "any", "function": "tool"}  # OpenAI's words for Anthropic's
_FAR_BELOW = 1.2  # a count this many times what was billed: the prompt was another one

Row = dict[str, Any]


def signs_of(recording: Recording) -> list[Any]:
    """Give what a request shows that might decide its hidden prompt, in the order of the names.

    No choice is "auto" (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use).
    """
    asked = (recording.body, recording.model, recording.api, recording.provider)
    request = request_of(*asked)
    choice = request.params.get("tool_choice") or "auto"
    word = object_of(choice).get("type", choice)
    return [
        _DATED.sub("", bare(recording.model)).replace(".", "-"),
        recording.provider,
        _SAME.get(word, word),
        len(request.tools),
        any(message.role == "system" for message in request.messages),
        any(message.role == "assistant" for message in request.messages),
    ]


def prompt_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Say how far off the best of all choices of signs leaves these rows, and who met the other."""
    chosen = [each for n in range(len(_SIGNS) + 1) for each in combinations(range(len(_SIGNS)), n)]
    reached = [(ninety_fifth(_errors(rows, signs)), signs) for signs in chosen]
    best, signs = min(reached)
    below = [row for row in rows if row["agentfuse"] > _FAR_BELOW * row["actual"]]
    return {
        "choices": len(chosen),
        "best_p95": round(best, 1),
        "best_signs": [_SIGNS[place] for place in signs],
        "models": _tally(rows),
        "far_below": _tally(below),
        "tokens_below": sorted(row["agentfuse"] - row["actual"] for row in below),
    }


def print_prompts(figures: dict[str, Any]) -> None:
    """Print who was billed for another prompt than today's, and that no request says so."""
    met = ", ".join(
        f"{name} {count} of {figures['models'][name]}"
        for name, count in figures["far_below"].items()
    )
    tokens = figures["tokens_below"]
    print(
        f"Claude 3-4.6 tools: billed {tokens[0]} to {tokens[-1]} tokens less than counted: {met}; "
        "of other models none"
    )
    print(
        f"learned from the other files, the best of {figures['choices']} choices of what decides "
        f"the prompt ({', '.join(_SIGNS)}) has a p95 of {figures['best_p95']} %"
    )


def ninety_fifth(errors: Iterable[float]) -> float:
    """Give the error that 95 of 100 stay within."""
    ordered = sorted(errors)
    return ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]


def _errors(rows: Sequence[Row], chosen: tuple[int, ...]) -> list[float]:
    """Count each row by what rows of other files with the same signs were billed, in percent off.

    Where there are none, the rules stand as they are.
    """
    alike: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault(_key(row, chosen), []).append(row)
    found: list[float] = []
    for row in rows:
        others = [each for each in alike[_key(row, chosen)] if each["file"] != row["file"]]
        beyond = median(each["actual"] - each["agentfuse"] for each in others) if others else 0
        found.append(100 * abs((row["agentfuse"] + beyond) / row["actual"] - 1))
    return found


def _key(row: Row, chosen: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(row["signs"][place] for place in chosen)


def _tally(rows: Sequence[Row]) -> dict[str, int]:
    models = [row["signs"][0] for row in rows]
    return {name: models.count(name) for name in sorted(set(models))}
