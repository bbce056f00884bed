"""Where the workspace's own tests find what they read."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The workspace's folder."""
    return ROOT


@pytest.fixture(scope="session")
def packages() -> list[Path]:
    """Every package's folder."""
    return sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def sources() -> dict[Path, ast.Module]:
    """Every module of every package, parsed."""
    return parsed_sources()


@cache
def parsed_sources() -> dict[Path, ast.Module]:
    """Parse what the packages ship, keyed by the path from the workspace's folder."""
    paths = sorted(ROOT.glob("packages/*/src/**/*.py"))
    return {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}
