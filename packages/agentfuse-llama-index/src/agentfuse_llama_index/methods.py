"""The eight public methods of an LLM, as its fused class has them."""

from __future__ import annotations

from functools import wraps
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from agentfuse.errors import BudgetExceeded
from agentfuse_llama_index.doors import door_of
from agentfuse_llama_index.errors import InLlamaTerms
from agentfuse_llama_index.hearing import method_of
from agentfuse_llama_index.metered import Reading
from agentfuse_llama_index.whole_calls import WholeCall, awaited, iterated, raising, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from llama_index.core.llms import LLM

    from agentfuse import Fuse
    from agentfuse_llama_index.doors import Door
    from agentfuse_llama_index.hearing import Method

_END: Any = object()


def methods_of(bare: type[LLM]) -> dict[str, Callable[..., Any]]:
    """Give the eight methods of the fused subclass of a class.

    They are to be set once that class stands: LlamaIndex puts a span around each method in a
    class's body (DispatcherSpanMixin), while the provider's own method has one already.
    """
    makers = {"": _whole, "stream_": _stream, "a": _awhole, "astream_": _astream}
    door, methods = door_of(bare), dict[str, Any]()
    for prefix, maker in makers.items():
        for word in ("chat", "complete"):
            method = method_of(getattr_static(bare, f"{prefix}{word}"))
            methods[f"{prefix}{word}"] = wraps(method.told)(maker(door, method))
    return methods


def _passes(llm: Any, door: Door | None, options: dict[str, Any]) -> bool:
    """Say whether a call is metered elsewhere: at the SDK's door, or by the method around it."""
    return runs(llm) or (door is not None and door.leads(llm, options))


def _whole(door: Door | None, method: Method) -> Callable[..., Any]:
    def ask(self: Any, *args: Any, **options: Any) -> Any:
        if _passes(self, door, options):
            return method(self, *args, **options)
        call = WholeCall(self, method, args, options)
        with InLlamaTerms(self.fuse):
            try:
                answer = self.fuse.call(call.request, call.ask, call.codec)
            except BudgetExceeded as stop:
                if call.asked:
                    raise
                return call.told(raising(stop))
        return call.told(lambda: answer) if call.codec.remembered else answer

    return ask


def _awhole(door: Door | None, method: Method) -> Callable[..., Any]:
    async def ask(self: Any, *args: Any, **options: Any) -> Any:
        if _passes(self, door, options):
            return await method(self, *args, **options)
        call = WholeCall(self, method, args, options)
        with InLlamaTerms(self.fuse):
            try:
                answer = await self.fuse.acall(call.request, call.aask, call.codec)
            except BudgetExceeded as stop:
                if call.asked:
                    raise
                return await call.atold(raising(stop))
        return await call.atold(lambda: answer) if call.codec.remembered else answer

    return ask


def _stream(door: Door | None, method: Method) -> Callable[..., Any]:
    def open_stream(self: Any, *args: Any, **options: Any) -> Any:
        if _passes(self, door, options):
            reading = Reading()
            with reading.within():
                wire = method(self, *args, **options)
            return _driven(wire, reading, self.fuse)
        call = WholeCall(self, method, args, options, streams=True)
        with InLlamaTerms(self.fuse):
            try:
                stream = self.fuse.stream(call.request, call.stream, call.codec)
            except BudgetExceeded as stop:
                if call.asked:
                    raise
                return call.told(raising(stop))
        chunks = iterated(stream)
        wire = call.told(chunks) if call.codec.remembered else chunks()
        return _driven(wire, Reading([stream]), self.fuse)

    return open_stream


def _driven(wire: Iterator[Any], reading: Reading, fuse: Fuse) -> Iterator[Any]:
    """Read a stream to the user; however that ends, what was opened for it is closed at once."""
    try:
        while True:
            with reading.within(), InLlamaTerms(fuse):
                chunk = next(wire, _END)
            if chunk is _END:
                return
            yield chunk
    finally:
        for stream in reading.opened:
            stream.close()
        close = getattr(wire, "close", None)
        if close is not None:
            close()


def _astream(door: Door | None, method: Method) -> Callable[..., Any]:
    async def open_stream(self: Any, *args: Any, **options: Any) -> Any:
        if _passes(self, door, options):
            reading = Reading()
            with reading.within():
                wire = await method(self, *args, **options)
            return _adriven(wire, reading, self.fuse)
        call = WholeCall(self, method, args, options, streams=True)
        with InLlamaTerms(self.fuse):
            try:
                stream = await self.fuse.astream(call.request, call.astream, call.codec)
            except BudgetExceeded as stop:
                if call.asked:
                    raise
                return await call.atold(raising(stop))
        chunks = awaited(stream)
        wire = await call.atold(chunks) if call.codec.remembered else chunks()
        return _adriven(wire, Reading([stream]), self.fuse)

    return open_stream


async def _adriven(wire: AsyncIterator[Any], reading: Reading, fuse: Fuse) -> AsyncIterator[Any]:
    """Do as ``_driven``, awaited."""
    try:
        while True:
            with reading.within(), InLlamaTerms(fuse):
                chunk = await anext(wire, _END)
            if chunk is _END:
                return
            yield chunk
    finally:
        for stream in reading.opened:
            await stream.aclose()
        close = getattr(wire, "aclose", None)
        if close is not None:
            await close()
