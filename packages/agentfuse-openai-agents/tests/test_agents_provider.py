"""The fused provider: models by name, and the way to cheaper ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, Model, ModelProvider, MultiProvider, RunConfig, Runner
from agents.models.multi_provider import MultiProviderMap
from agents.models.openai_provider import OpenAIProvider
from agents.models.openai_responses import OpenAIResponsesWSModel
from openai import AsyncOpenAI

from agentfuse import ConfigurationError, Fuse
from agentfuse.testing import Upstream
from agentfuse_openai_agents import AgentFuseModel, AgentFuseModelProvider
from agentfuse_openai_agents.model import renamed

BareOf = Callable[..., Model]
WordsOf = Callable[..., dict[str, Any]]


class Fixed(ModelProvider):
    """A provider of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.closed = False

    def get_model(self, model_name: str | None) -> Model:
        return self.model

    async def aclose(self) -> None:
        self.closed = True


async def test_a_prefix_leads_to_the_fused_provider(
    client: AsyncOpenAI, up: Upstream, fuse: Fuse
) -> None:
    routes = MultiProviderMap()
    inner = OpenAIProvider(openai_client=client, use_responses=False)
    routes.add_provider("fuse", AgentFuseModelProvider(inner, fuse=fuse))
    config = RunConfig(model_provider=MultiProvider(provider_map=routes), tracing_disabled=True)
    for _ in range(2):
        agent = Agent(name="a", model="fuse/gpt-4o")
        assert (await Runner.run(agent, "Hello?", run_config=config)).final_output
    assert [request.model for request in up.requests] == ["gpt-4o"]
    assert fuse.receipt().exact == 1


async def test_a_provider_forwards_what_is_not_its_own(fuse: Fuse, odd: Any) -> None:
    inner = Fixed(odd())
    provider = AgentFuseModelProvider(inner, fuse=fuse)
    assert (provider.inner, provider.fuse) == (inner, fuse)
    assert provider.model is inner.model
    with pytest.raises(AttributeError):
        _ = provider.nothing_of_the_kind
    await provider.aclose()
    assert inner.closed


def test_a_model_with_a_fuse_of_its_own_keeps_it(fuse: Fuse, odd: Any) -> None:
    own = AgentFuseModel(odd(), fuse=fuse)
    provider = AgentFuseModelProvider(Fixed(own), "$1", spend_book=False)
    assert provider.get_model("any") is own


def test_the_sdks_own_provider_is_the_default() -> None:
    assert isinstance(AgentFuseModelProvider(spend_book=False).inner, MultiProvider)


async def test_a_prefixed_name_steps_down_under_its_prefix(
    client: AsyncOpenAI, up: Upstream
) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-4o-mini"})
    fuse.record_tool_call("search", "$0.90")
    provider = AgentFuseModelProvider(MultiProvider(openai_client=client), fuse=fuse)
    config = RunConfig(model_provider=provider, tracing_disabled=True)
    await Runner.run(Agent(name="a", model="openai/gpt-4o"), "Hello?", run_config=config)
    assert [request.model for request in up.requests] == ["gpt-4o-mini"]


async def test_a_provider_reaches_another_providers_model(
    client: AsyncOpenAI, up: Upstream, odd: Any
) -> None:
    other = odd("from the other")
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"})
    fuse.record_tool_call("search", "$0.90")
    routes = MultiProviderMap()
    routes.add_provider("anthropic", Fixed(other))
    inner = MultiProvider(openai_client=client, provider_map=routes)
    config = RunConfig(
        model_provider=AgentFuseModelProvider(inner, fuse=fuse), tracing_disabled=True
    )
    result = await Runner.run(Agent(name="a", model="gpt-4o"), "Hello?", run_config=config)
    assert result.final_output == "from the other"
    assert up.calls == 0
    lost = AgentFuseModelProvider(MultiProvider(openai_client=client), fuse=fuse)
    config = RunConfig(model_provider=lost, tracing_disabled=True)
    with pytest.raises(ConfigurationError, match="no model 'anthropic/claude-haiku-4-5'"):
        await Runner.run(Agent(name="a", model="gpt-4o"), "Who?", run_config=config)


async def test_a_provider_falls_back_to_another_providers_model(
    client: AsyncOpenAI, up: Upstream, odd: Any
) -> None:
    up.fail(503, times=9)
    fuse = Fuse("$1", spend_book=False, fallbacks={"gpt-4o": ["anthropic/claude-haiku-4-5"]})
    routes = MultiProviderMap()
    routes.add_provider("anthropic", Fixed(odd("from the other")))
    inner = MultiProvider(openai_client=client, provider_map=routes)
    config = RunConfig(
        model_provider=AgentFuseModelProvider(inner, fuse=fuse), tracing_disabled=True
    )
    result = await Runner.run(Agent(name="a", model="gpt-4o"), "Hello?", run_config=config)
    assert result.final_output == "from the other"
    assert {request.model for request in up.requests} == {"gpt-4o"}


async def test_a_model_alone_reaches_no_other_provider(
    bare_of: BareOf, up: Upstream, words_of: WordsOf
) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "anthropic/claude-haiku-4-5"})
    fuse.record_tool_call("search", "$0.90")
    model = AgentFuseModel(bare_of("chat"), fuse=fuse)
    with pytest.raises(ConfigurationError, match="cannot ask anthropic"):
        await model.get_response(**words_of())
    assert (up.calls, fuse.open_leases()) == (0, ())


async def test_a_model_without_a_name_cannot_step_down(words_of: WordsOf, odd: Any) -> None:
    class Nameless(odd):
        model = None

    fuse = Fuse(
        "$1",
        spend_book=False,
        downgrade={"Nameless": "gpt-4o-mini"},
        prices={"Nameless": {"input": 10, "output": 30}},
    )
    fuse.record_tool_call("search", "$0.90")
    with pytest.raises(ConfigurationError):
        await AgentFuseModel(Nameless(), fuse=fuse).get_response(**words_of())


def test_a_copy_under_another_name_opens_a_websocket_of_its_own(client: AsyncOpenAI) -> None:
    inner = OpenAIResponsesWSModel("gpt-4o", client)
    inner._ws_connection = object()
    other = renamed(inner)("gpt-4o-mini")
    assert (other.model, other._ws_connection, other._client) == ("gpt-4o-mini", None, client)
    assert inner.model == "gpt-4o"
    assert inner._ws_connection is not None
