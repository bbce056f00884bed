"""What LlamaIndex's own OpenAI class works out anew on each call, though it rarely changes.

Each holds for a class that keeps LlamaIndex's own way, and for the fields as they are: a class that
does it otherwise, and a field that was changed since the last call, are asked anew.
"""

from __future__ import annotations

import sys
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from agentfuse_llama_index.looking_up import looks_up_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


# The models described at a time, of each class.
_MOST = 256
_BASE = "llama_index.llms.openai.base"
_DESCRIBING = ("to_payload", "class_name", "metadata", "_get_model_name", "_use_chat_completions")
# All that LlamaIndex looks up to describe a model: a version that asks more is asked each time.
_LOOKED_UP = (
    "LLMMetadata MessageRole O1_MODELS SYSTEM USER _get_model_name class_name is_chat_model"
    " is_function_calling_model max_tokens metadata model model_dump"
    " openai_modelname_to_contextsize"
)


def own_openai() -> Any:
    """Give LlamaIndex's own OpenAI class, from which others descend."""
    module: Any = sys.modules[_BASE]
    return module.OpenAI


def client_in(give: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give what finds the client that ``give`` would, where the LLM keeps one; else None.

    LlamaIndex reads it as an attribute of the model, twice, which takes pydantic 5 us.
    """
    own = own_openai()
    names = {own._get_client: "_client", own._get_aclient: "_aclient"}  # noqa: SLF001 - what it asks
    name = names.get(give, "")

    def held(llm: Any) -> Any:
        return llm.__pydantic_private__.get(name) if llm.reuse_client else None

    return held


def descriptions_of(bare: type[Any]) -> dict[str, Any]:
    """Give a class's methods that describe its model, from what was said of that model before.

    LlamaIndex tells each listener of the model, and asks of it twice whether it chats: 7 us each.
    """
    own = own_openai()
    if any(getattr_static(bare, n, None) is not getattr_static(own, n, 0) for n in _DESCRIBING):
        return {}
    asking = (own.metadata.fget, own.to_payload, own._use_chat_completions)  # noqa: SLF001 - as above
    if not all(looks_up_only(each, _LOOKED_UP) for each in asking):
        return {}
    known: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def described(llm: Any) -> Mapping[str, Any]:
        facts = _facts_of(llm)
        said = known.get(facts)
        if said is None:
            if len(known) >= _MOST:
                known.clear()
            said = known[facts] = own.to_payload(llm)
        return said

    def to_payload(self: Any) -> dict[str, Any]:
        return dict(described(self))

    def leads(self: Any, kwargs: dict[str, Any]) -> bool:
        word = "use_chat_completions"
        chats: bool = kwargs[word] if word in kwargs else described(self)["is_chat_model"]
        return chats

    return {"to_payload": to_payload, "_use_chat_completions": leads}


def _facts_of(llm: Any) -> tuple[Any, ...]:
    """Give all that a description is made of: two fields, and what LlamaIndex's tables say now."""
    told: Any = sys.modules[_BASE]
    model, name = llm.model, llm._get_model_name()  # noqa: SLF001 - what the class asks itself
    return (
        model,
        llm.max_tokens,
        model in told.O1_MODELS,
        told.openai_modelname_to_contextsize(name),
        told.is_chat_model(model=name),
        told.is_function_calling_model(model=name),
    )
