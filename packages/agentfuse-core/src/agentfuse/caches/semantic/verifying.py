"""Judges of a match beside the guard: a model, a cross-encoder; each with a limit of time."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Thread
from typing import Any

from agentfuse.scopes import scope

Verifier = Callable[[str, str], bool | Awaitable[bool]]
"""Says whether the answer to ``kept`` (second) answers ``asked`` (first): a function or coroutine
function. What it raises, and an answer that comes too late, is a no."""

# Judges that hang leave their thread behind; beyond this many a match goes unjudged, and is none.
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Jury:
    """Asks each of ``verifiers`` in turn, and gives each ``seconds``."""

    verifiers: tuple[Verifier, ...] = ()
    seconds: float = 2.0
    _room: BoundedSemaphore = field(
        default_factory=lambda: BoundedSemaphore(MOST_AT_ONCE), repr=False, compare=False
    )

    def objection(self, asked: str, kept: str) -> str:
        """Say who was against it and how; empty if all were for it."""
        for verifier in self.verifiers:
            said = self._ask(verifier, asked, kept)
            if said:
                return f"{getattr(verifier, '__name__', type(verifier).__name__)} {said}"
        return ""

    def _ask(self, verifier: Verifier, asked: str, kept: str) -> str:
        if not self._room.acquire(blocking=False):
            return "had no time"
        verdict: Future[bool] = Future()
        run = copy_context().run

        def judge() -> None:
            try:
                verdict.set_result(run(_judged, verifier, asked, kept))
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                verdict.set_exception(error)
            finally:
                self._room.release()

        Thread(target=judge, name="agentfuse-verifier", daemon=True).start()
        try:
            return "" if verdict.result(self.seconds) else "said no"
        except TimeoutError:
            return "took too long"
        except Exception:  # noqa: BLE001 - a judge's failure is a miss, and is counted as a veto
            return "failed"


def _judged(verifier: Verifier, asked: str, kept: str) -> bool:
    """Ask a judge, whose own calls through a fuse must not be judged in turn."""
    with scope(cache="exact"):
        said: Any = verifier(asked, kept)
        if inspect.isawaitable(said):
            import asyncio

            return bool(asyncio.run(_awaited(said)))
        return bool(said)


async def _awaited(said: Awaitable[bool]) -> bool:
    return await said
