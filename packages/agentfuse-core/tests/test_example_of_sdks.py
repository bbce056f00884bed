"""The example of hand-written agents does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "sdks" / "run.py"


def test_the_example_remembers_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "simulated provider" in printed
    assert printed.count("requests on the wire: 2") == 1
    assert printed.count("requests on the wire: 0") == 1
    assert "Claude was stopped" in printed
    assert "refused: 1" in printed
