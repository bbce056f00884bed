"""Which model a router chose for a call, and why: on the ticket, on the receipt, and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentfuse.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which model a router chose for a call that asked for ``asked``, and why.

    ``p_ok`` is the expected score (0 to 1) and ``expected_cost`` the price in nanodollars of each
    candidate that could take the call. ``propensity`` is the chance with which ``model`` was
    chosen (1 where nothing was drawn). ``policy_id`` names what was learned when it was made. An
    empty ``provider`` is the one that was asked.
    """

    id: str
    model: str
    asked: str
    provider: str = ""
    p_ok: Mapping[str, float] = NOTHING
    expected_cost: Mapping[str, int] = NOTHING
    reason: str = ""
    policy_id: str = ""
    propensity: float = 1.0
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A call for which a router chose the model, the one asked for or another."""

    id: str
    decision: Decision
