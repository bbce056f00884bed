"""Measure what AgentFuse adds: imports, calls, streams, each framework's calls, and ledgers.

    nox -s bench -- --json FILE [--only agents_sdk ledger_redis ...]

CPU time of the calling thread alone, medians of seven rounds, over a simulated provider on
loopback (its threads are not counted). Compare ratios within one run, not microseconds between
machines.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calls import call_figures, stream_figures
from imports import STATEMENTS, import_figures

from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

# Modules here with a ``figures()`` of their own; a section costs a minute or so.
SECTIONS = (
    "counting",
    "fleet",
    "langchain_agent",
    "crewai_calls",
    "agents_sdk",
    "llama_index_calls",
    "ledger_stores",
    "ledger_redis",
    "semantic",
)
CORE = "core"


def main() -> None:
    """Print the tables, and keep every figure in FILE if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="keep every figure in this file")
    choices = (CORE, *SECTIONS)
    parser.add_argument("--only", nargs="+", choices=choices, default=choices, metavar="SECTION")
    args = parser.parse_args()
    figures: dict[str, Any] = {"python": platform.python_version()}
    if CORE in args.only:
        figures |= core_figures()
    for name in SECTIONS:
        if name in args.only:
            say(f"measuring {name} ...")
            figures[name] = import_module(name).figures()
            print(f"{name}:")
            for place, value in leaves_of(figures[name]):
                print(f"  {place:64}{value}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def core_figures() -> dict[str, Any]:
    """Measure and print what core's own calls cost."""
    say("measuring imports ...")
    imports = import_figures()
    with Upstream(answer_tokens=200) as upstream:
        say("measuring calls ...")
        calls = call_figures(upstream)
        say("measuring streams ...")
        streams = stream_figures(upstream)
    print_tables(imports, calls + streams)
    return {"imports": imports, "calls": calls, "streams": streams}


def leaves_of(figures: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Give each figure with the path that leads to it."""
    if isinstance(figures, dict):
        for name, inner in figures.items():
            yield from leaves_of(inner, f"{place} {name}".strip())
    elif isinstance(figures, list):
        for number, inner in enumerate(figures):
            yield from leaves_of(inner, f"{place} {number}".strip())
    else:
        yield place, f"{figures:.6g}" if isinstance(figures, float) else str(figures)


def say(text: str) -> None:
    """Show that work goes on."""
    print(text, file=sys.stderr, flush=True)


def print_tables(imports: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print what was measured, a line a figure."""
    for statement in STATEMENTS:
        cost = imports[statement]
        print(
            f"{statement}: {cost['added_cpu_ms']:.0f} ms CPU above bare Python"
            f" ({imports['bare_cpu_ms']:.0f} ms), {cost['modules_added']} modules more,"
            f" heavy ones loaded: {', '.join(cost['heavy_loaded']) or 'none'}"
        )
    print(f"{'':9}{'size':12}{'what':28}{'CPU us':>10}{'fastest':>10}{'of bare':>9}{'a chunk':>9}")
    for row in rows:
        chunk = f"{row['us_per_chunk']:.2f}" if "us_per_chunk" in row else ""
        print(
            f"{row['way']:9}{row['size']:12}{row['what']:28}{row['median']:10.1f}"
            f"{row['fastest']:10.1f}{row['of_bare']:9.3f}{chunk:>9}"
        )


if __name__ == "__main__":
    main()
