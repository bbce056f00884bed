"""Which cosine is near enough: measured for a fingerprint, and for no other."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from agentfuse.errors import ConfigurationError

_MEASURED = Path(__file__).with_name("presets.toml")
PRESETS = ("strict", "balanced", "wide")
# What two repeats of an agent must have: several in a row, so each may be less sure.
LOOPS = "loops"


def threshold_of(fingerprint: str, preset: str) -> float:
    """Give the least cosine of a hit under a preset: "strict", "balanced" or "wide".

    "loops" is that of an agent's repeats in other words.

    Raises ConfigurationError for another word, and for an embedder that nobody has measured.
    """
    if preset not in {*PRESETS, LOOPS}:
        raise ConfigurationError(f"a preset is one of {', '.join(PRESETS)}, not {preset!r}")
    measured = _thresholds().get(fingerprint)
    if measured is None:
        raise ConfigurationError(
            f"no preset was measured for the embedder {fingerprint}, and another's would serve"
            " wrong answers: calibrate it on your own log, and give the threshold as a number"
        )
    return measured[preset]


@cache
def _thresholds() -> dict[str, dict[str, float]]:
    return tomllib.loads(_MEASURED.read_text("utf-8"))
