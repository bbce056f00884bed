"""The fused LLM: a copy of the user's own, whose class is a subclass of that one's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from crewai import LLM
from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr

from agentfuse import ConfigurationError, Fuse
from agentfuse.runtime.fuses import fuse_of
from agentfuse.runtime.retries import warn_of_two_owners
from agentfuse_crewai.taps import recast, tapped_class_of

if TYPE_CHECKING:
    from typing import Unpack

    from agentfuse.money import Dollars
    from agentfuse.runtime.settings import Options


class FusingClass(type(BaseLLM)):  # type: ignore[misc]  # pydantic's metaclass, by its only way
    """Makes calling ``AgentFuseLLM`` fuse an LLM; fused classes construct as usual."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Fuse ``inner``."""
        if cls is AgentFuseLLM:
            return _fuse(*args, **kwargs)
        return super().__call__(*args, **kwargs)


class AgentFuseLLM(BaseLLM, metaclass=FusingClass):
    """Your CrewAI LLM with a fuse in it: every call is budgeted, remembered and receipted.

    ``AgentFuseLLM(LLM(model="gpt-4o"), budget="$5.00")`` gives an LLM that is both an AgentFuseLLM
    and of the class of the one given, and behaves as that one, which stays as it is; a model's name
    stands for ``LLM(model=...)``. Give a ``budget`` (any of ``"$5.00"``, ``Decimal("5")``, ``5``)
    with the options of ``Fuse``, or a ``fuse`` that other LLMs share; with neither, calls are
    remembered and priced, and not limited. Raises ConfigurationError for anything else, BudgetStop
    from calls that are stopped. Copies share the fuse.
    """

    _fuse: Fuse | None = PrivateAttr(default=None)
    # What stood in this LLM's place in a registered crew, and comes back to it.
    _origin: BaseLLM | str | None = PrivateAttr(default=None)

    if TYPE_CHECKING:

        def __init__(
            self,
            inner: BaseLLM | str,
            budget: Dollars | None = None,
            *,
            fuse: Fuse | None = None,
            **options: Unpack[Options],
        ) -> None: ...

    @property
    def fuse(self) -> Fuse:
        """The budget, cache and receipt behind this LLM."""
        if self._fuse is None:
            raise ConfigurationError("this LLM was made of a fused class, and not fused itself")
        return self._fuse

    @property
    def origin(self) -> BaseLLM | str | None:
        """What stood in this LLM's place in a registered crew; None where it was fused by hand."""
        return self._origin

    @property
    def inner(self) -> BaseLLM:
        """The bare LLM with the settings of this one: its calls are not metered."""
        bare = cast("BaseLLM", recast(self, cast("Any", type(self)).bare))
        for name in ("_fuse", "_origin"):
            (bare.__pydantic_private__ or {}).pop(name, None)
        return bare


def _fuse(
    inner: object,
    budget: Dollars | None = None,
    *,
    fuse: Fuse | None = None,
    **options: Unpack[Options],
) -> AgentFuseLLM:
    """Check the words, and put a fuse into a copy of ``inner``."""
    if isinstance(inner, str):
        inner = LLM(model=inner)
    if isinstance(inner, AgentFuseLLM):
        raise ConfigurationError(
            f"this {type(inner).__name__} is fused already, with {inner.fuse.receipt()}:"
            " use it as it is, or give its .inner"
        )
    if not isinstance(inner, BaseLLM):
        raise ConfigurationError(
            f"inner must be an LLM such as LLM(model='gpt-4o'), or its name, not"
            f" {type(inner).__name__}"
        )
    return fused(inner, fuse_of(budget, fuse, options))


def fused(inner: BaseLLM, fuse: Fuse, origin: BaseLLM | str | None = None) -> AgentFuseLLM:
    """Give a copy of an LLM, clients and counts shared, with a fuse in it."""
    warn_of_two_owners(fuse, inner)
    bare = getattr(type(inner), "bare", type(inner))
    ours: Any = AgentFuseLLM
    llm = cast("AgentFuseLLM", recast(inner, tapped_class_of(bare, ours)))
    private = {**(llm.__pydantic_private__ or {}), "_fuse": fuse, "_origin": origin}
    object.__setattr__(llm, "__pydantic_private__", private)
    return llm
