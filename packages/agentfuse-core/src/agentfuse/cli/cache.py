"""``agentfuse cache calibrate``: which cosine keeps wrong answers within a budget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse.caches.semantic.calibration import Calibration, calibrate
from agentfuse.caches.semantic.labelled import rows_in
from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from agentfuse.caches.semantic.calibration import Tried

_EPILOG = """\
LOG is JSONL (or .jsonl.gz), one object a line, of one of two forms:
  {"a": text kept, "b": text asked, "y": 1 if the kept answer is right, else 0}
      labelled pairs, or what SemanticCache(trial_log=...) writes (with score, veto, embedder)
  {"q": question, "c": class}
      a stream in order: a hit is right if the classes agree; null agrees with none
Exit code: 0 a threshold was found, 1 none keeps within the target, 2 the words were off."""


def add_to(subparsers: Any) -> None:
    """Add ``cache`` with its own commands."""
    import argparse

    parser = subparsers.add_parser("cache", help="the semantic cache")
    commands = parser.add_subparsers(metavar="command", required=True)
    one: argparse.ArgumentParser = commands.add_parser(
        "calibrate",
        help="choose a threshold from labelled pairs or trials",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("log", type=Path, help="labelled pairs, trials, or a stream (JSONL)")
    one.add_argument("--embedder", default="minilm", help="its name (default: %(default)s)")
    one.add_argument(
        "--target",
        type=float,
        default=0.01,
        help="the most wrong answers among hits, a share (default: %(default)s)",
    )
    one.add_argument("--guard", choices=("balanced", "strict"), default="balanced")
    one.add_argument("--json", type=Path, help="write it here, for SemanticCache(calibration=...)")
    one.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Calibrate, print the table, and write the file."""
    if not 0 < args.target < 1:
        raise ConfigurationError(f"--target is a share above 0 and below 1, not {args.target}")
    from agentfuse.embedders import embedder_named

    embedder = embedder_named(args.embedder)
    rows = rows_in(args.log)
    progress = _progress if sys.stderr.isatty() else None
    found = calibrate(rows, embedder, target=args.target, level=args.guard, progress=progress)
    print(_table(found))
    if args.json is not None:
        args.json.write_text(json.dumps(found.to_dict(), indent=1) + "\n", "utf-8")
    return 0 if found.threshold is not None else 1


def _progress(what: str, done: int, total: int) -> None:
    print(f"\r{what}: {done:,} of {total:,}", end="" if done < total else "\n", file=sys.stderr)


def _table(found: Calibration) -> str:
    lines = [
        f"{found.requests:,} requests, embedder {found.embedder}, guard {found.guard}",
        "threshold    hits   hit %   wrong   wrong % of hits (95 % interval)",
        *(_line(row, chosen=row.threshold == found.threshold) for row in found.rows),
        _verdict(found),
    ]
    return "\n".join(lines)


def _line(row: Tried, *, chosen: bool) -> str:
    low, high = row.wrong_between
    share = f"{row.wrong / row.hits:7.2%}" if row.hits else "      -"
    return (
        f"{row.threshold:9.3f} {row.hits:7,} {row.hits / row.requests:7.1%} {row.wrong:7,}"
        f"   {share} ({low:.2%} to {high:.2%}){'  <- chosen' if chosen else ''}"
    )


def _verdict(found: Calibration) -> str:
    if found.threshold is not None:
        return (
            f"threshold {found.threshold:g}: at most {found.target:.2%} of hits are wrong, with"
            " 95 % confidence, on traffic like this"
        )
    return (
        f"no threshold keeps wrong answers below {found.target:.2%} of hits with 95 % confidence."
        f" Even without a wrong one that takes {found.needed:,} hits (some 3 / target); judge more"
        " pairs, raise --target, or use --guard strict"
    )
