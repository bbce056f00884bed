"""What it takes to ask another model than the caller's: its own maximum, the API that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.language_models import BaseChatModel

# What langchain-anthropic sends where it knows no profile (its `_FALLBACK_MAX_OUTPUT_TOKENS`).
UNKNOWN_MAXIMUM = 4096


def likened(model: BaseChatModel, name: str) -> BaseChatModel:
    """Copy a model, clients and settings shared, as one of another name."""
    field = "model_name" if "model_name" in type(model).model_fields else "model"
    return model.model_copy(update={field: name, "profile": None})


def own_maximum_of(model: BaseChatModel, name: str) -> int:
    """Give the most output tokens of the model ``name``, as its class knows it."""
    told: Any = likened(model, name)  # LangChain's way to a profile, protected by its name
    profile = object_of(told._resolve_model_profile())  # noqa: SLF001
    return int(profile.get("max_output_tokens") or UNKNOWN_MAXIMUM)


def speaker_for(model: BaseChatModel, name: str, kwargs: Mapping[str, Any]) -> BaseChatModel:
    """Give the model to call for ``name``: the caller's own, or a copy where the API differs.

    ChatOpenAI chooses between OpenAI's two APIs by the name in its field, and some names (gpt-6
    with tools) are served by Responses only. A conversation that is on Responses stays there.
    """
    if getattr(model, "_use_responses_api", None) is None:
        return model
    there: Any = likened(model, name)
    here: Any = model
    payload = {**kwargs, "model": name}
    moves = not here._use_responses_api(payload) and there._use_responses_api(payload)  # noqa: SLF001
    return there if moves else model
