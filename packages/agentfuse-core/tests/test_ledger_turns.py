"""Turns at a ledger's file: a turn is left whole while its process goes on, and no longer."""

from __future__ import annotations

import struct
import sys
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from agentfuse.ledgers.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="turns need POSIX locks")


def yes() -> bool:
    """Say that the lock was had, or that another writes."""
    return True


def no() -> bool:
    """Say that another has stopped writing."""
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_a_turn_is_left_whole_while_its_process_writes(path: Path) -> None:
    first, second = Turns(path), Turns(path)
    assert first.take(yes, no, 1.0)
    began: list[float] = []

    def begin() -> bool:
        began.append(time.monotonic())
        return True

    assert second.take(begin, yes, 1.0)
    assert began[0] >= first.until
    assert second.until > first.until


def test_a_process_that_writes_no_more_is_not_waited_for(path: Path) -> None:
    """Asked first for what was written before, and then once more."""
    first, second = Turns(path), Turns(path)
    assert first.take(yes, no, 1.0)
    asked = count(1)
    assert second.take(yes, lambda: next(asked) < 2, 1.0)
    assert next(asked) <= 3


def test_a_process_whose_turn_was_taken_lines_up_again(path: Path) -> None:
    first, second = Turns(path), Turns(path)
    assert first.take(yes, no, 1.0)
    assert second.take(yes, no, 1.0)
    asked = count()
    assert first.take(yes, lambda: next(asked) < 0, 1.0)
    assert next(asked) >= 1


@pytest.mark.parametrize(
    "written", [struct.pack("<d", 1e12), struct.pack("<d", float("nan")), b"x"]
)
def test_what_is_written_by_nobody_holds_up_nobody(path: Path, written: bytes) -> None:
    """The end of a turn before the machine started anew, or what was never one."""
    path.with_name("ledger.db-turn").write_bytes(written)
    asked = count()
    assert Turns(path).take(yes, lambda: next(asked) >= 0, 1.0)
    assert next(asked) == 1


def test_a_process_goes_on_while_nobody_else_had_a_turn(path: Path) -> None:
    first, second = Turns(path), Turns(path)
    assert not first.goes_on()
    assert first.take(yes, no, 1.0)
    ended = first.until
    time.sleep(max(0.0, ended - time.monotonic()))
    assert first.goes_on()
    assert first.until > ended
    assert second.take(yes, no, 1.0)
    time.sleep(max(0.0, first.until - time.monotonic()))
    assert not first.goes_on()


def test_a_lock_that_is_never_had_is_waited_for_as_long_as_it_is_said(path: Path) -> None:
    assert not Turns(path).take(no, no, 0.01)
