"""Filling a semantic cache before its users come, a few at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Item = str | tuple[str, str]
"""A prompt to ask, or a prompt with its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What a warm-up did: how many were ``kept`` or asked, and which not.

    ``skipped`` may not be kept; ``failed`` are prompts with the errors they met.
    """

    kept: int
    skipped: tuple[str, ...] = ()
    failed: tuple[tuple[str, Exception], ...] = ()


def warm(
    items: Iterable[Item],
    *,
    keep: Callable[[str, str], bool],
    ask: Callable[[str], object] | None,
    concurrency: int,
    progress: Callable[[int, int], object] | None,
) -> Warmed:
    """Keep pairs and ask prompts, ``concurrency`` at a time; what fails stops nothing.

    Raises ConfigurationError for a prompt without an answer where there is nobody to ``ask``.
    """
    listed = list(items)
    _require_room(listed, ask, concurrency)

    def one(item: Item) -> bool:
        if isinstance(item, str):
            if ask is not None:
                ask(item)
            return True
        return keep(*item)

    skipped: list[str] = []
    failed: list[tuple[str, Exception]] = []
    with ThreadPoolExecutor(concurrency, "agentfuse-warm-up") as pool:
        waiting = {pool.submit(copy_context().run, one, item): item for item in listed}
        for done, future in enumerate(as_completed(waiting), 1):
            prompt = _prompt_of(waiting[future])
            error = future.exception()
            if isinstance(error, Exception):
                failed.append((prompt, error))
            elif not future.result():
                skipped.append(prompt)
            if progress is not None:
                progress(done, len(listed))
    kept = len(listed) - len(skipped) - len(failed)
    return Warmed(kept=kept, skipped=tuple(skipped), failed=tuple(failed))


def _prompt_of(item: Item) -> str:
    return item if isinstance(item, str) else item[0]


def _require_room(listed: Sequence[Item], ask: object, concurrency: int) -> None:
    if concurrency < 1:
        raise ConfigurationError(f"concurrency must be one or more, not {concurrency!r}")
    if ask is None and any(isinstance(item, str) for item in listed):
        raise ConfigurationError(
            "a prompt without an answer needs ask=: a function that asks through a fuse with this"
            " cache, such as lambda prompt: completion(model, [...], fuse=fuse)"
        )
