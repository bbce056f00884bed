"""Streams that are metered as they flow and settled once, however they end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from agentfuse.errors import BudgetExceeded
from agentfuse.runtime.asking import Asking
from agentfuse.runtime.sending import asent, sent, told
from agentfuse.tickets import Answered

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
    )
    from types import TracebackType

    from agentfuse.messages import Reply, Request
    from agentfuse.ports import Codec
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.tickets import Admitted, Ticket

Chunk = TypeVar("Chunk")
Shown = TypeVar("Shown")


class _Course(Generic[Chunk, Shown]):
    """What a stream has said so far, and what that makes as a reply."""

    __slots__ = ("_codec", "_seen", "ended", "fuse", "send", "ticket", "wire")

    def __init__(
        self,
        fuse: Fuse,
        ticket: Admitted,
        wire: Any,
        codec: Codec[Any, Chunk, Any, Shown],
        send: Any,
    ) -> None:
        self.fuse = fuse
        self.send = send
        self.ticket = ticket
        self.wire = wire
        self.ended = False
        self._codec = codec
        self._seen: list[Chunk] = []

    def take(self, chunk: Chunk) -> Iterable[Shown]:
        """Meter a chunk and give what the caller sees of it."""
        self._seen.append(chunk)
        self.fuse.meter(self.ticket, self._codec.delta_of(chunk))
        return self._codec.shown(chunk)

    def reopens(self) -> bool:
        """Say whether a stream that broke may be opened again: not once it has said something."""
        return self.send is not None and not self._seen and not self.ended

    @property
    def silent(self) -> bool:
        """Whether nothing has come yet."""
        return not self._seen

    def reply(self, error: BaseException | None) -> Reply:
        """Join what was seen.

        After an error it is cut, whatever it looks like; a caller who hangs up on the last words
        has missed nothing if the usage was among them.
        """
        reply = self._codec.joined(self._seen)
        if error is None or (isinstance(error, GeneratorExit) and reply.report is not None):
            return reply
        return replace(reply, choices=tuple(replace(c, finish_reason="") for c in reply.choices))


class MeteredStream(Generic[Chunk, Shown]):
    """An iterator over what the caller sees of a live or remembered stream.

    A context manager too. ``close()`` ends the provider's stream at once and settles what was
    streamed; so do an error, the end, and the garbage collector. Raises BudgetExceeded, with the
    partial text, when the lease runs out.
    """

    def __init__(
        self,
        fuse: Fuse,
        ticket: Admitted,
        wire: Iterable[Chunk],
        codec: Codec[Any, Chunk, Any, Shown],
        send: Callable[[Request], Iterable[Chunk]] | None = None,
    ) -> None:
        self._course: _Course[Chunk, Shown] | None = _Course(fuse, ticket, wire, codec, send)
        self._chunks: Iterator[Shown] = self._flow(self._course)

    @classmethod
    def replayed(cls, chunks: Iterator[Shown]) -> Self:
        """Wrap the chunks of a remembered answer: nothing is metered or settled."""
        stream = object.__new__(cls)
        stream._course = None
        stream._chunks = chunks
        return stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Shown:
        try:
            return self._next()
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, and settle what was streamed; doing it again changes nothing."""
        self._end(GeneratorExit())

    def __del__(self) -> None:
        if getattr(self, "_course", None) is not None:
            self.close()

    def _next(self) -> Shown:
        """Read on; a framework's generator may send its request only now."""
        if self._course is None:
            return next(self._chunks)
        with Asking(self._course.ticket.request.model):
            return next(self._chunks)

    @staticmethod
    def _flow(course: _Course[Chunk, Shown]) -> Iterator[Shown]:
        while True:
            try:
                for chunk in course.wire:
                    yield from course.take(chunk)
            except Exception as error:
                if not course.reopens() or not _reopened(course, error):
                    raise
            else:
                return

    def _end(self, error: BaseException | None) -> None:
        course = self._course
        if course is None or course.ended:
            return
        course.ended = True
        try:
            _hang_up(course.wire)
        finally:
            _settle(course, error)


