"""The README's first screen is true: what it shows works, what it says to type is what CI types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from snippets import run_page

if TYPE_CHECKING:
    from pathlib import Path

    from agentfuse.testing import Upstream


@pytest.fixture
def readme(root: Path) -> str:
    """The README's text."""
    return (root / "README.md").read_text("utf-8")


def test_the_first_screen_asks_once_and_remembers(
    root: Path, simulated_providers: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    run_page(root / "README.md", blocks=1)
    assert len(simulated_providers.requests) == 1
    assert "$5.00" in capsys.readouterr().out


@pytest.mark.usefixtures("simulated_providers")
def test_all_of_the_readme_runs(root: Path, readme: str) -> None:
    assert run_page(root / "README.md") == readme.count("```python")


def test_ci_types_what_the_readme_says(root: Path, readme: str) -> None:
    commands = re.findall(r"^(pip install nox uv && nox -s tests)\b", readme, re.MULTILINE)
    assert commands == ["pip install nox uv && nox -s tests"]
    assert commands[0] in (root / ".ci/run").read_text("utf-8").splitlines()


def test_every_nox_session_the_readme_names_exists(root: Path, readme: str) -> None:
    sessions = set(
        re.findall(r"^def (\w+)\(session", (root / "noxfile.py").read_text(), re.MULTILINE)
    )
    assert set(re.findall(r"nox -s (\w+)", readme)) <= sessions


def test_the_readme_lists_every_package(packages: list[Path], readme: str) -> None:
    assert [path.name for path in packages if f"| `{path.name}` |" not in readme] == []
