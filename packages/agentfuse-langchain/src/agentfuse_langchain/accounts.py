"""What a model's settings and the words of a call say of it: who is asked, and how.

It is worked out once for each content of them, since an agent asks the same model over and over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from agentfuse.by_content import ByContent
from agentfuse.nothing import NOTHING
from agentfuse_langchain.params import LIMIT_WORDS, fields_that_tell, params_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.language_models import BaseChatModel

    from agentfuse.messages import Json

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


def account_of(model: BaseChatModel, stop: list[str] | None, kwargs: Mapping[str, Any]) -> Account:
    """Read who is asked and how; a setting or a word that was changed since is seen."""
    words = {name: value for name, value in kwargs.items() if name != "tools"}
    told = _told_by(model)
    known = [] if told is None else _known((told, stop, words), type(model))
    if not known:
        known.append(_account_of(model, stop, words, kwargs))
    return known[0]


def _unknown(*_: Any) -> list[Account]:
    return []


# A place for the account of each content: the model itself, of which it is made, is no part of it.
_known = ByContent(_unknown)


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
def _values_of(kind: type[BaseChatModel]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]] | None:
    if kind.__module__.partition(".")[0] not in _OF_FIELDS_ALONE:
        return None
    return itemgetter(*fields_that_tell(kind))


def _account_of(
    model: BaseChatModel,
    stop: list[str] | None,
    words: Mapping[str, Any],
    kwargs: Mapping[str, Any],
) -> Account:
    told: Any = model  # the account a model gives of itself to LangSmith, protected by its name
    ls_params = told._get_ls_params(stop=stop, **kwargs)  # noqa: SLF001
    provider = str(ls_params.get("ls_provider") or "")
    return Account(
        provider=_IDS.get(provider, provider),
        model=str(kwargs.get("model") or ls_params.get("ls_model_name") or type(model).__name__),
        params=params_of(model, stop, words) or NOTHING,
        limit=_limit_of(model, words),
        limit_word=_limit_word_of(model, words),
        speaks_its_maximum=_speaks_its_maximum(model),
    )


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
