"""The example of the help desk does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "semantic" / "run.py"


def test_the_example_tells_near_questions_apart(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "simulated provider" in printed
    assert "2 of 6 answers from cache" in printed
    assert "2 of 6 lookups hit" in printed
    assert "forgotten: True" in printed
    assert "no threshold keeps wrong answers below 1.00%" in printed
