"""Nothing in the repository says from where, or on whose machine, it was made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A letter in brackets keeps each pattern from finding itself here.
REGISTRIES = (
    r"https?://[^\s\"'<>]*/simpl[e]\b",
    r"files\.pythonhoste[d]",
    r"registry\.npmj[s]",
    r"--(?:extra-)?index-ur[l][ =]+http",
    r"--find-link[s][ =]",
    r"file:[/]//",
)
PLACES = (
    r"(?<![\w.-])/wor[k]/",
    r"(?<![\w.-])/roo[t]/",
    r"(?<![\w.-])/hom[e]/\w",
    r"(?<![\w.-])/User[s]/\w",
    r"(?<![\w.-])/opt/(?:pyp|whe)",
    r"(?<![\w.-])/tmp/\w/",
)


def test_no_file_names_a_package_registry(tracked: list[Path], root: Path) -> None:
    assert list(found(REGISTRIES, tracked, root)) == []


def test_no_file_names_a_place_on_somebodys_machine(tracked: list[Path], root: Path) -> None:
    assert list(found(PLACES, tracked, root)) == []


def test_the_pins_are_versions_and_nothing_else(root: Path) -> None:
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!-]+( ; .+)?", line)] == []


def found(patterns: tuple[str, ...], files: list[Path], root: Path) -> Iterator[str]:
    wanted = re.compile("|".join(patterns))
    for path in files:
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:  # a vocabulary, a picture: nothing to read
            continue
        for number, line in enumerate(lines, 1):
            if hit := wanted.search(line):
                yield f"{path.relative_to(root)}:{number} {hit[0]}"
