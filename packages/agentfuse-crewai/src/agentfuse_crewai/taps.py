"""What stands before a provider's class: its two calls go through a fuse, and it tells of them."""

from __future__ import annotations

import copy
import inspect
import marshal
import re
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from crewai.llms.base_llm import BaseLLM

from agentfuse.runtime.now import run_now
from agentfuse_crewai.conduct import Awaited, Blocking, conduct
from agentfuse_crewai.course import course_of, drop_course, out_of_course
from agentfuse_crewai.grants import is_passing, passing
from agentfuse_crewai.requests import Asked
from agentfuse_crewai.rewriting import cut_params
from agentfuse_crewai.tools import written_tools

if TYPE_CHECKING:
    from collections.abc import Callable

# How CrewAI's providers name what reads an SDK's answer (crewai.llms.providers).
_EXTRACTS = re.compile(r"^_extract_\w*token_usage$")


if TYPE_CHECKING:

    class Above(BaseLLM):
        """What taps stand before: any provider's class, with the methods that only some have."""

        def _handle_emit_call_events(self, response: Any, *args: Any, **kwargs: Any) -> None: ...
        def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
        def _prepare_responses_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]: ...
        def _handle_tool_call(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    Above = object


class Taps(Above):
    """The methods a provider's class calls on itself while it works, each overheard.

    A mixin that comes before the provider's class. What it hears goes to the course of this very
    LLM; where none runs, the methods are the provider's own.
    """

    bare: ClassVar[type[BaseLLM]]
    """The provider's class."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Do as the provider's ``call``, through the fuse that pays for it."""
        bare: Any = self.bare.call
        if settled_course_of(self) is not None or is_passing(self):
            return bare(self, messages, *args, **kwargs)
        return run_now(conduct(self, Asked.of(messages, args, kwargs), Blocking()))

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        """Do as the provider's ``acall``, through the fuse that pays for it."""
        bare: Any = self.bare.acall
        if settled_course_of(self) is not None or is_passing(self):
            return await bare(self, messages, *args, **kwargs)
        return await conduct(self, Asked.of(messages, args, kwargs), Awaited())

    @staticmethod
    def kin_of(llm: BaseLLM) -> BaseLLM:
        """Give an LLM made for one call as one that tells of it."""
        kin: BaseLLM = recast(llm, tapped_class_of(type(llm)))
        return kin

    @classmethod
    def fires_hooks(cls) -> bool:
        """Say whether the provider's ``call`` runs the user's hooks by itself: CrewAI's own do."""
        return _fires_hooks(cls.bare)

    def _invoke_before_llm_call_hooks(self, messages: Any, from_agent: Any = None) -> bool:
        """Run no hook twice: a call of ours has run them before it was admitted."""
        if course_of(self) is not None or is_passing(self):
            return True
        return bool(super()._invoke_before_llm_call_hooks(messages, from_agent))

    def _track_token_usage_internal(self, usage_data: Any) -> None:
        course = course_of(self)
        if course is not None:
            course.hear_usage(usage_data)
        super()._track_token_usage_internal(usage_data)

    def _emit_stream_chunk_event(self, chunk: str, *args: Any, **kwargs: Any) -> None:
        self._hear_chunk(chunk)
        super()._emit_stream_chunk_event(chunk, *args, **kwargs)

    def _emit_thinking_chunk_event(self, chunk: str, *args: Any, **kwargs: Any) -> None:
        self._hear_chunk(chunk)
        super()._emit_thinking_chunk_event(chunk, *args, **kwargs)

    def _hear_chunk(self, chunk: str) -> None:
        course = course_of(self)
        if course is not None:
            course.hear_chunk(chunk or "")

    def _emit_call_completed_event(self, response: Any, *args: Any, **kwargs: Any) -> None:
        self._hear_end(response, kwargs)
        super()._emit_call_completed_event(response, *args, **kwargs)

    def _handle_emit_call_events(self, response: Any, *args: Any, **kwargs: Any) -> None:
        self._hear_end(response, kwargs)
        super()._handle_emit_call_events(response, *args, **kwargs)

    def _hear_end(self, response: Any, told: dict[str, Any]) -> None:
        course = course_of(self)
        if course is None:
            return
        course.hear_end(told.get("finish_reason"), told.get("response_id"))
        if course.loose:
            course.said.result = response
            settle_loose(self)

    def _emit_call_failed_event(self, error: Any, *args: Any, **kwargs: Any) -> None:
        course = course_of(self)
        if course is not None and course.loose:
            settle_loose(self)
        super()._emit_call_failed_event(error, *args, **kwargs)

    def _convert_tools_for_interference(self, tools: Any) -> Any:
        """Write the tools as the provider's class does, once for all calls that send the same."""
        written = written_tools(type(self), tools)
        if written is None:
            return super()._convert_tools_for_interference(tools)
        return marshal.loads(written)  # noqa: S302 - what this process has written

    def _prepare_completion_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self._cut(super()._prepare_completion_params(*args, **kwargs))

    def _prepare_responses_params(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return self._cut(super()._prepare_responses_params(*args, **kwargs))

    def _cut(self, params: dict[str, Any]) -> dict[str, Any]:
        """Apply to a call that had begun before its hook was asked what the policy made of it."""
        course = course_of(self)
        if course is None or not course.loose:
            return params
        return cut_params(self, params, course.ticket.request)

    def _handle_tool_execution(self, *args: Any, **kwargs: Any) -> Any:
        settled_course_of(self)
        with out_of_course(), passing(None):
            return super()._handle_tool_execution(*args, **kwargs)

    def _handle_tool_call(self, *args: Any, **kwargs: Any) -> Any:
        settled_course_of(self)
        with out_of_course(), passing(None):
            return super()._handle_tool_call(*args, **kwargs)

    def __copy__(self) -> Any:
        """Copy fields, clients and counts by reference, as pydantic does for any model."""
        return recast(self, type(self))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        """Copy the settings; clients cannot be copied, and the money behind an LLM stays one."""
        twin = self.__copy__()
        entries: dict[str, Any] = twin.__dict__
        for name, value in entries.items():
            if type(value) in (dict, list, set):
                entries[name] = copy.deepcopy(value, memo)
        return twin


def recast(llm: Any, kind: type[Any]) -> Any:
    """Copy an LLM shallowly as an instance of a sub- or superclass of its own class."""
    twin = object.__new__(kind)
    for name in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        entries = getattr(llm, name)
        object.__setattr__(twin, name, None if entries is None else dict(entries))
    object.__setattr__(twin, "__pydantic_fields_set__", set(llm.model_fields_set))
    return twin


def equip(llm: BaseLLM) -> None:
    """Put the taps before the class of this very LLM; what pays for its calls is not said here.

    Where no hook grants a fuse, an equipped LLM does what it did before.
    """
    if not isinstance(llm, Taps):
        object.__setattr__(llm, "__class__", tapped_class_of(type(llm)))


def settled_course_of(llm: Any) -> Any:
    """Give the call of this LLM that runs; one that only a hook knew of has ended by now."""
    course = course_of(llm)
    if course is not None and course.loose:
        settle_loose(llm)
        return None
    return course


def settle_loose(llm: Any) -> None:
    """Book what a call has cost that only a hook knew of, as soon as its LLM tells."""
    course = course_of(llm)
    if course is None:
        return
    drop_course()
    if course.said.bills or course.said.result is not None:
        course.fuse.finish(course.ticket, course.codec.reply_of(course.said))
    elif course.texts:
        course.fuse.finish(course.ticket, course.codec.joined(course.texts))
    else:
        course.fuse.fail(course.ticket, ConnectionError("the call failed"), final=True)


@lru_cache(maxsize=256)
def _fires_hooks(bare: type[BaseLLM]) -> bool:
    kinds = (kind for kind in bare.__mro__ if "call" in vars(kind) and kind is not BaseLLM)
    return any(kind.__module__.startswith("crewai.") for kind in kinds)


@lru_cache(maxsize=256)
def tapped_class_of(bare: Any, *more: Any) -> type[BaseLLM]:
    """Give a provider's class with the taps before it, under its very name.

    Only what the class has is overheard, so that CrewAI finds no method it would not find bare.
    """
    namespace: dict[str, Any] = {
        "__module__": bare.__module__,
        "__qualname__": bare.__qualname__,
        "__doc__": bare.__doc__,
        # In the class itself, where CrewAI looks for what it repeats on a 429 (BaseLLM).
        "call": _signed(Taps.call, bare.call),
        "acall": _signed(Taps.acall, bare.acall),
    }
    for name in dir(bare):
        if _EXTRACTS.match(name):
            namespace[name] = _overheard(name, inspect.getattr_static(bare, name))
    make: Any = bare.__class__  # pydantic's metaclass
    tapped: type[BaseLLM] = make(bare.__name__, (Taps, bare, *more), namespace)
    vars_of: Any = tapped
    vars_of.bare = bare
    if not (hasattr(bare, "entity_type") or "entity_type" in bare.model_fields):
        # Each event asks its source, and pydantic is slow to say that there is none.
        vars_of.entity_type = None
    return tapped


def _signed(method: Any, bare: Callable[..., Any]) -> Callable[..., Any]:
    """Give a method of our own anew, with the provider's signature and words."""
    ours: Any = FunctionType(method.__code__, method.__globals__, method.__name__)
    ours.__doc__ = bare.__doc__
    ours.__signature__ = inspect.signature(bare)
    return ours  # type: ignore[no-any-return]


def _overheard(name: str, method: Any) -> Callable[..., Any]:
    """Let the course see the SDK's own answer that the provider's class reads."""
    static = isinstance(method, staticmethod)
    plain: Any = method.__func__ if static else method

    def extract(self: Any, answer: Any, *args: Any, **kwargs: Any) -> Any:
        course = course_of(self)
        if course is not None:
            course.hear_answer(answer)
        return plain(answer, *args, **kwargs) if static else plain(self, answer, *args, **kwargs)

    extract.__name__ = name
    return extract
