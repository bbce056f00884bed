"""The bytes of a streamed answer: frames off the wire, and what the caller sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from agentfuse.errors import BudgetExceeded
from agentfuse.providers.sse import FrameReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from agentfuse.providers.sse import Frame
    from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream


class Frames:
    """The frames of a response under way; ``close`` hangs up."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[Frame]:
        reader = FrameReader()
        for piece in self._response.iter_bytes():
            yield from reader.feed(piece)
        yield from reader.rest()

    def close(self) -> None:
        """Hang up."""
        self._response.close()


class AsyncFrames:
    """Do as ``Frames``, awaited."""

    def __init__(self, response: Any) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[Frame]:
        reader = FrameReader()
        async for piece in self._response.aiter_bytes():
            for frame in reader.feed(piece):
                yield frame
        for frame in reader.rest():
            yield frame

    async def aclose(self) -> None:
        """Hang up."""
        await self._response.aclose()


class Body:
    """What the caller reads; mixed into a module's SyncByteStream."""

    stream: MeteredStream[Frame, bytes]
    told: Callable[[Exception], Exception]

    @classmethod
    def of(cls, stream: MeteredStream[Frame, bytes], told: Any) -> Self:
        """Make a body; ``told`` says a stop in the SDK's terms."""
        body = cls()
        body.stream = stream
        body.told = told
        return body

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.stream)
        except BudgetExceeded as stop:
            raise self.told(stop) from stop

    def close(self) -> None:
        """Hang up, and settle what was streamed."""
        self.stream.close()


class AsyncBody:
    """Do as ``Body``, awaited; mixed into a module's AsyncByteStream."""

    stream: AsyncMeteredStream[Frame, bytes]
    told: Callable[[Exception], Exception]

    @classmethod
    def of(cls, stream: AsyncMeteredStream[Frame, bytes], told: Any) -> Self:
        """Make a body; ``told`` says a stop in the SDK's terms."""
        body = cls()
        body.stream = stream
        body.told = told
        return body

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self.stream)
        except BudgetExceeded as stop:
            raise self.told(stop) from stop

    async def aclose(self) -> None:
        """Hang up, and settle what was streamed."""
        await self.stream.aclose()
