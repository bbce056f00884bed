"""Errors of token counts by provider and kind, ours beside the rivals'."""

from __future__ import annotations

import sys
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from hidden_prompts import ninety_fifth, print_prompts, prompt_figures, signs_of
from recordings import recordings_of
from rivals import rivals

from agentfuse.tokens import TokenCounter
from agentfuse.tokens.families import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from recordings import Recording


_CLAUDE = {
    "claude-3": "Claude 3.x",
    "claude-4": "Claude 4.0/4.1",
    "claude-4.5": "Claude 4.5/4.6",
    "claude-4.7": "Claude 4.7+/5",
}
_OLDER_CLAUDES = {"Claude 3.x", "Claude 4.0/4.1", "Claude 4.5/4.6"}
_NAMES = {
    "gemini": "Gemini",
    "mistral": "Mistral",
    "nova": "Nova",
    "llama-3": "Llama 3",
    "llama-4": "Llama 4",
    "gpt-oss": "gpt-oss",
    "deepseek": "DeepSeek",
    "qwen": "Qwen",
    "cohere": "Cohere",
}
_GROWN = "Claude 4.5/4.6"
_APART = {"unseen", "media not shown", "doubtful"}
_SMALL = 200
_UNDER = 0.9


def count_figures(data: Path) -> dict[str, Any]:
    """Count every recording cold, in turn with learning, and by every rival."""
    found = recordings_of(data)
    counters = rivals()
    learning = TokenCounter()
    rows: list[dict[str, Any]] = []
    for done, recording in enumerate(found, start=1):
        rows.append(_row(recording, learning) | _theirs(recording, counters))
        _show(done, len(found))
    guessed = [row for row in rows if row["provider"] in _OLDER_CLAUDES and row["kind"] == "tools"]
    return {"rows": rows, "tables": tables_of(rows), "prompts": prompt_figures(guessed)}


def tables_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up rows by provider and kind, each counter's errors side by side."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        for provider in _providers_of(row):
            for kind in _kinds_of(row):
                groups.setdefault((provider, kind), []).append(row)
    counters = (
        "agentfuse",
        "calibrated",
        "calibrated_same_cold",
        "tiktoken",
        "litellm",
        "langchain",
    )
    return {
        f"{provider} {kind}": {
            "n": len(members),
            "high_holds": _share(row["high"] >= row["actual"] for row in members),
            "exact": _share(row["agentfuse"] == row["actual"] for row in members),
            **{name: summed for name in counters if (summed := _summed(members, name))},
        }
        for (provider, kind), members in sorted(groups.items())
    }


def _row(recording: Recording, learning: TokenCounter) -> dict[str, Any]:
    asked = (recording.body, recording.model, recording.api, recording.provider)
    cold = TokenCounter().count_request(*asked)
    warm = learning.count_request(*asked)
    learning.observe(warm, recording.actual)
    learned = warm.method == "calibrated"
    return {
        "id": recording.id,
        "file": recording.source.rpartition("#")[0],
        "signs": signs_of(recording),
        "provider": _provider_of(recording),
        "kind": recording.kind if recording.api != "embeddings" else "embeddings",
        "model": recording.model,
        "doubt": recording.doubt,
        "recent": recording.recent,
        "actual": recording.actual,
        "agentfuse": cold.tokens,
        "low": cold.low,
        "high": cold.high,
        "method": cold.method,
        "calibrated": warm.tokens if learned else None,
        "calibrated_high": warm.high if learned else None,
        "calibrated_same_cold": cold.tokens if learned else None,
    }


def _theirs(recording: Recording, counters: dict[str, Any]) -> dict[str, int | None]:
    if recording.api == "embeddings":
        return dict.fromkeys(counters)
    return {name: count(recording) for name, count in counters.items()}


def _provider_of(recording: Recording) -> str:
    name = family_of(recording.model, recording.provider).name
    if name in _CLAUDE:
        return _CLAUDE[name]
    if name.startswith("openai"):
        return "OpenAI" if recording.provider == "openai" else "OpenAI elsewhere"
    return _NAMES.get(name, "Others")


def _providers_of(row: dict[str, Any]) -> tuple[str, ...]:
    own = row["provider"]
    return (own, "Claude 3-4.6") if own in _OLDER_CLAUDES else (own,)


def _kinds_of(row: dict[str, Any]) -> Iterator[str]:
    """Name the rows it counts in: its kind, ``all``, and the age of Claude's hidden tool prompt."""
    yield row["kind"]
    if row["kind"] not in _APART:
        yield "all"
    if row["kind"] == "tools" and row["provider"] in _OLDER_CLAUDES:
        older = row["recent"] is False and row["provider"] == _GROWN
        yield "tools until 2026" if older else "tools but until 2026"
    if row["kind"] == "tools" and row["recent"]:
        yield "tools since 2026"


def _summed(members: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    known = [row for row in members if row.get(name) is not None]
    if not known:
        return None
    errors = sorted(100 * abs(row[name] / row["actual"] - 1) for row in known)
    larger = [100 * abs(r[name] / r["actual"] - 1) for r in known if r["actual"] >= _SMALL]
    found = {
        "n": len(known),
        "mean": round(fmean(errors), 2),
        "median": round(median(errors), 2),
        "p95": round(ninety_fifth(errors), 2),
        "mean_from_200_tokens": round(fmean(larger), 2) if larger else None,
        "bias": round(100 * (sum(r[name] for r in known) / sum(r["actual"] for r in known) - 1), 2),
        "under_by_a_tenth": _share(r[name] < _UNDER * r["actual"] for r in known),
    }
    if name == "calibrated":
        found["high_holds"] = _share(r["calibrated_high"] >= r["actual"] for r in known)
    return found


def _share(answers: Iterable[bool]) -> float:
    listed = list(answers)
    return round(100 * sum(listed) / len(listed), 1)


def _show(done: int, of: int) -> None:
    if done % 50 == 0 or done == of:
        end = "\n" if done == of else ""
        print(f"\rcounting {done}/{of} requests", end=end, file=sys.stderr, flush=True)


def print_counts(figures: dict[str, Any]) -> None:
    """Print mean/p95 error in percent, a line for each provider and kind."""
    names = ("agentfuse", "calibrated", "litellm", "langchain", "tiktoken")
    for row in figures["rows"]:
        if row["doubt"]:
            print(f"doubtful: {row['id']} ({row['model']}, {row['actual']} billed): {row['doubt']}")
    print("tools until 2026: Claude 4.5's at Anthropic, maybe from before its hidden prompt grew")
    print("media not shown: files left out of the recordings, and what stands behind addresses")
    print("error |estimate/real - 1| in %, mean/p95; bias of the sum; share of high >= actual")
    titles = "".join(f"{name:>14}" for name in names)
    print(f"{'':34}{'n':>5}{titles}{'median':>8}{'exact':>7}{'bias':>7}{'high':>7}{'learned':>9}")
    for name, row in figures["tables"].items():
        cells = "".join(f"{_cell(row.get(each)):>14}" for each in names)
        learned = row.get("calibrated", {}).get("high_holds", "")
        print(
            f"{name:34}{row['n']:5}{cells}{row['agentfuse']['median']:8.1f}{row['exact']:7.1f}"
            f"{row['agentfuse']['bias']:7.1f}{row['high_holds']:7.1f}{learned!s:>9}"
        )
    print_prompts(figures["prompts"])


def _cell(summed: dict[str, Any] | None) -> str:
    return f"{summed['mean']:.1f}/{summed['p95']:.0f}" if summed else "-"
