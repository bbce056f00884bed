"""The evaluation of the loop detector runs, and real agents' loops are told from their work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_recorded_agents_are_judged_rightly(tmp_path: Path) -> None:
    kept = tmp_path / "loops.json"
    script = ROOT / "evals" / "loops" / "run.py"
    done = subprocess.run(
        [sys.executable, str(script), "--each", "2", "--json", str(kept)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    recorded = json.loads(kept.read_text("utf-8"))["recorded"]
    assert recorded["sums"]["recall"] == recorded["sums"]["precision"] == 1.0
    assert max(recorded["kinds"]["recorded, with a loop"]["rounds"]) <= 5
    assert "precision" in done.stdout
