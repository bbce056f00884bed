"""One call of a model as a request, and what the policy changed in it as words for the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentfuse.messages import Message, Request, Text
from agentfuse.nothing import NOTHING
from agentfuse.own_state import own_state_of
from agentfuse.providers.directory import BY_ID
from agentfuse_openai_agents.items import items_of, turns_of
from agentfuse_openai_agents.params import params_of, tools_of
from agentfuse_openai_agents.places import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents import (
        AgentOutputSchemaBase,
        Handoff,
        Model,
        ModelSettings,
        ModelTracing,
        Tool,
        TResponseInputItem,
    )

    from agentfuse.messages import Json
    from agentfuse_openai_agents.items import Turn
    from agentfuse_openai_agents.places import Place

# What caps the output, where `extra_args` is used for it instead of `max_tokens`.
_LIMIT_WORDS = ("max_output_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the runner says to a model, word for word."""

    system_instructions: str | None
    input: str | list[TResponseInputItem]
    model_settings: ModelSettings
    tools: list[Tool]
    output_schema: AgentOutputSchemaBase | None
    handoffs: list[Handoff[Any, Any]]
    tracing: ModelTracing
    previous_response_id: str | None
    conversation_id: str | None
    prompt: Any

    def placed(self) -> tuple[Any, ...]:
        """Give the words that ``stream_response`` takes by their place."""
        return (
            self.system_instructions,
            self.input,
            self.model_settings,
            self.tools,
            self.output_schema,
            self.handoffs,
            self.tracing,
        )

    def named(self) -> dict[str, Any]:
        """Give the words that are always said by name."""
        return {
            "previous_response_id": self.previous_response_id,
            "conversation_id": self.conversation_id,
            "prompt": self.prompt,
        }

    def all_named(self) -> dict[str, Any]:
        """Give all words by name, as ``get_response`` takes them."""
        return {
            "system_instructions": self.system_instructions,
            "input": self.input,
            "model_settings": self.model_settings,
            "tools": self.tools,
            "output_schema": self.output_schema,
            "handoffs": self.handoffs,
            "tracing": self.tracing,
            **self.named(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One call: what is asked, of whom, and the words it was asked in.

    ``forces_usage`` says that a stream is told to report its usage although the caller would not
    have it, so that it is kept from the caller again.
    """

    request: Request
    call: Call
    place: Place
    turns: tuple[Turn, ...]
    forces_usage: bool = False

    @classmethod
    def of(cls, inner: Model, call: Call, *, stream: bool = False) -> Asking:
        """Read a call; nothing secret enters the request."""
        place = place_of(inner)
        turns = turns_of(call.input)
        request = _request_of(call, place, turns, stream=stream)
        own = own_state_of(inner, "agents.")
        if own is not None:
            request = replace(request, params={**request.params, "own_state": own})
        return cls(
            request=request,
            call=call,
            place=place,
            turns=turns,
            forces_usage=stream and _is_silent_on_usage(place, call.model_settings),
        )

    def name_of(self, request: Request) -> str:
        """Name a request's model as the model object was named: with its prefix."""
        return self.place.spoken.removesuffix(self.place.model) + request.model

    def call_for(self, request: Request) -> Call:
        """Give the words for a request that the policy may have changed, and no other."""
        call, settings = self.call, self.call.model_settings
        if self.forces_usage:
            settings = replace(settings, include_usage=True)
        if request.max_output_tokens != self.request.max_output_tokens:
            settings = _limited(settings, request.max_output_tokens)
        if request.caching is not None and request.caching.key:
            extra = {**(settings.extra_args or {}), "prompt_cache_key": request.caching.key}
            settings = replace(settings, extra_args=extra)
        if settings is not call.model_settings:
            call = replace(call, model_settings=settings)
        if request.messages != self.request.messages:
            call = replace(call, **self._conversation_of(request.messages))
        return call

    def _conversation_of(self, messages: tuple[Message, ...]) -> dict[str, Any]:
        """Give a rewritten conversation, its system turn apart."""
        first = messages[0] if messages else None
        if self.call.system_instructions and first is not None and first.role == "system":
            items = items_of(messages[1:], self.turns)
            return {"system_instructions": first.text, "input": items}
        return {"input": items_of(messages, self.turns)}


def _request_of(call: Call, place: Place, turns: tuple[Turn, ...], *, stream: bool) -> Request:
    instructions = call.system_instructions
    system = (Message("system", (Text(instructions),)),) if instructions else ()
    tools = tools_of(call.tools, call.handoffs)
    params = params_of(
        call.model_settings, call.output_schema, flavour=place.flavour, has_tools=bool(tools)
    )
    limit = call.model_settings.max_tokens
    for word in _LIMIT_WORDS:
        given = params.pop(word, None)
        limit = given if limit is None else limit
    return Request(
        provider=place.provider,
        model=place.model,
        messages=(*system, *(turn.message for turn in turns)),
        api="openai.agents",
        max_output_tokens=limit,
        tools=tools,
        params={**params, **_state_of(call)} or NOTHING,
        stream=stream,
        base_url=place.base_url,
    )


def _state_of(call: Call) -> Mapping[str, Json]:
    """Name what the provider keeps for a call: its answer hangs on it, so none is remembered."""
    state = {
        "previous_response_id": call.previous_response_id,
        "conversation": call.conversation_id,
        "prompt": call.prompt,
    }
    return {word: value for word, value in state.items() if value is not None}


def _limited(settings: ModelSettings, limit: int | None) -> ModelSettings:
    """Set the output's maximum under the word the caller used for it."""
    extra = settings.extra_args or {}
    word = next((word for word in _LIMIT_WORDS if word in extra), None)
    if word is None:
        return replace(settings, max_tokens=limit)
    return replace(settings, extra_args={**extra, word: limit})


def _is_silent_on_usage(place: Place, settings: ModelSettings) -> bool:
    """Say whether a stream would end without usage, and could be told otherwise.

    The SDK asks for it by itself at OpenAI's own address only (``get_stream_options_param``).
    """
    if place.flavour != "chat" or settings.include_usage:
        return False
    row = BY_ID.get(place.provider)
    if row is not None and not row.usage_option:
        return False
    at_home = place.provider == "openai" and not place.base_url
    return not at_home or settings.include_usage is False
