"""The policy's marks for a provider's cache of prompts, in LangChain's words.

ChatAnthropic takes ``cache_control`` on content blocks and lifts a tool message's onto its result;
ChatOpenAI passes ``prompt_cache_key`` on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, SystemMessage

from agentfuse.providers.cache_marks import control_of, marked_tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from agentfuse.messages import PromptCaching


def caching_words(caching: PromptCaching | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the hook's words for what is asked of the provider's cache."""
    if caching is None:
        return {}
    words: dict[str, Any] = {"prompt_cache_key": caching.key} if caching.key else {}
    tools = kwargs.get("tools")
    if tools and isinstance(tools[-1], dict):
        marked = marked_tools(tools, caching)
        if marked != list(tools):
            words["tools"] = marked
    return words


def marked(messages: Sequence[BaseMessage], caching: PromptCaching | None) -> list[BaseMessage]:
    """Give the messages with the marks on copies of those that carry one.

    An answer of the model goes back as it came, without a mark: the next mark reaches over it.
    """
    if caching is None or not caching.marks:
        return list(messages)
    chosen = {mark.index for mark in caching.marks if mark.place == "turn"}
    if any(mark.place == "system" for mark in caching.marks):
        chosen |= {max(i for i, m in enumerate(messages) if isinstance(m, SystemMessage))}
    return [
        _with_mark(message, caching) if index in chosen else message
        for index, message in enumerate(messages)
    ]


def _with_mark(message: BaseMessage, caching: PromptCaching) -> BaseMessage:
    content: Any = message.content
    blocks: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    last: Any = blocks[-1] if blocks else None
    markable = isinstance(last, dict) and cast("dict[str, Any]", last).get("text", True)
    if isinstance(message, AIMessage) or not markable:
        return message
    return message.model_copy(
        update={"content": [*blocks[:-1], {**last, "cache_control": control_of(caching)}]}
    )
