"""Which way the arrows point, and what an import may not bring along."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from importlinter.cli import lint_imports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAVY = {
    *("anthropic", "faiss", "genai_prices", "httpx", "numpy", "openai"),
    *("pydantic", "redis", "sqlite3", "tiktoken", "torch"),
}
IMPORT_SECONDS = 0.100
RUNS = 5  # the best counts: a busy machine slows a run down and never speeds one up
TIMED = """
import json, sys, time
before, start = set(sys.modules), time.process_time()
{statement}
seconds = time.process_time() - start
new = set(sys.modules) - before
print(json.dumps([seconds, sorted(set(name.partition(".")[0] for name in new))]))
"""


def test_the_arrows_point_down(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True, no_logo=True)
    assert code == 0, capsys.readouterr().out


def test_a_sibling_imports_core_and_no_other_sibling(packages: list[Path]) -> None:
    names = {path.name: import_name_of(path) for path in packages}
    astray = [
        f"{path} imports {imported}"
        for package in packages
        for path in package.rglob("src/**/*.py")
        for imported in imports_of(path)
        if imported in names.values()
        and imported not in {names[package.name], "agentfuse"}
        and "integrations" not in path.parts  # core's signposts show the way to the siblings
    ]
    assert astray == []


# Names come when they are first asked for, so the bare import alone would prove too little.
@pytest.mark.parametrize("statement", ["import agentfuse", "from agentfuse import *"])
def test_importing_agentfuse_loads_nothing_heavy(statement: str, tmp_path: Path) -> None:
    assert HEAVY & timed_import(tmp_path, statement)[1] == set()


def test_importing_agentfuse_takes_under_a_tenth_of_a_second(tmp_path: Path) -> None:
    timed_import(tmp_path)  # compiles
    assert min(timed_import(tmp_path)[0] for _ in range(RUNS)) < IMPORT_SECONDS


def timed_import(compiled: Path, statement: str = "import agentfuse") -> tuple[float, set[str]]:
    """Import agentfuse in a Python of its own: CPU seconds, and the modules that came with it.

    ``compiled`` keeps the byte code, as an installation does: this process may be told not to.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(compiled)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = subprocess.run(
        [sys.executable, "-c", TIMED.format(statement=statement)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    seconds, modules = json.loads(run.stdout)
    return seconds, set(modules)


def import_name_of(package: Path) -> str:
    return next(path.parent.name for path in package.glob("src/*/py.typed"))


def imports_of(path: Path) -> Iterator[str]:
    """Name the top-level packages that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
