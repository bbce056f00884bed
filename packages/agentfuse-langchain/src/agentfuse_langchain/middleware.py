"""The agent's side of a budget: a graceful end, tools that cost, short histories, the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired
from weakref import finalize

from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
from langchain.agents.middleware.types import ModelResponse, OmitFromInput
from langchain_core.messages import AIMessage, ToolMessage

from agentfuse.errors import BudgetExceeded, ConfigurationError
from agentfuse.money import cost_of
from agentfuse.nothing import NOTHING
from agentfuse.runtime.fuses import fuse_of
from agentfuse_langchain.answers import MARK
from agentfuse_langchain.chat_model import AgentFuseChatModel, is_copy
from agentfuse_langchain.errors import IN_LANGCHAINS_TERMS
from agentfuse_langchain.scopes import ids_in, opened

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Unpack

    from langchain.agents.middleware.types import ModelRequest
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AnyMessage
    from langgraph.prebuilt.tool_node import ToolCallRequest
    from langgraph.runtime import Runtime
    from langgraph.types import Command

    from agentfuse import Fuse
    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

ALERTS = (0.6, 0.8, 0.9)
"""The shares of a limit that are told, once each in a conversation."""

ACCOUNT = "agentfuse"
"""The state's key, and that of what is written to the custom stream."""


class AgentFuseState(AgentState[Any]):
    """An agent's state with the account of its fuse."""

    agentfuse: NotRequired[Annotated[dict[str, Any], OmitFromInput]]


