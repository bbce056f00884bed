"""Public means three things at once: exported, documented, and reached by a test."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Exports = "dict[str, list[str]]"


@pytest.fixture(scope="module")
def exports(packages: list[Path]) -> dict[str, list[str]]:
    """The public names of each package, and of the kits that it ships for other people's tests."""
    found: dict[str, list[str]] = {}
    for package in packages:
        for init in (
            *package.glob("src/*/__init__.py"),
            *package.glob("src/*/testing/__init__.py"),
        ):
            parts = init.parent.relative_to(package / "src").parts
            found[".".join(parts)] = exported_names(init)
    return found


def test_every_package_exports_something(exports: Exports, packages: list[Path]) -> None:
    assert [name for name, names in exports.items() if not names] == []
    assert len(exports) >= len(packages)


def test_exports_are_sorted_and_few(exports: Exports) -> None:
    assert {n: names for n, names in exports.items() if len(set(names)) != len(names)} == {}
    assert {n: len(names) for n, names in exports.items() if len(names) > 25} == {}


def test_every_exported_name_is_documented(exports: Exports, root: Path) -> None:
    words = {word for page in root.glob("docs/**/*.md") for word in code_words(page)}
    assert [
        f"{n}.{name}" for n, names in exports.items() for name in names if name not in words
    ] == []


def test_every_exported_name_is_reached_by_a_test(exports: Exports, root: Path) -> None:
    paths = [*root.glob("tests/**/*.py"), *root.glob("packages/*/tests/**/*.py")]
    reached = {use for path in paths for use in uses(ast.parse(path.read_text("utf-8")))}
    unreached = [
        f"{module}.{name}"
        for module, names in exports.items()
        for name in names
        if (module, name) not in reached
    ]
    assert unreached == []


def exported_names(init: Path) -> list[str]:
    """Read a literal ``__all__``."""
    for node in ast.parse(init.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def code_words(page: Path) -> Iterator[str]:
    """Give the words that a page shows as code, in a line or a block."""
    text = page.read_text("utf-8")
    for code in re.findall(r"```.*?```|`[^`\n]+`|^::: .*$", text, re.DOTALL | re.MULTILINE):
        yield from re.findall(r"\w+", code)


def uses(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Give (module, name) for what a test takes from a public package and then really uses."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) in used:
                    yield node.module or "", alias.name
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node.value), node.attr
