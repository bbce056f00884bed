"""The fused model: any model of the SDK, with a budget, a memory and a receipt."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from agents import Model
from agents.retry import ModelRetryAdvice

from agentfuse.errors import AgentFuseError, ConfigurationError
from agentfuse.runtime.fuses import fuse_of
from agentfuse.runtime.retries import warn_of_two_owners
from agentfuse_openai_agents.calls import Behind, FusedCall
from agentfuse_openai_agents.requests import Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Unpack

    from agents import (
        AgentOutputSchemaBase,
        Handoff,
        ModelResponse,
        ModelSettings,
        ModelTracing,
        Tool,
        TResponseInputItem,
    )
    from agents.items import TResponseStreamEvent
    from agents.retry import ModelRetryAdviceRequest
    from openai.types.responses.response_prompt_param import ResponsePromptParam

    from agentfuse import Fuse
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

_OWN = frozenset({"_behind"})


class AgentFuseModel(Model):
    """Your model with a fuse before it: every paid call is budgeted, remembered and receipted.

    ``Agent(model=AgentFuseModel(inner, budget="$5.00"))`` takes any model of the SDK as ``inner``.
    Give a ``budget`` (any of ``"$5.00"``, ``Decimal("5")``, ``5``) with the options of ``Fuse``,
    or a ``fuse`` that other models share; with neither, calls are remembered and priced, and not
    limited. Raises ConfigurationError for anything else, BudgetStop from calls that are stopped.

    What it does not know is the inner model's: attributes that are read or set go there.
    """

    def __init__(
        self,
        inner: Model,
        budget: Dollars | None = None,
        *,
        fuse: Fuse | None = None,
        **options: Unpack[Options],
    ) -> None:
        _check(inner)
        paying = fuse_of(budget, fuse, options)
        warn_of_two_owners(paying, getattr(inner, "_client", None))
        self._behind = Behind(inner, paying, renamed(inner))

    @classmethod
    def served(cls, behind: Behind) -> AgentFuseModel:
        """Fuse a model of a provider, which gives the ones that a downgrade names."""
        model = cls(behind.inner, fuse=behind.fuse)
        model._behind = behind
        return model

    @property
    def fuse(self) -> Fuse:
        """The budget, cache and receipt behind this model."""
        return self._behind.fuse

    @property
    def inner(self) -> Model:
        """The bare model: its calls are not metered."""
        return self._behind.inner

    async def get_response(  # noqa: PLR0913, PLR0917 - the SDK's own signature
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's own name
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> ModelResponse:
        """Answer from memory, or ask the inner model; raises BudgetStop."""
        call = Call(
            system_instructions=system_instructions,
            input=input,
            model_settings=model_settings,
            tools=tools,
            output_schema=output_schema,
            handoffs=handoffs,
            tracing=tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        return await FusedCall(self._behind, call).answer()

    def stream_response(  # noqa: PLR0913, PLR0917 - the SDK's own signature
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],  # noqa: A002 - the SDK's own name
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff[Any, Any]],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
        prompt: ResponsePromptParam | None = None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Replay a remembered answer, or stream the inner model's; its events raise BudgetStop.

        Closing it closes the provider's stream and settles what was streamed.
        """
        call = Call(
            system_instructions=system_instructions,
            input=input,
            model_settings=model_settings,
            tools=tools,
            output_schema=output_schema,
            handoffs=handoffs,
            tracing=tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        return FusedCall(self._behind, call, stream=True).events()

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """Advise against repeating what AgentFuse itself stopped; else as the inner model does."""
        if isinstance(request.error, AgentFuseError):
            reason = str(request.error)
            return ModelRetryAdvice(suggested=False, replay_safety="unsafe", reason=reason)
        return self.inner.get_retry_advice(request)

    async def close(self) -> None:
        """Close the inner model."""
        await self.inner.close()

    async def _cleanup_on_run_end(self, owner: object) -> None:
        await self.inner._cleanup_on_run_end(owner)  # noqa: SLF001 - the runner's call, passed on

    def __deepcopy__(self, memo: dict[int, Any]) -> AgentFuseModel:
        """Copy the model; the money behind it stays one."""
        return AgentFuseModel(copy.deepcopy(self.inner, memo), fuse=self.fuse)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self.inner, name, value)


def _check(inner: object) -> None:
    if isinstance(inner, AgentFuseModel):
        raise ConfigurationError(
            f"this model is fused already, with {inner.fuse.receipt()}: use it as it is, or give"
            " its .inner"
        )
    if not isinstance(inner, Model):
        raise ConfigurationError(
            f"inner must be a model such as OpenAIResponsesModel(...), not {type(inner).__name__}:"
            " models by name come from AgentFuseModelProvider"
        )


def renamed(inner: Model) -> Callable[[str], Model]:
    """Give a function that copies a model under another name; clients are shared."""
    copies: dict[str, Model] = {}

    def other(name: str) -> Model:
        if not isinstance(getattr(inner, "model", None), str):
            raise ConfigurationError(
                f"cannot ask {name!r} instead: {type(inner).__name__} does not name its model, so"
                " a downgrade needs AgentFuseModelProvider"
            )
        if name not in copies:
            copied: Any = copy.copy(inner)
            copied.model = name
            _let_go(copied)
            copies[name] = copied
        return copies[name]

    return other


def _let_go(copied: Any) -> None:
    """Let a copy open a websocket of its own: a connection belongs to one model."""
    forget = getattr(copied, "_clear_websocket_connection_state", None)
    if forget is not None:
        forget()
        copied._ws_request_lock = None  # noqa: SLF001 - of a copy of our own making