class AgentFuseMiddleware(AgentMiddleware[AgentFuseState, Any, Any]):
    """What only an agent's middleware can do about a budget; list it last.

    Give a ``budget`` with the options of ``Fuse``, or the ``fuse`` that models share. The agent's
    model is fused where it is not yet; a model with another fuse raises ConfigurationError. A stop
    ends the run with what it has so far and a last message that says why (``on_stop="end"``), or
    surfaces as BudgetStop (``"raise"``). ``tool_costs`` are dollars for each call of a tool: one
    that does not fit is not run, and the model is told. From a share of ``shorten_at`` of a limit
    on, old turns stay out of what the model is asked (``compress="keep_recent"``, unless another
    is given); None never shortens. A ``fuse`` that is shared has its own ``compress``.

    ``state["agentfuse"]`` tells ``receipt`` (``RunReceipt.to_dict()``), ``used`` (a share),
    ``alerts`` (``"60%"`` ...) and ``stopped`` (why, or ""); an alert that is new in a conversation
    is also written to the custom stream.
    """

    state_schema = AgentFuseState

    def __init__(
        self,
        budget: Dollars | None = None,
        *,
        fuse: Fuse | None = None,
        on_stop: Literal["end", "raise"] = "end",
        tool_costs: Mapping[str, Dollars] = NOTHING,
        shorten_at: float | None = 0.9,
        **options: Unpack[Options],
    ) -> None:
        super().__init__()
        if on_stop not in {"end", "raise"}:
            raise ConfigurationError(f"on_stop must be 'end' or 'raise', not {on_stop!r}")
        if shorten_at is not None and not 0 < shorten_at <= 1:
            raise ConfigurationError(f"shorten_at must be a share or None, not {shorten_at!r}")
        for cost in tool_costs.values():
            cost_of(cost)  # raises for what is no amount, before anything is spent
        self.tools = []
        if fuse is None and shorten_at is not None:
            options = {"compress": "keep_recent", "compress_at": shorten_at, **options}
        self.fuse = fuse_of(budget, fuse, options)
        self._ends = on_stop == "end"
        self._tool_costs = dict(tool_costs)
        self._models: dict[int, BaseChatModel] = {}

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Ask the fused model; end gracefully where the budget stops it."""
        prepared = self._prepared(request)
        try:
            return handler(prepared)
        except BudgetExceeded as stop:
            return self._ending(stop)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Do as ``wrap_model_call``, awaited."""
        prepared = self._prepared(request)
        try:
            return await handler(prepared)
        except BudgetExceeded as stop:
            return self._ending(stop)

    def wrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]],
    ) -> ToolMessage | Command[Any]:
        """Book what the tool costs and run it, or tell the model why it was not run."""
        try:
            self._charge(request)
            return handler(request)
        except BudgetExceeded as stop:
            return self._unrun(request, stop)

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Do as ``wrap_tool_call``, awaited."""
        try:
            self._charge(request)
            return await handler(request)
        except BudgetExceeded as stop:
            return self._unrun(request, stop)

    @hook_config(can_jump_to=["end"])
    def after_model(self, state: AgentFuseState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Write the account, tell new alerts, and end a run that was stopped."""
        account = self._account_of(state)
        known = state.get("agentfuse", {}).get("alerts", [])
        for alert in account["alerts"]:
            if alert not in known:
                runtime.stream_writer({ACCOUNT: {"alert": alert, "used": account["used"]}})
        ends = {"jump_to": "end"} if account["stopped"] else {}
        return {ACCOUNT: account, **ends}

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: AgentFuseState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Do as ``after_model``."""
        return self.after_model(state, runtime)

    def after_agent(self, state: AgentFuseState, runtime: Runtime[Any]) -> dict[str, Any]:  # noqa: ARG002 - LangChain's signature
        """Write the account at the end, with what the last tools cost."""
        return {ACCOUNT: self._account_of(state)}

    async def aafter_agent(self, state: AgentFuseState, runtime: Runtime[Any]) -> dict[str, Any]:
        """Do as ``after_agent``."""
        return self.after_agent(state, runtime)

    def _prepared(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """Fuse the model, and leave out what says why a run was stopped."""
        changes: dict[str, Any] = {}
        with IN_LANGCHAINS_TERMS:
            model = self._fused(request.model)
        if model is not request.model:
            changes["model"] = model
        messages = [message for message in request.messages if not reason_in(message)]
        if len(messages) < len(request.messages):
            changes["messages"] = messages
        return request.override(**changes) if changes else request

    def _fused(self, model: BaseChatModel) -> BaseChatModel:
        """Give the model with this fuse in it, the same one for the same model."""
        if isinstance(model, AgentFuseChatModel):
            if model.fuse is not self.fuse:
                raise ConfigurationError(
                    f"this agent's {type(model).__name__} has another fuse ({model.fuse.name})"
                    f" than its AgentFuseMiddleware ({self.fuse.name}): give both the same, as in"
                    " AgentFuseMiddleware(fuse=model.fuse)"
                )
            return model
        known = self._models.get(id(model))
        if known is None:
            finalize(model, self._models.pop, id(model), None)
        if known is None or not is_copy(known, model):
            known = self._models[id(model)] = AgentFuseChatModel(inner=model, fuse=self.fuse)
        return known

    def _used(self) -> float:
        with opened(ids_in(None)):
            return self.fuse.used()

    def _ending(self, stop: BudgetExceeded) -> ModelResponse[Any]:
        """End the run with a last message; called where the stop is being handled."""
        if not self._ends:
            raise stop
        text = "\n\n".join(filter(None, [stop.partial_text, str(stop)]))
        mark = {MARK: {"stopped": str(stop)}}
        return ModelResponse(result=[AIMessage(text, response_metadata=mark)])

    def _charge(self, request: ToolCallRequest) -> None:
        name = request.tool_call["name"]
        cost = self._tool_costs.get(name)
        if cost is None:
            return
        told: Any = request  # its runtime's type is generic over what each agent chooses
        with IN_LANGCHAINS_TERMS, opened(ids_in(told.runtime.config)):
            self.fuse.charge_tool_call(name, cost)

    def _unrun(self, request: ToolCallRequest, stop: BudgetExceeded) -> ToolMessage:
        if not self._ends:
            raise stop
        call = request.tool_call
        return ToolMessage(str(stop), name=call["name"], tool_call_id=call["id"], status="error")

    def _account_of(self, state: AgentFuseState) -> dict[str, Any]:
        used = self._used()
        messages = state["messages"]
        return {
            "receipt": self.fuse.receipt().to_dict(),
            "used": used,
            "alerts": [f"{share:.0%}" for share in ALERTS if used >= share],
            "stopped": reason_in(messages[-1]) if messages else "",
        }


def reason_in(message: AnyMessage) -> str:
    """Give why a run was stopped, if this is the message that says so."""
    return str(message.response_metadata.get(MARK, NOTHING).get("stopped", ""))
