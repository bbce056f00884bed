"""The example of long conversations and loops does what it says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "context" / "run.py"


def test_the_example_shortens_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    whole, short = (
        int(number.replace(",", "")) for number in re.findall(r"([\d,]+) input tokens", printed)
    )
    assert short < 0.25 * whole
    assert printed.count("last request: True") == 4
    assert "after 4 calls: loop detected" in printed
