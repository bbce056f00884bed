"""What every test of the workspace starts from: no keys, an empty home, and steady properties."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pathlib import Path

# What the SDKs and AgentFuse read: `OPENAI_API_KEY`, `DEEPSEEK_BASE_URL`, `AGENTFUSE_PRICES` ...
TELLING = ("_API_KEY", "_BASE_URL", "_API_BASE", "_AUTH_TOKEN", "_ORG_ID", "_PROJECT_ID")
TELLING_STARTS = (
    "AGENTFUSE_",
    "AZURE_OPENAI_",
    "LANGCHAIN_",
    "LANGSMITH_",
    "OPENAI_",
    "ANTHROPIC_",
)
# Where recorded answers lie that are too large to keep beside the code.
KEPT = {"AGENTFUSE_DATA"}

# Two busy cores: time says nothing about an example, and the same examples each time keep a red
# test red until it is understood. `HYPOTHESIS_PROFILE=long` looks further.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "long", settings.get_profile("steady"), derandomize=False, max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own AgentFuse home, and none of this machine's keys and addresses."""
    for name in os.environ:
        if name in KEPT:
            continue
        if name.endswith(TELLING) or name.startswith(TELLING_STARTS):
            monkeypatch.delenv(name)
    home = tmp_path / "agentfuse-home"
    monkeypatch.setenv("AGENTFUSE_HOME", str(home))
    return home
