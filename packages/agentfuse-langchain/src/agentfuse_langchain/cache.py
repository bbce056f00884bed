"""The semantic cache as LangChain's own: for models that pass through no fuse."""

from __future__ import annotations

import ast
import json
import logging
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.messages import messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel

from agentfuse import SemanticCache, StoreUnavailable, scope
from agentfuse.messages import Request
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse.semantics import Selection
from agentfuse_langchain.answers import reply_of_result, result_of_reply
from agentfuse_langchain.messages import message_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import Generation

    from agentfuse.messages import Json

_TAG = "langchain-cache"

# What stands in a model's own account of itself, or beside a call, and decides whether an answer
# may be remembered by its meaning at all. All else is in the scope by the account as a whole.
_TOLD = (
    *("temperature", "n", "logprobs", "top_logprobs", "modalities", "audio", "functions"),
    "response_format",
)


class AgentFuseCache(BaseCache):
    """A cache for ``set_llm_cache`` or a chat model's ``cache=``: it answers by meaning.

    Only the last user message is compared; the messages before it, and LangChain's whole account of
    the model and of the call (``llm_string``), must be equal. Prompts of models that are no chat
    models are never answered, since the question cannot be told from its instructions; answers that
    were parsed into a class of the caller's (structured output by JSON schema) are not kept. Each
    ``agentfuse.scope(tenant=..., user=...)`` has answers of its own. A store in trouble is a miss,
    and is said to the ``agentfuse`` logger.
    """

    def __init__(self, semantic: SemanticCache | None = None) -> None:
        self.semantic = SemanticCache() if semantic is None else semantic

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        """Give the answer to a question that means the same; LangChain calls this."""
        request = request_of_prompt(prompt, llm_string)
        if request is None:
            return None
        try:
            match = self.semantic.find(request)
        except StoreUnavailable as error:
            _say(error)
            return None
        if match is None:
            return None
        return list(result_of_reply(match.reply, mark=match.hit.told()).generations)

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        """Keep an answer; LangChain calls this."""
        request = request_of_prompt(prompt, llm_string)
        said = [each for each in return_val if isinstance(each, ChatGeneration)]
        if request is None or len(said) != len(return_val) or any(map(_is_parsed, said)):
            return
        reply = reply_of_result(ChatResult(generations=said))
        try:
            with scope(tags=(_TAG,)):
                self.semantic.keep(request, reply)
        except StoreUnavailable as error:
            _say(error)

    def clear(self, **kwargs: Any) -> None:  # noqa: ARG002 - LangChain's signature
        """Forget what was kept through this face of the cache."""
        self.semantic.invalidate(Selection(tags=(f"tag:{_TAG}",)))


def request_of_prompt(prompt: str, llm_string: str) -> Request | None:
    """Read the messages out of LangChain's serialised prompt; None for one that holds none."""
    messages = _messages_in(prompt)
    if not messages:
        return None
    account, told = _told_in(llm_string)
    tools = told.get("tools") or told.get("functions")
    return Request(
        provider="langchain",
        model=str(account.get("model_name") or account.get("model") or ""),
        messages=tuple(map(message_of, messages)),
        api="langchain",
        tools=({"type": "function"},) if tools else (),
        params={"llm_string": llm_string, **{word: told[word] for word in _TOLD if word in told}},
    )


def _is_parsed(generation: ChatGeneration) -> bool:
    """Say whether an answer carries an object of the caller's class.

    Whoever asks again needs one as well, and LangChain does not tell a cache of which class.
    """
    return isinstance(generation.message.additional_kwargs.get("parsed"), BaseModel)


def _messages_in(prompt: str) -> list[BaseMessage]:
    """Read ``dumps(messages)``: each a constructor whose ``kwargs`` are the message's own fields.

    Its counterpart ``loads`` is marked as beta, and makes objects of any kind it is told to.
    """
    try:
        fields = [object_of(object_of(each).get("kwargs")) for each in list_of(json.loads(prompt))]
        return messages_from_dict([{"type": each["type"], "data": each} for each in fields])
    except (
        ValueError,
        KeyError,
    ):  # no JSON, no such field, no message (pydantic's is a ValueError)
        return []


def _told_in(llm_string: str) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """Read a model's account of itself, and with it what is said beside the call.

    LangChain writes the first as JSON and the second as Python's ``repr`` of pairs, which may hold
    anything: where it cannot be read, its words are looked for.
    """
    account, dashes, called = llm_string.rpartition("---")
    try:
        kwargs = object_of(object_of(json.loads(account)).get("kwargs")) if dashes else {}
    except ValueError:
        kwargs = {}
    own = {**object_of(kwargs.get("model_kwargs")), **kwargs}
    try:
        beside = dict(ast.literal_eval(called))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        words = ("tools", *_TOLD)
        beside = {word: True for word in words if f"('{word}', " in called}
    told = {word: value for word, value in {**own, **beside}.items() if value is not None}
    if "response_format" in told and not isinstance(told["response_format"], str):
        told["response_format"] = {"type": "json_schema"}
    return kwargs, told


def _say(error: StoreUnavailable) -> None:
    logging.getLogger("agentfuse").warning("the semantic cache is passed over: %s", error)
