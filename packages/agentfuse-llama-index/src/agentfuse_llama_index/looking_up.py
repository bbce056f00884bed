"""What a function of LlamaIndex looks up: one that looks up more than we know is left to itself."""

from __future__ import annotations

from inspect import iscode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType


def looks_up_only(function: Any, names: str) -> bool:
    """Say whether a function, with all in it, looks up no other names than these."""
    code = getattr(function, "__code__", None)
    return code is not None and _names_in(code) <= set(names.split())


def _names_in(code: CodeType) -> set[str]:
    within = [_names_in(each) for each in code.co_consts if iscode(each)]
    return set(code.co_names).union(*within)
