"""The packages are released together: one version, and siblings that ask for it."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def projects(packages: list[Path]) -> dict[str, dict[str, Any]]:
    """Every package's pyproject, by the name of its folder."""
    return {path.name: project_of(path) for path in packages}


@pytest.fixture(scope="module")
def workspace(root: Path) -> dict[str, Any]:
    """The root's own pyproject."""
    return project_of(root)


def test_a_folder_is_named_for_its_distribution(projects: dict[str, Any]) -> None:
    assert {folder: it["project"]["name"] for folder, it in projects.items()} == {
        folder: folder for folder in projects
    }


def test_all_packages_have_one_version(projects: dict[str, Any], workspace: dict[str, Any]) -> None:
    versions = {name: it["project"]["version"] for name, it in projects.items()}
    assert set(versions.values()) == {workspace["project"]["version"]}, versions


def test_a_package_says_its_own_version(packages: list[Path], workspace: dict[str, Any]) -> None:
    line = f'__version__ = "{workspace["project"]["version"]}"'
    inits = [init for package in packages for init in package.glob("src/*/__init__.py")]
    assert [init for init in inits if line not in init.read_text("utf-8").splitlines()] == []
    assert len(inits) == len(packages)


def test_siblings_ask_for_the_core_of_their_version(
    projects: dict[str, Any], workspace: dict[str, Any]
) -> None:
    minor = workspace["project"]["version"].rpartition(".")[0]
    wanted = re.compile(rf"agentfuse-core(\[[\w,-]+\])?=={re.escape(minor)}\.\*")
    loose = [
        f"{name}: {requirement}"
        for name, it in projects.items()
        for requirement in it["project"].get("dependencies", [])
        if requirement.startswith("agentfuse-") and not wanted.fullmatch(requirement)
    ]
    assert loose == []


def test_every_dependency_has_a_floor(projects: dict[str, Any]) -> None:
    floorless = [
        f"{name}: {requirement}"
        for name, it in projects.items()
        for requirement in requirements_of(it)
        if not re.search(r">=|==|~=", requirement)
    ]
    assert floorless == []


def test_the_root_names_every_member(projects: dict[str, Any], workspace: dict[str, Any]) -> None:
    named = {each.partition(";")[0] for each in workspace["project"]["dependencies"]}
    assert named == set(projects)
    assert set(workspace["tool"]["uv"]["sources"]) == set(projects)


def test_every_package_has_its_own_news(
    projects: dict[str, Any], workspace: dict[str, Any]
) -> None:
    sections = {it["name"] for it in workspace["tool"]["towncrier"]["type"]}
    assert set(projects) <= sections


def project_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


def requirements_of(project: dict[str, Any]) -> list[str]:
    lists = (
        project["project"].get("dependencies", []),
        *project["project"].get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
    )
    # A group that asks for core's extras means the core beside it.
    return [it for it in chain.from_iterable(lists) if not it.startswith("agentfuse-core[")]
