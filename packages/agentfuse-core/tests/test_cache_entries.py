"""A reply written as text is read back exactly, and nothing else is read at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from agentfuse.caches.entries import reply_of, text_of
from agentfuse.messages import Choice, Reply, Text
from agentfuse.testing.cache_contract import WHOLE
from agentfuse.testing.replies import replies

if TYPE_CHECKING:
    from decimal import Decimal


@settings(max_examples=150, deadline=None)
@given(reply=replies)
def test_any_reply_comes_back_exactly(reply: Reply) -> None:
    """Every part, block, count and Decimal is as it was, and so is the next writing."""
    text = text_of(reply)
    again = reply_of(text)
    assert again == reply
    assert text_of(again) == text
    assert text.isascii()


def test_a_cost_keeps_its_digits() -> None:
    """Decimal('0.00001230') does not become 0.0000123."""

    def cost_of(reply: Reply) -> Decimal | None:
        return reply.report.reported_cost if reply.report else None

    assert str(cost_of(reply_of(text_of(WHOLE)))) == str(cost_of(WHOLE))


def test_a_plain_answer_is_short() -> None:
    """Defaults are not written."""
    reply = Reply(choices=(Choice(parts=(Text("hi"),), finish_reason="stop"),))
    assert len(text_of(reply)) < 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"v":1}',
        '{"v":1,"choices":[{"parts":[{"is":"song"}],"tool_calls":[]}]}',
        '{"v":1,"choices":[],"color":"red"}',
        '{"v":1,"choices":[],"report":{"items":[],"reported_cost":"much"}}',
    ],
)
def test_anything_else_is_told_apart(text: str) -> None:
    """A damaged entry is a ValueError, never a wrong answer."""
    with pytest.raises(ValueError, match="not a kept reply"):
        reply_of(text)


def test_another_versions_entry_is_not_read() -> None:
    """An entry of a later version may mean something else."""
    kept = json.loads(text_of(WHOLE))
    kept["v"] += 1
    with pytest.raises(ValueError, match="another version"):
        reply_of(json.dumps(kept))
