"""The example of a bad hour does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "resilience" / "run.py"
SET = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")


def test_the_example_falls_back_recovers_and_saves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SET:
        monkeypatch.setenv(name, "put back afterwards")
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "simulated provider" in printed
    assert printed.count("answered by claude-haiku-4-5 at attempt 3") == 2
    assert printed.count("breaker open: gpt-4o") == 2
    assert printed.count("after circuit_open") == 2
    assert "requests to gpt-4o: 7, of them answered: 1" in printed
    assert printed.count("prompt cache +") == 2
    assert "saved by prompt caching" in printed
