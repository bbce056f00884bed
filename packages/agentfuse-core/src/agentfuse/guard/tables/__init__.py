"""The word lists the rules read, each parsed once, at first use.

One group a line: members are set apart by commas, words of one meaning by ``=``, and the sides
of an opposition by ``/``. A ``#`` begins a comment; ``[kind]`` on a line of its own says what the
groups below it are.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@cache
def irregular_forms() -> Mapping[str, str]:
    """Give the words whose forms no ending tells: from each form to the word."""
    forms: dict[str, str] = {}
    for _, line in lines_of("irregular.txt"):
        word, _, others = line.partition(":")
        forms.update(dict.fromkeys(others.split(), word))
    return forms


@cache
def words_of(kind: str) -> frozenset[str]:
    """Give the plain words listed under a kind in words.txt, as they are written there."""
    return frozenset(
        word for found, line in lines_of("words.txt") if found == kind for word in line.split()
    )


def lines_of(name: str) -> Iterator[tuple[str, str]]:
    """Give each line of a table, with the kind it stands under."""
    kind = ""
    for line in files("agentfuse.guard.tables").joinpath(name).read_text("utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            kind = text.strip("[]")
        elif text:
            yield kind, text


def grouped() -> Iterator[tuple[str, list[list[str]]]]:
    """Give each group of the tables of meanings: its kind, and the words of each side."""
    for name, mark in (("opposites.txt", "/"), ("siblings.txt", ","), ("named.txt", ",")):
        for kind, line in lines_of(name):
            sides = [side.split("=") for side in line.split(mark)]
            yield kind, [[word.strip() for word in side if word.strip()] for side in sides]
    synonyms: defaultdict[str, list[list[str]]] = defaultdict(list)
    for kind, line in lines_of("synonyms.txt"):
        synonyms[kind].append([word.strip() for word in line.split("=")])
    yield from synonyms.items()
