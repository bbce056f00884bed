"""What importing costs: CPU time and modules beyond a bare interpreter, each in fresh processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

HEAVY = ("redis", "faiss", "numpy", "torch", "openai", "anthropic", "genai_prices", "tiktoken")
TIMES = 9
PROBE = """
import json, sys, time
{statement}
own = sum(1 for name in sys.modules if name.split(".")[0] == "agentfuse")
heavy = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps([time.process_time(), len(sys.modules), own, heavy]))
"""


def import_figures() -> dict[str, object]:
    """Measure ``import agentfuse`` against a bare interpreter that runs the same probe."""
    bare = [_probe("") for _ in range(TIMES)]
    ours = [_probe("import agentfuse") for _ in range(TIMES)]
    return {
        "bare_cpu_ms": statistics.median(row[0] for row in bare) * 1000,
        "cpu_ms": statistics.median(row[0] for row in ours) * 1000,
        "added_cpu_ms": (
            statistics.median(row[0] for row in ours) - statistics.median(row[0] for row in bare)
        )
        * 1000,
        "modules_added": ours[0][1] - bare[0][1],
        "own_modules": ours[0][2],
        "heavy_loaded": ours[0][3],
    }


def _probe(statement: str) -> list[object]:
    code = PROBE.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
