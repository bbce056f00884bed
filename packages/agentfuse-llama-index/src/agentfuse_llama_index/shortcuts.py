"""What LlamaIndex's own OpenAI class works out anew on each call, though it rarely changes.

Each holds for a class that keeps LlamaIndex's own way, and for the fields as they are: a class that
does it otherwise, and a field that was changed since the last call, are asked anew.
"""

from __future__ import annotations

import sys
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The models described at a time, of each class.
_MOST = 256
_DESCRIBING = ("to_payload", "class_name", "metadata", "_get_model_name", "_use_chat_completions")


def own_openai() -> Any:
    """Give LlamaIndex's own OpenAI class, from which others descend."""
    module: Any = sys.modules["llama_index.llms.openai.base"]
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
    known: dict[tuple[str, int | None], Mapping[str, Any]] = {}

    def described(llm: Any) -> Mapping[str, Any]:
        asked = (llm.model, llm.max_tokens)
        said = known.get(asked)
        if said is None:
            if len(known) >= _MOST:
                known.clear()
            said = known[asked] = own.to_payload(llm)
        return said

    def to_payload(self: Any) -> dict[str, Any]:
        return dict(described(self))

    def leads(self: Any, kwargs: dict[str, Any]) -> bool:
        word = "use_chat_completions"
        chats: bool = kwargs[word] if word in kwargs else described(self)["is_chat_model"]
        return chats

    return {"to_payload": to_payload, "_use_chat_completions": leads}
