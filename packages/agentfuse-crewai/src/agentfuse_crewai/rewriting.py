"""A request that the policy has changed, in the words of an LLM: another model, less, shorter."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crewai import LLM
from crewai.llms.base_llm import call_stop_override, call_stream_override

from agentfuse.providers.chat_requests import message_body
from agentfuse_crewai.grants import were_dispatched
from agentfuse_crewai.requests import bare_class_of, is_streaming
from agentfuse_crewai.settings import LIMIT_FIELDS, address_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentfuse.messages import Request
    from agentfuse_crewai.requests import Asked

# The catalogue's ids whose providers CrewAI names otherwise.
_PREFIXES = {"aws": "bedrock", "google": "gemini"}

# What a caller sets on an LLM that holds for any model (crewai.llms.base_llm.BaseLLM).
_SETTINGS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "n")
# Of a class's fields, those that its validators derive from the model's name.
_DERIVED = ("is_o1_model", "is_gpt4_model", "is_claude_3", "is_anthropic", "max_tokens")


def asked_for(asked: Asked, request: Request, sent: Request) -> Asked:
    """Give the call's arguments with the messages the policy left.

    A message that it left alone goes out as it came. An executor's own list is changed in place,
    since that is its conversation from now on.
    """
    if sent.messages is request.messages or sent.messages == request.messages:
        return asked
    written = dict(zip(map(id, request.messages), asked.listed, strict=True))
    messages = [written.get(id(each)) or message_body(each) for each in sent.messages]
    own: Any = asked.messages
    if were_dispatched() and isinstance(own, list):
        own[:] = messages
        return asked
    return replace(asked, messages=messages)


def target_for(llm: Any, request: Request, sent: Request) -> AbstractContextManager[Any]:
    """Give the LLM to send through: the caller's own, or one like it for this call alone."""
    same_model = (sent.provider, sent.model) == (request.provider, request.model)
    if same_model and sent.max_output_tokens == request.max_output_tokens:
        return nullcontext(llm)
    return _stand_in(llm, request, sent, same_model=same_model)


@contextmanager
def _stand_in(llm: Any, request: Request, sent: Request, *, same_model: bool) -> Generator[Any]:
    target = llm.model_copy() if same_model else _of_model(llm, request, sent)
    _cap(target, sent)
    with ExitStack() as overrides:  # both are kept by the LLM's identity
        overrides.enter_context(call_stop_override(target, list(llm.stop_sequences)))
        overrides.enter_context(call_stream_override(target, is_streaming(llm)))
        yield target


def _cap(target: Any, sent: Request) -> None:
    """Set the output maximum in the field the caller used, or the provider's newest."""
    if sent.max_output_tokens is None:
        if sent.output_ceiling is not None and isinstance(target.max_tokens, int):
            target.max_tokens = min(target.max_tokens, sent.output_ceiling)
        return
    kind: Any = target.__class__
    known = [name for name in LIMIT_FIELDS if name in kind.model_fields]
    used = [name for name in known if getattr(target, name) is not None]
    name = (used or ["max_tokens"] if target.is_litellm else used or known)[0]
    setattr(target, name, sent.max_output_tokens)


def _of_model(llm: Any, request: Request, sent: Request) -> Any:
    """Give an LLM like this one that speaks to another model, and counts on the same account."""
    if sent.provider == request.provider:
        target = _sibling(llm, request, sent.model)
    else:
        target = _stranger(llm, sent)
    target.__pydantic_private__["_token_usage"] = llm._token_usage  # noqa: SLF001 - one account
    return llm.kin_of(target)


def _sibling(llm: Any, request: Request, model: str) -> Any:
    """Make the provider's own class anew, with the caller's settings and clients."""
    own = bare_class_of(llm)
    prefix = llm.model.removesuffix(request.model)
    fields = {k: getattr(llm, k) for k in llm.model_fields_set if k not in _DERIVED}
    fresh = own(**{**fields, "model": f"{prefix}{model}"})
    for client in ("_client", "_async_client"):
        kept = getattr(llm, client, None)
        if kept is not None:
            setattr(fresh, client, kept)
    return fresh


def _stranger(llm: Any, sent: Request) -> Any:
    """Make another provider's LLM, with the settings that mean the same everywhere."""
    settings = {name: getattr(llm, name, None) for name in _SETTINGS}
    kept = {name: value for name, value in settings.items() if value is not None}
    shape = getattr(llm, "response_format", None)
    if shape is not None:
        kept["response_format"] = shape
    if sent.max_output_tokens is not None:
        kept["max_tokens"] = sent.max_output_tokens
    prefix = _PREFIXES.get(sent.provider, sent.provider)
    return LLM(model=f"{prefix}/{sent.model}", stop=list(llm.stop), **kept)


def cut_params(llm: Any, params: dict[str, Any], sent: Request) -> dict[str, Any]:
    """Give a provider's prepared parameters with the model and the output maximum of a request."""
    cut = {**params, "model": params["model"].replace(address_of(llm)[1], sent.model)}
    if sent.max_output_tokens is None:
        return cut
    words = ("max_output_tokens",) if "input" in params else LIMIT_FIELDS
    newest = "max_tokens" if llm.is_litellm else "max_completion_tokens"
    word = next(
        (word for word in words if word in params), newest if "messages" in params else words[0]
    )
    return {**cut, word: sent.max_output_tokens}
