"""A simulated provider, and bare and fused LLMs that speak to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

from agentfuse import Fuse
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llama_index.core.llms import LLM

KEY = "sk-upstream"
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


def pytest_configure(config: pytest.Config) -> None:
    """Leave LlamaIndex's own store of chat memories to the garbage collector, as it does itself."""
    noise = "ignore:<aiosqlite.core.Connection object:ResourceWarning"
    config.addinivalue_line("filterwarnings", noise)


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def up(serving: Upstream) -> Upstream:
    """A provider that has not been asked anything yet."""
    serving.wait_idle()
    serving.reset()
    return serving


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture
def bare_of(up: Upstream) -> Callable[..., LLM]:
    """Make a bare LLM of a vendor that speaks to the simulated provider."""

    def make(vendor: str, **params: Any) -> LLM:
        # A kept connection belongs to the event loop that opened it, and each test has its own.
        alone = {"Connection": "close"}
        words = {"model": MODELS[vendor], "api_key": KEY, "default_headers": alone, **params}
        if vendor == "openai":
            return OpenAI(**{"api_base": up.openai_url, **words})
        return Anthropic(**{"base_url": up.anthropic_url, **words})

    return make


@pytest.fixture(params=sorted(MODELS))
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)
