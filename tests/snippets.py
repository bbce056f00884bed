"""Run a page's Python blocks in their order and in one namespace, as a reader would type them."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import re
import warnings
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = re.compile(r"(?P<before>[^\n]*\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTED_OUT = re.compile(r"<!-- not run: (?P<reason>.*?)\s*-->")


class Snippet(NamedTuple):
    """A block of code and the line it starts in."""

    code: str
    line: int


def snippets_of(page: Path) -> Iterator[Snippet]:
    """Give a page's blocks, without those whose line before says ``<!-- not run: reason -->``."""
    text = page.read_text("utf-8")
    for block in BLOCK.finditer(text):
        opted_out = OPTED_OUT.search(block["before"] or "")
        if opted_out and not opted_out["reason"]:
            raise ValueError(f"{page.name}: a block that is not run needs a reason")
        if not opted_out:
            yield Snippet(block["code"], text.count("\n", 0, block.start("code")))


def run_page(page: Path, blocks: int | None = None) -> int:
    """Run the first ``blocks`` of a page, or all, and count them; errors name the page's line.

    A page closes no clients, as a reader at a prompt would not: they are collected here.
    """
    module = ModuleType("page")
    snippets = list(snippets_of(page))[:blocks]
    for snippet in snippets:
        code = compiled(snippet, str(page))
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, module.__dict__))
        else:
            exec(code, module.__dict__)
    module.__dict__.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return len(snippets)


def compiled(snippet: Snippet, name: str) -> CodeType:
    """Compile a block so that its tracebacks show the page; ``await`` may stand at the top."""
    lines = "\n" * snippet.line + snippet.code
    return compile(lines, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