class AsyncMeteredStream(Generic[Chunk, Shown]):
    """Do as ``MeteredStream``, awaited; close it with ``aclose()`` or ``async with``."""

    def __init__(
        self,
        fuse: Fuse,
        ticket: Admitted,
        wire: AsyncIterable[Chunk],
        codec: Codec[Any, Chunk, Any, Shown],
        send: Callable[[Request], Awaitable[AsyncIterable[Chunk]]] | None = None,
    ) -> None:
        self._course: _Course[Chunk, Shown] | None = _Course(fuse, ticket, wire, codec, send)
        self._chunks: AsyncIterator[Shown] = self._flow(self._course)

    @classmethod
    def replayed(cls, chunks: Iterator[Shown]) -> Self:
        """Wrap the chunks of a remembered answer: nothing is metered or settled."""
        stream = object.__new__(cls)
        stream._course = None
        stream._chunks = _awaited(chunks)
        return stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Shown:
        try:
            return await self._next()
        except StopAsyncIteration:
            await self._end(None)
            raise
        except BaseException as error:
            await self._end(error)
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up, and settle what was streamed; doing it again changes nothing."""
        await self._end(GeneratorExit())

    async def close(self) -> None:
        """Do as ``aclose``: the name the vendors' SDKs give it."""
        await self.aclose()

    def __del__(self) -> None:
        """Settle a stream that was dropped; its connection is the garbage collector's."""
        course = getattr(self, "_course", None)
        if course is not None and not course.ended:
            course.ended = True
            _settle(course, GeneratorExit())

    async def _next(self) -> Shown:
        if self._course is None:
            return await anext(self._chunks)
        with Asking(self._course.ticket.request.model):
            return await anext(self._chunks)

    @staticmethod
    async def _flow(course: _Course[Chunk, Shown]) -> AsyncIterator[Shown]:
        while True:
            try:
                async for chunk in course.wire:
                    for shown in course.take(chunk):
                        yield shown
            except Exception as error:
                if not course.reopens() or not await _areopened(course, error):
                    raise
            else:
                return

    async def _end(self, error: BaseException | None) -> None:
        course = self._course
        if course is None or course.ended:
            return
        course.ended = True
        try:
            await _ahang_up(course.wire)
        finally:
            await self._asettle(course, error)

    @staticmethod
    async def _asettle(course: _Course[Chunk, Shown], error: BaseException | None) -> None:
        if error is not None and course.silent:
            await course.fuse.afail(course.ticket, error, final=True)
        else:
            await course.fuse.afinish(course.ticket, course.reply(error), _broken_by(error))
        if isinstance(error, BudgetExceeded):
            course.fuse.stopped(error)


def opened_stream(
    ticket: Ticket, send: Callable[[Request], Any], codec: Codec[Any, Any, Any, Any], fuse: Fuse
) -> MeteredStream[Any, Any]:
    """Open the stream of what a ticket stands for, or replay it."""
    if isinstance(ticket, Answered):
        return MeteredStream[Any, Any].replayed(codec.chunks_of(told(codec, ticket)))
    ticket, wire = sent(fuse, ticket, send)
    return MeteredStream(fuse, ticket, wire, codec, send)


async def aopened_stream(
    ticket: Ticket,
    send: Callable[[Request], Awaitable[Any]],
    codec: Codec[Any, Any, Any, Any],
    fuse: Fuse,
) -> AsyncMeteredStream[Any, Any]:
    """Do as ``opened_stream``, awaited."""
    if isinstance(ticket, Answered):
        return AsyncMeteredStream[Any, Any].replayed(codec.chunks_of(told(codec, ticket)))
    ticket, wire = await asent(fuse, ticket, send)
    return AsyncMeteredStream(fuse, ticket, wire, codec, send)


def _reopened(course: _Course[Any, Any], error: Exception) -> bool:
    """Ask anew for a stream that broke before its first chunk, if another attempt is worth it."""
    course.ended = True  # until there is a new ticket, nothing is left to settle
    try:
        _hang_up(course.wire)
    finally:
        again = course.fuse.fail(course.ticket, error)
    if again is None:
        return False
    course.ticket, course.wire = sent(course.fuse, again, course.send)
    course.ended = False
    return True


async def _areopened(course: _Course[Any, Any], error: Exception) -> bool:
    """Do as ``_reopened``, awaited."""
    course.ended = True
    try:
        await _ahang_up(course.wire)
    finally:
        again = await course.fuse.afail(course.ticket, error)
    if again is None:
        return False
    course.ticket, course.wire = await asent(course.fuse, again, course.send)
    course.ended = False
    return True


def _settle(course: _Course[Any, Any], error: BaseException | None) -> None:
    """Book what the stream came to, at once."""
    if error is not None and course.silent:
        course.fuse.fail(course.ticket, error, final=True)
    else:
        course.fuse.finish(course.ticket, course.reply(error), _broken_by(error))
    if isinstance(error, BudgetExceeded):
        course.fuse.stopped(error)


def _broken_by(error: BaseException | None) -> BaseException | None:
    """Say what broke a stream off; a caller who hangs up broke nothing."""
    return None if isinstance(error, GeneratorExit) else error


async def _awaited(chunks: Iterator[Shown]) -> AsyncIterator[Shown]:
    for chunk in chunks:
        yield chunk


def _hang_up(wire: Any) -> None:
    close = getattr(wire, "close", None)
    if close is not None:
        close()


async def _ahang_up(wire: Any) -> None:
    """Close an SDK's stream (``close`` is a coroutine there) or an async generator."""
    close = getattr(wire, "aclose", None) or getattr(wire, "close", None)
    if close is not None:
        await close()
