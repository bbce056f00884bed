"""The fused LLM: a copy of the user's own, whose class is a subclass of that one's class."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.llms import LLM
from pydantic import Field, PrivateAttr
from pydantic.json_schema import SkipJsonSchema  # noqa: TC002 - pydantic reads the annotation

from agentfuse import Fuse  # noqa: TC001 - pydantic reads the annotation
from agentfuse.errors import ConfigurationError
from agentfuse.model_copies import copied
from agentfuse.runtime.fuses import fuse_named, fuse_of, name_of
from agentfuse.runtime.retries import warn_of_two_owners
from agentfuse_llama_index.doors import door_of
from agentfuse_llama_index.methods import methods_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options

# What a fused LLM and its bare one do not share.
_OWN = {"fuse", "_twins"}


class FusingClass(type(LLM)):  # type: ignore[misc]  # pydantic's metaclass, by its only way
    """Makes calling ``AgentFuseLLM`` fuse an LLM; fused classes construct as usual."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Fuse ``inner``, or rebuild a fused LLM from its fields."""
        if cls is AgentFuseLLM:
            return _fuse(*args, **kwargs)
        return super().__call__(*args, **kwargs)


class AgentFuseLLM(LLM, metaclass=FusingClass):
    """Your LLM with a fuse in it: every paid call is budgeted, remembered and receipted.

    ``AgentFuseLLM(inner=OpenAI(...), budget="$5.00")`` gives an LLM that is both an AgentFuseLLM
    and an OpenAI, and behaves as the one given; that one stays as it is. Give a ``budget`` (any of
    ``"$5.00"``, ``Decimal("5")``, ``5``) with the options of ``Fuse``, or a ``fuse`` that other
    LLMs share; with neither, calls are remembered and priced, and not limited. Raises
    ConfigurationError for anything else, BudgetStop from calls that are stopped.
    """

    fuse: SkipJsonSchema[Fuse] = Field(exclude=True, repr=False)
    """The budget, cache and receipt behind this LLM."""

    # The metered twins of the SDK's clients, each beside the client it was made of.
    _twins: dict[str, tuple[Any, Any]] = PrivateAttr(default_factory=dict[str, tuple[Any, Any]])

    if TYPE_CHECKING:

        def __init__(
            self,
            inner: LLM,
            budget: Dollars | None = None,
            *,
            fuse: Fuse | None = None,
            **options: Unpack[Options],
        ) -> None: ...

    @property
    def inner(self) -> LLM:
        """The bare LLM with the settings of this one: its calls are not metered."""
        bare: LLM = copied(self, _bare_class_of(type(self)), own=_settings_of)
        return bare

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AgentFuseLLM:
        """Copy the LLM; the money behind it stays one."""
        memo = {} if memo is None else memo
        memo[id(self.fuse)] = self.fuse
        return super().__deepcopy__(memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the bare LLM and the name of its fuse, which this process alone can find."""
        return _unpickled, (self.inner, name_of(self.fuse))


def _fuse(
    inner: object,
    budget: Dollars | None = None,
    *,
    fuse: object = None,
    **options: Unpack[Options],
) -> AgentFuseLLM:
    """Check the words, and put a fuse into a copy of ``inner``."""
    if isinstance(inner, AgentFuseLLM):
        raise ConfigurationError(
            f"this {type(inner).__name__} is fused already, with {inner.fuse.receipt()}:"
            " use it as it is, or give its .inner"
        )
    if not isinstance(inner, LLM):
        raise ConfigurationError(
            f"inner must be an LLM such as OpenAI(...), not {type(inner).__name__}: fuse the LLM"
            " first, then make agents, engines or structured LLMs of the fused one"
        )
    return _fused(inner, fuse_of(budget, fuse, options))


def _fused(inner: LLM, fuse: Fuse) -> AgentFuseLLM:
    warn_of_two_owners(fuse, inner)
    kind = fused_class_of(type(inner))
    llm = cast("AgentFuseLLM", copied(inner, kind, own=_settings_of, fuse=fuse))
    private: dict[str, Any] = {"_twins": {}, **(llm.__pydantic_private__ or {})}
    object.__setattr__(llm, "__pydantic_private__", private)
    return llm


def _settings_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Give an LLM's fields, or what it keeps private, without what is its own."""
    return {name: value for name, value in fields.items() if name not in _OWN}


@lru_cache(maxsize=256)
def fused_class_of(bare: type[LLM]) -> type[AgentFuseLLM]:
    """Give the fused subclass of a provider's class, under its very name.

    The provider comes first, so that each of its fields and methods wins over LlamaIndex's
    defaults, which AgentFuseLLM inherits; only the calls and the SDK's door stand above it.
    """
    namespace = {
        "__module__": bare.__module__,
        "__qualname__": bare.__qualname__,
        "__doc__": bare.__doc__,
    }
    make: Any = FusingClass
    fused: type[AgentFuseLLM] = make(bare.__name__, (bare, AgentFuseLLM), namespace)
    door = door_of(bare)
    above = {**methods_of(bare), **(door.attributes if door else {})}
    for name, attribute in above.items():
        setattr(fused, name, attribute)
    return fused


def _bare_class_of(fused: type[AgentFuseLLM]) -> type[LLM]:
    """Give the provider's class: the first in the line that is not fused."""
    bare: type[LLM] = next(
        kind
        for kind in fused.__mro__
        if issubclass(kind, LLM) and not issubclass(kind, AgentFuseLLM)
    )
    return bare


def _unpickled(inner: LLM, name: str) -> AgentFuseLLM:
    """Put the fuse back; raises ConfigurationError where its money is out of reach."""
    return _fused(inner, fuse_named(name))
