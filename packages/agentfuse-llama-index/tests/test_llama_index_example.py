"""The example runs as its readers run it, on the simulated provider, and says what it cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "llama_index" / "run.py"


@pytest.mark.timeout(240)  # a busy machine takes a minute to import LlamaIndex anew
def test_the_example_does_what_it_shows() -> None:
    command = [sys.executable, str(EXAMPLE)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "SIMULATED" in lines[0]
    bookings = [line for line in lines if "are booked" in line and line[0] != " "]
    again = [line for line in bookings if line.startswith("Lisbon")][1]
    assert again.startswith("Lisbon: $0.000000, 5 answers from memory.")
    assert any("stopped. run 'travel desk' has" in line for line in lines)
    assert lines[-2].endswith("saved")
    assert "of $0.018 spent" in lines[-2]
