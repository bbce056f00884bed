"""Measure answers by meaning on labelled pairs, streams and conversations.

    nox -s semantic-eval -- --data DIR --json FILE --only stream_agent adversarial --rules

DIR holds gzipped JSON lines: pairs (a, b, y), streams (q, c), conversations. All rules see the same
vectors. The exit code is 1 where a preset misses one of its bounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bounds import checked
from intervals import share
from matching import ALL, PRESETS, Reading
from product import compared
from reading import (
    CONVERSATIONS,
    PAIRS,
    STREAMS,
    conversations_in,
    names_in,
    pairs_in,
    stream_in,
    texts_in,
)
from replaying import outcome_of, stream_of
from ruling import print_rules, rule_figures
from vectors import vectors_of

from agentfuse.embedders import embedder_named
from agentfuse.guard import features_of, veto

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matching import Matching
    from reading import Row, Turn
    from replaying import Outcome
    from vectors import Vectors

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Print the tables, keep every figure in FILE if asked to, and fail where a bound is missed."""
    args = _arguments()
    there = names_in(args.data) & {*PAIRS, *STREAMS, CONVERSATIONS}
    names = there & set(args.only) if args.only else there
    if not names:
        sys.exit(f"no data: {args.data} holds none of {', '.join(args.only or (*PAIRS, *STREAMS))}")
    embedder = embedder_named(args.embedder)
    vectors = vectors_of(texts_in(args.data, names), embedder.fingerprint, embedder.embed)
    read = Reading()
    figures: dict[str, Any] = {
        "python": platform.python_version(),
        "embedder": embedder.fingerprint,
        "matchings": {one.name: [one.threshold, one.level, one.candidates] for one in ALL},
    }
    pairs = {name: pairs_in(args.data, name) for name in PAIRS if name in names}
    figures["pairs"] = {name: _pair_figures(rows, vectors, read) for name, rows in pairs.items()}
    _print_pairs(figures["pairs"])
    figures["streams"] = {
        name: _stream_figures(name, stream_in(args.data, name), vectors, read)
        for name in STREAMS
        if name in names
    }
    if args.product:
        figures["product"] = _product_figures(args, names, embedder, vectors)
    figures["conversations"] = {}
    if CONVERSATIONS in names:
        figures["conversations"] = _conversation_figures(conversations_in(args.data), vectors, read)
    if args.rules and pairs:
        figures["rules"] = rule_figures(pairs, vectors, read)
        print_rules(figures["rules"])
    figures["guard_us"] = _guard_speed([row for rows in pairs.values() for row in rows], vectors)
    _end(figures, args.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(os.environ.get("AGENTFUSE_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=shared / "semcache" / "dev")
    parser.add_argument("--json", type=Path, help="keep every figure in this file")
    parser.add_argument("--only", nargs="+", help="measure these sets alone")
    parser.add_argument("--rules", action="store_true", help="what each rule of the guard brings")
    parser.add_argument("--product", type=int, default=0, help="replay so many requests through it")
    parser.add_argument("--embedder", default="minilm", help="a name that Fuse(semantic=) takes")
    return parser.parse_args()


def _pair_figures(rows: Sequence[Row], vectors: Vectors, read: Reading) -> dict[str, Any]:
    cosines = [vectors.cosine(row.asked, row.kept) for row in rows]
    traps = sum(not row.same for row in rows)
    figures: dict[str, Any] = {}
    for matching in ALL:
        served = [
            row
            for row, cosine in zip(rows, cosines, strict=True)
            if matching.serves(row.asked, row.kept, cosine, read)
        ]
        good = sum(row.same for row in served)
        figures[matching.name] = {
            "good": share(good, len(rows) - traps),
            "traps": share(len(served) - good, traps),
        }
    return figures


def _print_pairs(figures: dict[str, Any]) -> None:
    if not figures:
        return
    print("\nPairs: % of good pairs served / of traps served")
    print(f"{'':20}" + "".join(f"{name:>16}" for name in figures))
    for matching in ALL:
        cells = (
            f"{of_set[matching.name]['good']['percent']:.1f}/{of_set[matching.name]['traps']['percent']:.1f}"
            for of_set in figures.values()
        )
        print(f"{matching.name:20}" + "".join(f"{cell:>16}" for cell in cells))


def _stream_figures(
    name: str, rows: Sequence[tuple[str, Any]], vectors: Vectors, read: Reading
) -> dict[str, Any]:
    print(f"\n{name}: {len(rows):,} requests; per 100, with the 95 % interval")
    stream = stream_of(rows, vectors.matrix([text for text, _ in rows]))
    figures: dict[str, Any] = {}
    for matching in ALL:
        outcome = outcome_of(stream, matching, read)
        figures[matching.name] = _outcome_figures(outcome)
        _print_outcome(matching, figures[matching.name])
    if name == "stream_seed100":
        figures["how"] = _told(outcome_of(stream, PRESETS[1], read))
    return figures


def _product_figures(
    args: argparse.Namespace, names: set[str], embedder: Any, vectors: Vectors
) -> dict[str, Any]:
    """Replay the beginnings of the streams through the public cache, and compare."""
    figures: dict[str, Any] = {}
    for name in (name for name in STREAMS if name in names):
        rows = stream_in(args.data, name)[: args.product]
        stream = stream_of(rows, vectors.matrix([text for text, _ in rows]))
        ours = outcome_of(stream, PRESETS[1], Reading())
        figures[name] = compared(rows, ours, PRESETS[1], embedder, vectors)
        print(f"{name} through SemanticCache: {figures[name]}")
    return figures


def _outcome_figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "hits": share(outcome.hits, outcome.requests),
        "exact": share(outcome.exact, outcome.requests),
        "wrong_per_request": share(outcome.wrong, outcome.requests),
        "wrong_per_hit": share(outcome.wrong, outcome.hits),
    }


def _print_outcome(matching: Matching, figures: dict[str, Any]) -> None:
    def cell(name: str) -> str:
        one = figures[name]
        return f"{one['percent']:6.2f} ({one['low']:.2f} to {one['high']:.2f})"

    print(
        f"  {matching.name:20} hits {cell('hits')}   wrong of requests {cell('wrong_per_request')}"
        f"   of hits {cell('wrong_per_hit')}"
    )


def _told(outcome: Outcome) -> list[dict[str, Any]]:
    """Say hit by hit what was asked and whose answer it got."""
    told = [
        {"asked": hit.asked, "kept": hit.kept, "cosine": round(hit.cosine, 3), "right": hit.right}
        for hit in outcome.by_meaning
    ]
    for hit in told:
        mark = "right" if hit["right"] else "WRONG"
        print(f"    {mark} {hit['cosine']:.3f}  {hit['asked']!r} got {hit['kept']!r}")
    return told


def _conversation_figures(
    rows: Sequence[tuple[Turn, Turn, bool]], vectors: Vectors, read: Reading
) -> dict[str, Any]:
    """Count the answers given across conversations when all but the last message must be equal."""
    figures: dict[str, Any] = {}
    different = sum(not same for *_, same in rows)
    for matching in PRESETS:
        served = [
            same
            for one, other, same in rows
            if one.history == other.history
            and matching.serves(one.text, other.text, vectors.cosine(one.text, other.text), read)
        ]
        figures[matching.name] = {"false": share(served.count(False), different)}
    false = figures["balanced"]["false"]
    print(f"\nConversations, earlier messages equal: {false['count']} false hits of {false['of']}")
    return {"conversations": figures}


def _guard_speed(rows: Sequence[Row], vectors: Vectors) -> dict[str, float]:
    """Give the guard's CPU time a candidate in microseconds; the asked text is read each time."""
    near = [row for row in rows if vectors.cosine(row.asked, row.kept) >= PRESETS[1].threshold][
        :1000
    ]
    taken: list[float] = []
    for row in near:
        kept = features_of(row.kept)
        start = time.thread_time_ns()
        veto(features_of(row.asked), kept)
        taken.append((time.thread_time_ns() - start) / 1000)
    if not taken:
        return {}
    figures = {"median": statistics.median(taken), "p95": sorted(taken)[int(len(taken) * 0.95)]}
    print(f"\nGuard, a candidate: {figures['median']:.0f} us median, {figures['p95']:.0f} us p95")
    return figures


def _end(figures: dict[str, Any], file: Path | None) -> None:
    verdicts = list(checked(figures))
    print("\nBounds")
    for said, held in verdicts:
        print(f"  {'held  ' if held else 'MISSED'} {said}")
    if file:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if not all(held for _, held in verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main()
