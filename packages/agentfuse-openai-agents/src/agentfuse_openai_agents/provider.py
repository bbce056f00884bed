"""The fused provider: models by name, all on one budget and one memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import ModelProvider, MultiProvider

from agentfuse.errors import ConfigurationError
from agentfuse.runtime.fuses import fuse_of
from agentfuse_openai_agents.calls import Behind
from agentfuse_openai_agents.model import AgentFuseModel
from agentfuse_openai_agents.places import place_of

if TYPE_CHECKING:
    from typing import Unpack

    from agents import Model

    from agentfuse import Fuse
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options


class AgentFuseModelProvider(ModelProvider):
    """Your model provider with a fuse before each of its models: one budget, one memory.

    ``RunConfig(model_provider=AgentFuseModelProvider(budget="$5.00"))`` covers every agent of a run
    whose model is given by name, agents used as tools included. ``inner`` is any provider, the
    SDK's ``MultiProvider`` if none is given; budget, fuse and options are those of
    ``AgentFuseModel``. A downgrade asks ``inner`` for the other model, under its provider's name
    (``anthropic/claude-haiku-4-5``) where that is another one.
    """

    def __init__(
        self,
        inner: ModelProvider | None = None,
        budget: Dollars | None = None,
        *,
        fuse: Fuse | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._inner = MultiProvider() if inner is None else _checked(inner)
        self._fuse = fuse_of(budget, fuse, options)

    @property
    def fuse(self) -> Fuse:
        """The budget, cache and receipt behind all models of this provider."""
        return self._fuse

    @property
    def inner(self) -> ModelProvider:
        """The bare provider: calls of its models are not metered."""
        return self._inner

    def get_model(self, model_name: str | None) -> Model:
        """Give a model by name, fused; one that has a fuse of its own keeps that."""
        model = self._inner.get_model(model_name)
        if isinstance(model, AgentFuseModel):
            return model
        name, spoken = model_name or "", place_of(model).spoken
        prefix = name.removesuffix(spoken) if name.endswith(spoken) else ""
        others = self._inner.get_model
        return AgentFuseModel.served(Behind(model, self._fuse, others, prefix, routes=True))

    async def aclose(self) -> None:
        """Close the inner provider."""
        await self._inner.aclose()

    def __getattr__(self, name: str) -> Any:
        if name in {"_inner", "_fuse"} or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self._inner, name)


def _checked(inner: object) -> ModelProvider:
    if not isinstance(inner, ModelProvider):
        raise ConfigurationError(
            f"inner must be a model provider such as OpenAIProvider(), not {type(inner).__name__}"
        )
    return inner
