"""The example of routing does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "routing" / "run.py"


def test_the_example_routes_by_task_and_by_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "simulated provider" in printed
    assert "orders    -> gpt-4o-mini: " in printed
    assert "disputes  -> gpt-4o: worth its cost" in printed
    assert "praise    -> gpt-4o: tag 'praise' has 0 of 50 outcomes" in printed
    assert "Is 7 prime?    Yes  (2 calls)" in printed
    assert "Is it urgent?  Yes, it is.  (3 calls)" in printed
