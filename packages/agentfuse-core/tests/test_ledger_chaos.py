"""A short run of the chaos session: whatever breaks, the ledger agrees with the provider."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[3] / "chaos" / "run.py"


@pytest.mark.timeout(180)
def test_kills_repeats_and_cuts_leave_the_books_agreeing_to_the_nanodollar(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    options = ["--ledger=redis", "--seconds=10", "--seed=7", f"--json={kept}"]
    done = subprocess.run(
        [sys.executable, str(RUN), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(kept.read_text())
    faults = figures["faults"]
    assert min(faults["kills"], faults["cuts"], len(faults["emptied"])) > 0
    assert all(sum(row["causes"].values()) == row["beyond"] for row in figures["rounds"])
    last = figures["rounds"][-1]
    assert last["calls"] > 100
    assert last["after"] + last["lost"] == last["billed"] <= last["limit"] + last["beyond"]
