"""The example does what it shows, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples/openai_agents/run.py"


def test_the_support_desk_stops_goes_on_and_remembers() -> None:
    run = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert run.returncode == 0, run.stderr
    assert "simulated gpt-4o" in run.stdout
    assert "nothing was sent" in run.stdout
    assert "handoff_output_item" in run.stdout
    assert run.stdout.count("refund {") == 2
    assert "The provider was asked 9 times." in run.stdout
    assert run.stdout.rstrip().endswith("5 of 14 answers from cache, $0.00299 saved")
