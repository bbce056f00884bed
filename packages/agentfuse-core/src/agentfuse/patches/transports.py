"""The place where an SDK's requests leave: a transport around the client's own.

Every call style of the SDKs passes here, each attempt of their retries alone. The law is the
fuse's; ``exchange`` reads and writes; this only sends, in the blocking and the awaited way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from agentfuse.messages import Reply
from agentfuse.patches.bodies import AsyncBody, AsyncFrames, Body, Frames
from agentfuse.patches.exchange import Exchange, is_metered, is_streamed
from agentfuse.patches.flavours import mixed
from agentfuse.runtime.asking import Asking
from agentfuse.runtime.streams import AsyncMeteredStream, MeteredStream
from agentfuse.tickets import Admitted, Answered

if TYPE_CHECKING:
    from agentfuse.patches.flavours import Flavour
    from agentfuse.runtime.fuse import Fuse


class FusedTransport:
    """A blocking transport whose calls are metered by a fuse."""

    def __init__(self, inner: Any, fuse: Fuse, flavour: Flavour) -> None:
        self.inner = inner
        self.fuse = fuse
        self._flavour = flavour

    def handle_request(self, request: Any) -> Any:
        """Answer from memory, refuse, or send."""
        url = str(request.url)
        if not is_metered(request.method, url, request.headers):
            return self.inner.handle_request(request)
        exchange = None
        try:
            exchange = Exchange.of(url, request.headers, request.read())
            ticket = self.fuse.begin(exchange.asked) if exchange else None
            if exchange is not None and isinstance(ticket, Answered):
                return self._flavour.answer(*exchange.answer(ticket))
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            return self._refusal(exchange, error)
        if exchange is None or not isinstance(ticket, Admitted):
            return self.inner.handle_request(request)
        return self._ask(request, exchange, exchange.attempt.numbered(ticket))

    def _ask(self, request: Any, exchange: Exchange, ticket: Admitted) -> Any:
        try:
            outgoing = _outgoing(self._flavour, request, exchange, ticket)
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            self.fuse.fail(ticket, error, final=True)
            return self._refusal(exchange, error)
        try:
            with Asking(ticket.request.model):
                response = self.inner.handle_request(outgoing)
            if is_streamed(response):
                return self._streamed(response, exchange, ticket)
            raw = _drained(response)
        except BaseException as error:
            self.fuse.lose(ticket, error)
            exchange.attempt.failed_with(error)
            raise
        return self._settled(response, raw, exchange, ticket)

    def _streamed(self, response: Any, exchange: Exchange, ticket: Admitted) -> Any:
        stream = MeteredStream(self.fuse, ticket, Frames(response), exchange.codec)
        body = mixed(Body, self._flavour.module.SyncByteStream).of(stream, exchange.told)
        return self._flavour.streamed(response, body)

    def _settled(self, response: Any, raw: bytes, exchange: Exchange, ticket: Admitted) -> Any:
        try:
            verdict = exchange.verdict(response, self._flavour.decoded(response, raw))
            if isinstance(verdict, Reply):
                self.fuse.finish(ticket, verdict)
            else:
                self.fuse.lose(ticket, verdict)
                exchange.attempt.failed_with(verdict, response)
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            return self._refusal(exchange, error)
        return self._flavour.whole(response, raw)

    def _refusal(self, exchange: Exchange | None, error: Exception) -> Any:
        if exchange is None:
            return self._flavour.refusal(error)
        exchange.attempt.refused_with(error)
        return self._flavour.refusal(exchange.told(error))

    def close(self) -> None:
        """Close the transport within."""
        self.inner.close()

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *exit_info: object) -> None:
        self.inner.__exit__(*exit_info)


class AsyncFusedTransport:
    """Do as ``FusedTransport``, awaited."""

    def __init__(self, inner: Any, fuse: Fuse, flavour: Flavour) -> None:
        self.inner = inner
        self.fuse = fuse
        self._flavour = flavour

    async def handle_async_request(self, request: Any) -> Any:
        """Answer from memory, refuse, or send."""
        url = str(request.url)
        if not is_metered(request.method, url, request.headers):
            return await self.inner.handle_async_request(request)
        exchange = None
        try:
            exchange = Exchange.of(url, request.headers, await request.aread())
            ticket = await self.fuse.abegin(exchange.asked) if exchange else None
            if exchange is not None and isinstance(ticket, Answered):
                return self._flavour.answer(*exchange.answer(ticket))
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            return self._refusal(exchange, error)
        if exchange is None or not isinstance(ticket, Admitted):
            return await self.inner.handle_async_request(request)
        return await self._ask(request, exchange, exchange.attempt.numbered(ticket))

    async def _ask(self, request: Any, exchange: Exchange, ticket: Admitted) -> Any:
        try:
            outgoing = _outgoing(self._flavour, request, exchange, ticket)
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            await self.fuse.afail(ticket, error, final=True)
            return self._refusal(exchange, error)
        try:
            with Asking(ticket.request.model):
                response = await self.inner.handle_async_request(outgoing)
            if is_streamed(response):
                return self._streamed(response, exchange, ticket)
            raw = await _adrained(response)
        except BaseException as error:
            await self.fuse.alose(ticket, error)
            exchange.attempt.failed_with(error)
            raise
        return await self._settled(response, raw, exchange, ticket)

    def _streamed(self, response: Any, exchange: Exchange, ticket: Admitted) -> Any:
        stream = AsyncMeteredStream(self.fuse, ticket, AsyncFrames(response), exchange.codec)
        body = mixed(AsyncBody, self._flavour.module.AsyncByteStream).of(stream, exchange.told)
        return self._flavour.streamed(response, body)

    async def _settled(
        self, response: Any, raw: bytes, exchange: Exchange, ticket: Admitted
    ) -> Any:
        try:
            verdict = exchange.verdict(response, self._flavour.decoded(response, raw))
            if isinstance(verdict, Reply):
                await self.fuse.afinish(ticket, verdict)
            else:
                await self.fuse.alose(ticket, verdict)
                exchange.attempt.failed_with(verdict, response)
        except Exception as error:  # noqa: BLE001 - it reaches the caller as it is
            return self._refusal(exchange, error)
        return self._flavour.whole(response, raw)

    def _refusal(self, exchange: Exchange | None, error: Exception) -> Any:
        if exchange is None:
            return self._flavour.refusal(error)
        exchange.attempt.refused_with(error)
        return self._flavour.refusal(exchange.told(error))

    async def aclose(self) -> None:
        """Close the transport within."""
        await self.inner.aclose()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *exit_info: object) -> None:
        await self.inner.__aexit__(*exit_info)


def _outgoing(flavour: Flavour, request: Any, exchange: Exchange, ticket: Admitted) -> Any:
    """Give the request itself, or one with the body that the policy hands over."""
    content = exchange.content_for(ticket.request)
    if content is None:
        return request
    return flavour.request(request, exchange.url_for(ticket.request), content)


def _drained(response: Any) -> bytes:
    try:
        return b"".join(response.stream)
    finally:
        response.stream.close()


async def _adrained(response: Any) -> bytes:
    try:
        return b"".join([piece async for piece in response.stream])
    finally:
        await response.stream.aclose()
