"""Where the workspace's own tests find what they read."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentfuse.testing import Upstream

ROOT = Path(__file__).parents[1]
# Anthropic's SDK adds the version to its address by itself.
ADDRESSES = {"OPENAI": "{}/v1", "ANTHROPIC": "{}", "DEEPSEEK": "{}/v1"}


@pytest.fixture(scope="session")
def root() -> Path:
    """The workspace's folder."""
    return ROOT


# CrewAI and the Agents SDK report to their makers unless told not to.
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
}


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


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the frameworks from reporting, and from writing anywhere else."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def simulated_providers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> Iterator[Upstream]:
    """A local provider at which every SDK's variables point, in a folder of its own."""
    from agentfuse.testing import Upstream

    monkeypatch.chdir(tmp_path)
    with Upstream(models=["deepseek-chat"]) as upstream:
        for provider, url in ADDRESSES.items():
            monkeypatch.setenv(f"{provider}_BASE_URL", url.format(upstream.url))
            monkeypatch.setenv(f"{provider}_API_KEY", "sk-upstream")
        yield upstream
