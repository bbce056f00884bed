"""What importing costs: CPU time and modules beyond a bare interpreter, each in fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any

HEAVY = ("redis", "faiss", "numpy", "torch", "openai", "anthropic", "genai_prices", "tiktoken")
STATEMENTS = ("import agentfuse", "from agentfuse import Fuse, completion")
TIMES = 9
PROBE = """
import json, sys, time
{statement}
own = sum(1 for name in sys.modules if name.split(".")[0] == "agentfuse")
heavy = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps([time.process_time(), len(sys.modules), own, heavy]))
"""


def import_figures() -> dict[str, object]:
    """Measure imports against a bare interpreter that runs the same probe."""
    bare = [_probe("") for _ in range(TIMES)]
    return {"bare_cpu_ms": _cpu_ms(bare)} | {
        statement: _figures(statement, bare) for statement in STATEMENTS
    }


def _figures(statement: str, bare: list[list[Any]]) -> dict[str, object]:
    _probe(statement)  # compiles
    rows = [_probe(statement) for _ in range(TIMES)]
    return {
        "added_cpu_ms": _cpu_ms(rows) - _cpu_ms(bare),
        "modules_added": rows[0][1] - bare[0][1],
        "own_modules": rows[0][2],
        "heavy_loaded": rows[0][3],
    }


def _cpu_ms(rows: list[list[Any]]) -> float:
    return statistics.median(row[0] for row in rows) * 1000


def _probe(statement: str) -> list[Any]:
    """Run the statement in a fresh interpreter that finds its byte code, as installed ones do."""
    code = PROBE.format(statement=statement, heavy=HEAVY)
    done = subprocess.run(  # noqa: S603 - our own interpreter and probe
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_compiled()
    )
    found: list[Any] = json.loads(done.stdout)
    return found


@cache
def _compiled() -> dict[str, str]:
    """Keep byte code in a folder of our own, whatever this machine does with it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": tempfile.mkdtemp(prefix="agentfuse-bench-")}
