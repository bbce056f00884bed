"""The fused chat model: a copy of the user's own, whose class is a subclass of that one's class."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import BaseChatModel
from pydantic import Field

from agentfuse import Fuse  # noqa: TC001 - pydantic reads the annotation
from agentfuse.errors import ConfigurationError
from agentfuse.model_copies import copied
from agentfuse.runtime.fuses import fuse_named, fuse_of, name_of
from agentfuse.runtime.retries import warn_of_two_owners
from agentfuse_langchain.accounts import telling_methods_of
from agentfuse_langchain.hooks import hooks_of
from agentfuse_langchain.scopes import abegun_within, begun_within, ids_in, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Unpack

    from langchain_core.callbacks import CallbackManagerForLLMRun, Callbacks
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_core.outputs import ChatResult, LLMResult
    from langchain_core.runnables import RunnableConfig

    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

# Kept by LangChain on the instance once made; it holds the class it was made for.
SERIALIZED = "_serialized"
# What a fused model and its bare one do not share.
_OWN = {SERIALIZED, "fuse"}


class FusingClass(type(BaseChatModel)):  # type: ignore[misc]  # pydantic's metaclass, by its only way
    """Makes calling ``AgentFuseChatModel`` fuse a model; fused classes construct as usual."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Fuse ``inner``, or rebuild a fused model from its fields (``configurable_fields``)."""
        if cls is AgentFuseChatModel:
            return _fuse(*args, **kwargs)
        return super().__call__(*args, **kwargs)


