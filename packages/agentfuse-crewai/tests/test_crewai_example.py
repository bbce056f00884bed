"""The example runs as a user would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "crewai" / "run.py"


@pytest.mark.timeout(180)
def test_the_example_prints_a_receipt_and_a_stop(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "simulated" in done.stdout
    assert "first run" in done.stdout
    first, second = (
        line.rsplit(", ", 1)[1]
        for line in done.stdout.splitlines()
        if line.startswith(("first run", "second run"))
    )
    assert first == second
    assert "gpt-4o" in done.stdout
    assert "stopped: run 'small newsroom' has" in done.stdout
    assert "of 3" in done.stdout
