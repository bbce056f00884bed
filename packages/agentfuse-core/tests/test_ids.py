"""Ids are unique, and grow with time."""

from __future__ import annotations

import time

from agentfuse.runtime.ids import new_id


def test_ids_differ_and_have_one_length() -> None:
    ids = {new_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(each) for each in ids} == {32}


def test_a_later_id_sorts_after_an_earlier_one() -> None:
    """So that a database which is sorted by them writes few pages."""
    first = new_id()
    time.sleep(0.002)
    assert first < new_id()
