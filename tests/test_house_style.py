"""Habits that a review would otherwise have to ask for, each time."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_FUNCTION = 40
LONGEST_FILE = 400
EMPTY_WORDS = ("base", "common", "handler", "helper", "manager", "misc", "util")
ENVIRONMENT_READERS = {"environ", "getenv", "environb", "getenvb"}
Functions = ast.FunctionDef | ast.AsyncFunctionDef
Sources = "dict[Path, ast.Module]"


def test_a_function_fits_on_one_screen(sources: Sources) -> None:
    long = [
        f"{place(path, node)} {node.name}: {lines_of(node)} lines"
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, Functions) and lines_of(node) > LONGEST_FUNCTION
    ]
    assert long == []


def test_a_file_has_one_job_and_fits_it(root: Path, sources: Sources) -> None:
    counts = {path: len((root / path).read_text("utf-8").splitlines()) for path in sources}
    assert [f"{path}: {n} lines" for path, n in counts.items() if n > LONGEST_FILE] == []


def test_no_module_or_class_is_named_for_nothing(sources: Sources) -> None:
    modules = [path for path in sources if is_empty(path.stem)]
    classes = [
        f"{place(path, node)} {node.name}"
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and is_empty(snake(node.name))
        # What a library calls its own (BaseHTTPRequestHandler) its heir may be called too.
        and not any(is_empty(snake(name_of(kind))) for kind in node.bases)
    ]
    assert [*modules, *classes] == []


def test_every_module_says_its_job(sources: Sources) -> None:
    assert [path for path, tree in sources.items() if not ast.get_docstring(tree)] == []


def test_everything_public_says_what_it_is_for(sources: Sources) -> None:
    silent = [
        f"{place(path, node)} {node.name}"
        for path, tree in sources.items()
        for node in public_of(tree)
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_no_error_is_swallowed_whole(sources: Sources) -> None:
    swallowed = [
        place(path, node)
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and catches_all(node) and does_nothing(node.body)
    ]
    assert swallowed == []


def test_only_settings_read_the_environment(sources: Sources) -> None:
    readers = [
        place(path, node)
        for path, tree in sources.items()
        if path.name != "settings.py"
        for node in ast.walk(tree)
        if reads_environment(node)
    ]
    assert readers == []


def test_nothing_is_printed_by_a_library(sources: Sources) -> None:
    printing = [
        place(path, node)
        for path, tree in sources.items()
        if "cli" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) == "print"
    ]
    assert printing == []


def test_every_package_says_it_is_typed(packages: list[Path]) -> None:
    assert [path.name for path in packages if not list(path.glob("src/*/py.typed"))] == []


def test_a_test_file_has_a_name_of_its_own(root: Path) -> None:
    paths = [*root.glob("tests/test_*.py"), *root.glob("packages/*/tests/**/test_*.py")]
    names = [path.name for path in paths]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_lock_file_is_kept(tracked: list[Path]) -> None:
    assert [path.name for path in tracked if path.name in {"uv.lock", "poetry.lock"}] == []


def place(path: Path, node: ast.AST) -> str:
    return f"{path}:{getattr(node, 'lineno', 0)}"


def lines_of(node: Functions) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def is_empty(name: str) -> bool:
    words = {word.removesuffix("s") for word in name.lower().strip("_").split("_")}
    return bool(words & set(EMPTY_WORDS))


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def public_of(tree: ast.Module | ast.ClassDef) -> Iterator[Functions | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, Functions | ast.ClassDef) and not node.name.startswith("_"):
            if not is_overload(node):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public_of(node)


def is_overload(node: Functions | ast.ClassDef) -> bool:
    names = {name_of(decorator) for decorator in node.decorator_list}
    return bool(names & {"overload", "override", "setter"})


def catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or name_of(kind) in {"Exception", "BaseException"} for kind in caught)


def does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(step, ast.Pass | ast.Continue)
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in body
    )


def reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in ENVIRONMENT_READERS and name_of(node.value) == "os"
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in ENVIRONMENT_READERS for alias in node.names)
    return False


def name_of(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
