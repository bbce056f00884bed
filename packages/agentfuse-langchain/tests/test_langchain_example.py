"""The example runs as written, and its receipt is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "langchain" / "run.py"


@pytest.mark.timeout(180)  # a Python of its own, with LangChain to import, on a busy machine
def test_the_example_ends_within_its_budget(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "AGENTFUSE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "simulated" in run.stdout
    assert "766, says the gazetteer" in run.stdout
    assert "! 90% of the budget is spent" in run.stdout
    assert "I could not pay for a search about Zugspitze" in run.stdout
    receipt = run.stdout.split("--- Receipt")[1]
    spent = re.search(r"\$([\d.]+) of \$0\.06 spent, 3 of 17 answers from cache", receipt)
    assert spent is not None
    assert Decimal("0.05") < Decimal(spent[1]) <= Decimal("0.06")
    assert "asked of a cheaper model: 5" in receipt
