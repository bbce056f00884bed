"""The bounds that the presets are held to, on the data they were set for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Preset, set, figure, whether it is the least or the most, per cent.
BOUNDS = (
    ("balanced", "stream_agent", "hits", "least", 62.0),
    ("balanced", "stream_agent", "wrong_per_request", "most", 0.4),
    ("balanced", "stream_banking77", "hits", "least", 30.0),
    ("balanced", "stream_banking77", "wrong_per_request", "most", 0.6),
    ("balanced", "stream_qqp", "wrong_per_request", "most", 1.0),
    ("balanced", "adversarial", "traps", "most", 2.0),
    ("balanced", "adversarial", "good", "least", 50.0),
    ("balanced", "conversations", "false", "most", 0.0),
    ("strict", "stream_agent", "wrong_per_request", "most", 0.1),
    ("strict", "stream_mixed", "wrong_per_request", "most", 0.1),
)


def checked(figures: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Say of each bound whose set was measured how it stands, and whether it holds."""
    measured = figures["streams"] | figures["pairs"] | figures["conversations"]
    for preset, name, figure, side, bound in BOUNDS:
        if name not in measured:
            continue
        seen = measured[name][preset][figure]["percent"]
        held = seen >= bound if side == "least" else seen <= bound
        yield f"{preset} {name} {figure}: {seen:.2f} %, at {side} {bound} %", held
