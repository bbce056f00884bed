"""A simulated provider, and bare and fused models that speak to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import set_tracing_disabled
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from openai import AsyncOpenAI

from agentfuse import Fuse
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents import Model

KEY = "sk-upstream"
MODELS = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Send no traces anywhere; the tests that look at spans switch them on."""
    set_tracing_disabled(disabled=True)
    yield
    set_tracing_disabled(disabled=True)


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def up(serving: Upstream) -> Upstream:
    """A provider that has not been asked anything yet."""
    serving.wait_idle()
    serving.reset()
    serving.slow()
    return serving


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture(params=sorted(MODELS))
def api(request: pytest.FixtureRequest) -> str:
    """Go through OpenAI's two APIs."""
    return str(request.param)


@pytest.fixture
def client(up: Upstream) -> AsyncOpenAI:
    # A kept connection belongs to the event loop that opened it, and each test has its own.
    alone = {"Connection": "close"}
    return AsyncOpenAI(
        api_key=KEY, base_url=up.openai_url, max_retries=0, default_headers=alone
    )


@pytest.fixture
def bare_of(client: AsyncOpenAI) -> Callable[..., Model]:
    """Make a bare model of one of OpenAI's APIs that speaks to the simulated provider."""

    def make(api: str, model: str = "gpt-4o", **words: Any) -> Model:
        return MODELS[api](model, client, **words)

    return make
