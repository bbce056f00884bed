"""What a model's settings and the words of a call say of it: who is asked, and how.

It is worked out once for each content of them, since an agent asks the same model over and over.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache, wraps
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentfuse.nothing import NOTHING
from agentfuse.providers.wire_json import list_of, object_of
from agentfuse_langchain.params import LIMIT_WORDS, fields_that_tell, params_of
from agentfuse_langchain.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.language_models import BaseChatModel

    from agentfuse.messages import Json

    ValuesOf = Callable[[Mapping[str, Any]], tuple[Any, ...]]

Told = TypeVar("Told")

# LangChain's names for providers (each integration's `_get_ls_params`) where the price catalogue
# has another id.
_IDS = {
    "amazon_bedrock": "aws",
    "bedrock": "aws",
    "azure": "azure",
    "google_genai": "google",
    "google_vertexai": "google",
    "google": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}

# Integrations whose account of themselves is made of their fields alone, as read in their sources
# (`_get_ls_params`, `_get_invocation_params` and what those call). Others, and subclasses of a
# caller's own, may look anywhere, and are asked anew each time.
_OF_FIELDS_ALONE = frozenset({"langchain_anthropic", "langchain_openai"})

# How a call travels, which those accounts tell as well.
_TOLD_OF_A_CALL = ("streaming", "max_retries", "default_request_timeout")

_CHANGEABLE = frozenset({dict, list})


@dataclass(frozen=True, slots=True)
class Account:
    """Who is asked, with which parameters, and for how many output tokens at the most.

    ``limit`` is what the caller asked for, and None where it is the model's own maximum; a model
    that ``speaks_its_maximum`` sends that one, since its API wants one. ``limit_word`` is how the
    provider's class takes a limit for one call.
    """

    provider: str
    model: str
    params: Mapping[str, Json]
    limit: int | None
    limit_word: str
    speaks_its_maximum: bool


def _remembered(
    ask: Callable[[BaseChatModel, list[str] | None, Mapping[str, Any]], Told],
) -> Callable[[BaseChatModel, list[str] | None, Mapping[str, Any]], Told]:
    """Ask once for each content of a model's fields, a call's stop words and its other words.

    A setting that was changed since is another one. Tools are no part of what is asked for.
    """
    once = remembered(ask)

    def answer(model: BaseChatModel, stop: list[str] | None, kwargs: Mapping[str, Any]) -> Told:
        told = _told_by(model)
        if told is None:
            return ask(model, stop, kwargs)
        words = {name: value for name, value in kwargs.items() if name != "tools"}
        return once((told, stop, words), type(model), model, stop, words)

    return answer


def _told_by(model: BaseChatModel) -> tuple[Any, ...] | None:
    """Give all of a model that its account is made of; None where that is not known."""
    values_of = _values_of(type(model))
    if values_of is None:
        return None
    try:
        return (_maximum_of(model), *values_of(model.__dict__))
    except KeyError:  # made without its fields (pydantic's `model_construct`)
        return None


@lru_cache(maxsize=256)
def _values_of(kind: type[BaseChatModel]) -> ValuesOf | None:
    fields = (*fields_that_tell(kind), *filter(kind.model_fields.__contains__, _TOLD_OF_A_CALL))
    return cast("ValuesOf", itemgetter(*fields)) if _tells_by_fields(kind) else None


def _tells_by_fields(kind: type[BaseChatModel]) -> bool:
    return kind.__module__.partition(".")[0] in _OF_FIELDS_ALONE


@_remembered
def account_of(model: BaseChatModel, stop: list[str] | None, kwargs: Mapping[str, Any]) -> Account:
    """Read who is asked and how, of a model's own account of itself and a call's words."""
    told: Any = model  # the account a model gives of itself to LangSmith, protected by its name
    ls_params = told._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001
    provider = str(ls_params.get("ls_provider") or "")
    words = {name: value for name, value in kwargs.items() if name != "tools"}
    return Account(
        provider=_IDS.get(provider, provider),
        model=str(kwargs.get("model") or ls_params.get("ls_model_name") or type(model).__name__),
        params=params_of(model, stop, words) or NOTHING,
        limit=_limit_of(model, words),
        limit_word=_limit_word_of(model, words),
        speaks_its_maximum=_speaks_its_maximum(model),
    )


def telling_methods_of(bare: type[BaseChatModel]) -> dict[str, Any]:
    """Give what LangChain asks a model of itself for each call, as methods of a fused class.

    They tell the very same as the provider's; for those whose fields tell all, in a quarter of the
    time.
    """
    if not _tells_by_fields(bare):
        return {}
    provider: Any = bare  # LangChain's own names, protected
    return {
        "_get_ls_params": _told_once(provider._get_ls_params),  # noqa: SLF001
        "_get_invocation_params": _told_once_with_tools(provider._get_invocation_params),  # noqa: SLF001
    }


def _told_once(hook: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Make a method that tells what ``hook`` told of the same content, without a call's tools."""
    told_of = _remembered(lambda model, stop, words: hook(model, stop=stop, **words))

    @wraps(hook)
    def telling(self: Any, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        told = told_of(self, stop, kwargs).items()
        return {name: deepcopy(each) if type(each) in _CHANGEABLE else each for name, each in told}

    return telling


def _told_once_with_tools(hook: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Do as ``_told_once``, and add the tools; those a provider may hide secrets of, it tells."""
    told_without = _told_once(hook)

    @wraps(hook)
    def telling(self: Any, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        tools = kwargs.get("tools")
        if tools and not _are_functions(tools):
            return hook(self, stop=stop, **kwargs)
        told = told_without(self, stop, **kwargs)
        return {**told, "tools": tools} if "tools" in kwargs else told

    return telling


def _are_functions(tools: Any) -> bool:
    given = list_of(tools)
    return bool(given) and all(map(_is_function, given))


def _is_function(tool: Any) -> bool:
    words = object_of(tool)
    return bool(words) and words.get("type", "function") == "function"


def _limit_of(model: BaseChatModel, kwargs: Mapping[str, Any]) -> int | None:
    """Give the most output tokens the caller asked for; None where it is the model's own maximum.

    ChatAnthropic fills its field with the profile's maximum, since its API wants one.
    """
    for word in LIMIT_WORDS:
        if isinstance(kwargs.get(word), int):
            return int(kwargs[word])
    return None if _speaks_its_maximum(model) else _limit_set_on(model)


def _limit_set_on(model: BaseChatModel) -> int | None:
    limits = (getattr(model, word, None) for word in _limit_fields_of(type(model)))
    return next((found for found in limits if isinstance(found, int)), None)


@lru_cache(maxsize=256)
def _limit_fields_of(kind: type[BaseChatModel]) -> tuple[str, ...]:
    """List what a class has of these, since asking a model for what it lacks is slow."""
    return tuple(word for word in LIMIT_WORDS if word in kind.model_fields or hasattr(kind, word))


def _speaks_its_maximum(model: BaseChatModel) -> bool:
    """Say whether a model sends its own maximum, since its API wants one."""
    limit = _limit_set_on(model)
    return limit is not None and limit == _maximum_of(model)


def _maximum_of(model: BaseChatModel) -> Any:
    return (model.profile or NOTHING).get("max_output_tokens")


def _limit_word_of(model: BaseChatModel, kwargs: Mapping[str, Any]) -> str:
    """Name the word a call's own limit goes under; the one the caller used wins."""
    return next((word for word in LIMIT_WORDS if word in kwargs), _limit_field_of(type(model)))


@lru_cache(maxsize=256)
def _limit_field_of(kind: type[BaseChatModel]) -> str:
    """Name the class's own word: ChatOpenAI writes its field as its alias, OpenAI's newer word."""
    for word in LIMIT_WORDS:
        field = kind.model_fields.get(word)
        if field is not None:
            newer = field.alias == "max_completion_tokens"
            return "max_completion_tokens" if newer else word
    return "max_tokens"