class AgentFuseChatModel(BaseChatModel, metaclass=FusingClass):
    """Your chat model with a fuse in it: every paid call is budgeted, remembered and receipted.

    ``AgentFuseChatModel(inner=ChatOpenAI(...), budget="$5.00")`` gives a model that is both an
    AgentFuseChatModel and a ChatOpenAI, and behaves as the one given; that one stays as it is.
    Give a ``budget`` (any of ``"$5.00"``, ``Decimal("5")``, ``5``) with the options of ``Fuse``,
    or a ``fuse`` that other models share; with neither, calls are remembered and priced, and not
    limited. Raises ConfigurationError for anything else, BudgetStop from calls that are stopped.

    A model that was loaded from LangChain's serialised form is the bare one: fuse it again.
    """

    fuse: Fuse = Field(exclude=True, repr=False)
    """The budget, cache and receipt behind this model."""

    if TYPE_CHECKING:

        def __init__(
            self,
            inner: BaseChatModel,
            budget: Dollars | None = None,
            *,
            fuse: Fuse | None = None,
            **options: Unpack[Options],
        ) -> None: ...

        # What a provider's class brings along, said here for type checkers, to which this class
        # would be an abstract one that nobody can call.

        def _generate(
            self,
            messages: list[BaseMessage],
            stop: list[str] | None = None,
            run_manager: CallbackManagerForLLMRun | None = None,
            **kwargs: Any,
        ) -> ChatResult: ...

        @property
        def _llm_type(self) -> str: ...

    @property
    def inner(self) -> BaseChatModel:
        """The bare model with the settings of this one: its calls are not metered."""
        bare: BaseChatModel = copied(self, _bare_class_of(type(self)), own=_settings_of)
        return bare

    # LangChain calls the streaming hooks without their run manager, so the ids in a call's config
    # are read here, where the config comes in.

    def generate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Do as LangChain, on behalf of whom the call's metadata names."""
        with opened(ids_in(None, metadata=kwargs.get("metadata"))):
            return super().generate(messages, stop, callbacks, **kwargs)

    async def agenerate(
        self,
        messages: list[list[BaseMessage]],
        stop: list[str] | None = None,
        callbacks: Callbacks = None,
        **kwargs: Any,
    ) -> LLMResult:
        """Do as ``generate``, awaited."""
        with opened(ids_in(None, metadata=kwargs.get("metadata"))):
            return await super().agenerate(messages, stop, callbacks, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's own name, and it may be said
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Do as LangChain, on behalf of whom the config names."""
        ids, chunks = ids_in(config), super().stream(input, config, **kwargs)
        return begun_within(ids, chunks) if ids else chunks

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - as in ``stream``
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Do as ``stream``, awaited."""
        ids, chunks = ids_in(config), super().astream(input, config, **kwargs)
        return abegun_within(ids, chunks) if ids else chunks

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AgentFuseChatModel:
        """Copy the model; the money behind it stays one."""
        memo = {} if memo is None else memo
        memo[id(self.fuse)] = self.fuse
        return super().__deepcopy__(memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the bare model and the name of its fuse, which this process alone can find."""
        return _unpickled, (self.inner, name_of(self.fuse))


def _fuse(
    inner: object,
    budget: Dollars | None = None,
    *,
    fuse: object = None,
    **options: Unpack[Options],
) -> AgentFuseChatModel:
    """Check the words, and put a fuse into a copy of ``inner``."""
    if isinstance(inner, AgentFuseChatModel):
        raise ConfigurationError(
            f"this {type(inner).__name__} is fused already, with {inner.fuse.receipt()}:"
            " use it as it is, or give its .inner"
        )
    if not isinstance(inner, BaseChatModel):
        raise ConfigurationError(
            f"inner must be a chat model such as ChatOpenAI(...), not {type(inner).__name__}:"
            f" {_advice_about(inner)}"
        )
    return _fused(inner, fuse_of(budget, fuse, options))


def _advice_about(inner: object) -> str:
    if type(inner).__name__ == "_ConfigurableModel":  # of langchain, which need not be installed
        return (
            "init_chat_model was told no model, or to choose one for each call. Fuse one that it"
            " makes, AgentFuseChatModel(inner=init_chat_model('openai:gpt-4o')), and choose with"
            " .configurable_fields or .configurable_alternatives of the fused one"
        )
    return "fuse the model first, then bind tools, structured output or fallbacks to the fused one"


def _fused(inner: BaseChatModel, fuse: Fuse) -> AgentFuseChatModel:
    warn_of_two_owners(fuse, inner)
    kind = fused_class_of(type(inner))
    return cast("AgentFuseChatModel", copied(inner, kind, own=_settings_of, fuse=fuse))


def _settings_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Give a model's fields, or what it keeps private, without what is its own."""
    return {name: value for name, value in fields.items() if name not in _OWN}


def is_copy(fused: BaseChatModel, model: BaseChatModel) -> bool:
    """Say whether a fused model still has all settings of the one it was copied from."""
    own = fused.__dict__
    return all(own.get(name) is each for name, each in model.__dict__.items() if name != SERIALIZED)


@lru_cache(maxsize=256)
def fused_class_of(bare: type[BaseChatModel]) -> type[AgentFuseChatModel]:
    """Give the fused subclass of a provider's class, under its very name.

    The provider comes first, so that each of its fields and methods wins over LangChain's
    defaults, which AgentFuseChatModel inherits; only the hooks in ``hooks_of`` stand above it, and
    what tells the same in less time (``telling_methods_of``).
    """
    namespace = {
        "__module__": bare.__module__,
        "__qualname__": bare.__qualname__,
        "__doc__": bare.__doc__,
        **telling_methods_of(bare),
        **hooks_of(bare),
    }
    make: Any = FusingClass
    fused: type[AgentFuseChatModel] = make(bare.__name__, (bare, AgentFuseChatModel), namespace)
    return fused


def _bare_class_of(fused: type[AgentFuseChatModel]) -> type[BaseChatModel]:
    """Give the provider's class: the first in the line that is not fused."""
    bare: type[BaseChatModel] = next(
        kind
        for kind in fused.__mro__
        if issubclass(kind, BaseChatModel) and not issubclass(kind, AgentFuseChatModel)
    )
    return bare


def _unpickled(inner: BaseChatModel, name: str) -> AgentFuseChatModel:
    """Put the fuse back; raises ConfigurationError where its money is out of reach."""
    return _fused(inner, fuse_named(name))
