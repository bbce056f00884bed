"""Measure how right the counts and bills are, against what providers were recorded to bill.

    nox -s accuracy -- --data DIR --json FILE

DIR holds usage_pairs/<split>/*.jsonl.gz.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from counts import count_figures, print_counts

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print the tables, and keep every figure in FILE if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = os.environ.get("AGENTFUSE_DATA") or ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside, help="the recordings' folder")
    parser.add_argument("--json", type=Path, help="keep every figure in this file")
    args = parser.parse_args()
    if not any(args.data.glob("usage_pairs/*/*.jsonl.gz")):
        sys.exit(f"no recordings in {args.data}/usage_pairs/<split>/*.jsonl.gz")
    counts = count_figures(args.data)
    print_counts(counts)
    figures: dict[str, Any] = {"python": platform.python_version(), "counts": counts}
    figures["bills"] = _bills(args.data)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _bills(data: Path) -> dict[str, Any] | None:
    """Price the recorded usages as well."""
    try:
        from bills import bill_figures, print_bills
    except ImportError:
        return None
    figures = bill_figures(data)
    print_bills(figures)
    return figures


if __name__ == "__main__":
    main()
