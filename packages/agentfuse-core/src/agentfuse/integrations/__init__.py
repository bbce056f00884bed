"""Signposts: each module here shows what a sibling package exports, or says how to get it."""

from __future__ import annotations

from typing import NoReturn


def point_to(distribution: str, error: ModuleNotFoundError) -> NoReturn:
    """Raise ImportError with what to install; a sibling's own missing part is raised as it is."""
    if error.name != distribution.replace("-", "_"):
        raise error
    raise ImportError(f"it is a package of its own: pip install {distribution}") from error
