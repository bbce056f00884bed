"""Where an LLM class meets its SDK: there its calls go through the fuse, in the SDK's own types.

What LlamaIndex builds above (messages, blocks, events, retries) is then the same, whether an answer
comes from the provider or from memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from agentfuse_llama_index.anthropic_calls import message_calls_of, parse_calls_of
from agentfuse_llama_index.clients import twin_of
from agentfuse_llama_index.metered import ametered, metered
from agentfuse_llama_index.openai_calls import chat_calls_of
from agentfuse_llama_index.retries import without_retries
from agentfuse_llama_index.shortcuts import client_in, descriptions_of, own_openai
from agentfuse_llama_index.tool_schemas import preparing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Meter = Callable[..., Any]

OPENAI = "llama_index.llms.openai.base.OpenAI"
ANTHROPIC = "llama_index.llms.anthropic.base.Anthropic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What a class needs so that its SDK calls are metered.

    ``attributes`` stand above the provider's own; ``leads`` says of an LLM and a call's arguments
    that the call will come to the door, and need not be metered before.
    """

    attributes: Mapping[str, Any]
    leads: Callable[[Any, dict[str, Any]], bool]


@lru_cache(maxsize=256)
def door_of(bare: type[object]) -> Door | None:
    """Find the door of an LLM class, known by the class it descends from; most have none."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in bare.__mro__}
    if OPENAI in names:
        return _openai_door(bare)
    return _anthropic_door(bare) if ANTHROPIC in names else None


def _openai_door(bare: type[Any]) -> Door:
    """Meter the client that the class takes for each call."""
    give, agive = bare._get_client, bare._get_aclient  # noqa: SLF001 - what the class asks itself
    held, aheld = client_in(give), client_in(agive)

    def client(self: Any) -> Any:
        return _twin(self, metered, held(self) or give(self), _openai_twin)

    def aclient(self: Any) -> Any:
        return _twin(self, ametered, aheld(self) or agive(self), _openai_twin)

    above: dict[str, Any] = {"_get_client": client, "_get_aclient": aclient}
    above |= {**without_retries(bare), **descriptions_of(bare), **preparing_of(bare, own_openai())}
    # Old models' completions go by another method of the client.
    leads = above.get("_use_chat_completions", bare._use_chat_completions)  # noqa: SLF001 - as above
    return Door(attributes=above, leads=leads)


def _anthropic_door(bare: type[Any]) -> Door:
    """Meter the clients that the class keeps; they stay what they were beneath."""

    def _client(self: Any) -> Any:
        return _twin(self, metered, self.__pydantic_private__["_client"], _anthropic_twin)

    def _aclient(self: Any) -> Any:
        return _twin(self, ametered, self.__pydantic_private__["_aclient"], _anthropic_twin)

    def leads(_llm: Any, _arguments: dict[str, Any]) -> bool:
        return True

    own: Any = sys.modules[ANTHROPIC.rpartition(".")[0]]
    above: dict[str, Any] = {"_client": property(_client), "_aclient": property(_aclient)}
    return Door(attributes=above | preparing_of(bare, own.Anthropic), leads=leads)


def _twin(llm: Any, meter: Meter, client: Any, make: Callable[[Any, Meter], Any]) -> Any:
    """Give the metered twin of a client, made anew only when the client is another."""
    twins: dict[str, tuple[Any, Any]] = llm.__pydantic_private__["_twins"]
    kept = twins.get(meter.__name__)
    if kept is None or kept[0] is not client:
        made = make(client, partial(meter, fuse=llm.fuse))
        kept = twins[meter.__name__] = (client, made)
    return kept[1]


def _openai_twin(client: Any, meter: Meter) -> Any:
    chat, completions = client.chat, client.chat.completions
    create = meter(completions.create, read=chat_calls_of(client, _reasons))
    return twin_of(client, chat=twin_of(chat, completions=twin_of(completions, create=create)))


def _reasons(model: str) -> bool:
    """Say whether the user's own OpenAI class takes a model for a reasoning one."""
    utils = sys.modules.get("llama_index.llms.openai.utils")
    return model in getattr(utils, "O1_MODELS", ())


def _anthropic_twin(client: Any, meter: Meter) -> Any:
    create = meter(client.messages.create, read=message_calls_of(client))
    parse = meter(client.beta.messages.parse, read=parse_calls_of(client))
    beta = twin_of(client.beta, messages=twin_of(client.beta.messages, parse=parse))
    return twin_of(client, messages=twin_of(client.messages, create=create), beta=beta)
