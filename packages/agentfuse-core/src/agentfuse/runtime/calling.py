"""One call of ``completion()``: whom each attempt asks, in which dialect, with which key."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from agentfuse.policy.substitutes import entry_of
from agentfuse.providers.clients import DEFAULT_TIMEOUT, ClientPool
from agentfuse.providers.failures import failure_of
from agentfuse.providers.names import access_of, address_of, target_of
from agentfuse.providers.speech import speech_of
from agentfuse.providers.translation import AsyncTranslated, Translated, retell
from agentfuse.runtime.hedging import AsyncHedge, Hedge
from agentfuse.runtime.settings import environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from agentfuse.messages import Delta, Json, Reply, Request
    from agentfuse.providers.names import Access
    from agentfuse.runtime.fuse import Fuse
    from agentfuse.runtime.keyrings import KeyRing
    from agentfuse.tickets import Answered


class Tongue:
    """A codec that speaks the dialect of whoever answers: a fallback may be another provider."""

    __slots__ = ("_codec",)

    def __init__(self, codec: Any) -> None:
        self._codec = codec

    def hear(self, codec: Any) -> None:
        """Take the codec of the provider that answered."""
        self._codec = codec

    def answered(self, ticket: Answered) -> None:
        """Note why a semantic answer was taken for one."""
        self._codec.answered(ticket)

    def reply_of(self, result: Any) -> Reply:
        """Read a whole answer."""
        return self._codec.reply_of(result)  # type: ignore[no-any-return]

    def answer_of(self, result: Any) -> Any:
        """Give it as a ChatCompletion."""
        return self._codec.answer_of(result)

    def result_of(self, reply: Reply) -> Any:
        """Make a fresh ChatCompletion of any reply."""
        return self._codec.result_of(reply)

    def delta_of(self, chunk: Any) -> Delta:
        """Read what a chunk adds to the billed output."""
        return self._codec.delta_of(chunk)  # type: ignore[no-any-return]

    def shown(self, chunk: Any) -> Sequence[Any]:
        """Give what the caller sees of a chunk."""
        return self._codec.shown(chunk)  # type: ignore[no-any-return]

    def joined(self, chunks: Sequence[Any]) -> Reply:
        """Read a stream's chunks as one answer."""
        return self._codec.joined(chunks)  # type: ignore[no-any-return]

    def chunks_of(self, reply: Reply) -> Iterator[Any]:
        """Replay a reply as a stream."""
        return self._codec.chunks_of(reply)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Way:
    """How one attempt goes out."""

    request: Request
    speech: Any
    access: Access
    ring: KeyRing | None

    def fail(self, error: Exception) -> NoReturn:
        """Tell what went wrong in our words, and rest the key where the failure speaks of it."""
        failure = failure_of(error)
        rested = self.ring is not None and self.ring.failed(
            self.access.key, failure.kind, failure.retry_after
        )
        retell(error, self.request, other_key=rested)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """What one call asks, and through which fuse.

    ``base_url`` and ``api_key`` (one, or several that take turns) are the asked provider's alone.
    """

    fuse: Fuse
    request: Request
    codec: Tongue
    base_url: str
    api_key: str | Sequence[str]
    timeout: float
    began: float

    @classmethod
    def of(
        cls, fuse: Fuse, model: str, messages: Any, options: dict[str, Any], *, stream: bool
    ) -> Calling:
        """Take our own words out of the options; the rest is the provider's."""
        take = options.pop
        tenant, timeout = take("tenant_id", None), take("timeout", None) or DEFAULT_TIMEOUT
        target = target_of(model)
        base_url, api_key = take("base_url", None) or "", take("api_key", None) or ""
        body: Mapping[str, Json] = {"messages": messages, **options}
        at = address_of(target, environment(), base_url=base_url)
        speech = speech_of(target)
        request = speech.request_of(target, body, tenant=tenant, stream=stream, base_url=at)
        request = replace(request, reach="any")
        _require_keys(fuse, request)
        return cls(
            fuse=fuse,
            request=request,
            codec=Tongue(speech.codec_of(request)),
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            began=time.monotonic(),
        )

    @property
    def sending(self) -> Callable[[Request], Any]:
        """How a whole answer is asked for: twice at once where that is wanted."""
        after = self.fuse.retries.hedge_after
        return self.ask if after is None else Hedge(self.fuse, self.ask, self.codec, after)

    @property
    def asending(self) -> Callable[[Request], Awaitable[Any]]:
        """Do as ``sending``, awaited."""
        after = self.fuse.retries.hedge_after
        return self.aask if after is None else AsyncHedge(self.fuse, self.aask, self.codec, after)

    def ask(self, request: Request) -> Any:
        """Ask the provider and wait."""
        way = self._way(request)
        client = client_pool().client(way.access, self.timeout)
        try:
            result = way.speech.ask(client, way.request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            way.fail(error)
        self.codec.hear(way.speech.codec_of(request))
        return result

    def open_stream(self, request: Request) -> Iterator[Any]:
        """Open the provider's stream."""
        way = self._way(request)
        client = client_pool().client(way.access, self.timeout)
        try:
            stream = Translated(way.speech.open_stream(client, way.request), request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            way.fail(error)
        self.codec.hear(way.speech.codec_of(request))
        return stream

    async def aask(self, request: Request) -> Any:
        """Ask the provider, awaited."""
        way = self._way(request)
        client = client_pool().aclient(way.access, self.timeout)
        try:
            result = await way.speech.aask(client, way.request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            way.fail(error)
        self.codec.hear(way.speech.codec_of(request))
        return result

    async def aopen_stream(self, request: Request) -> AsyncIterator[Any]:
        """Open the provider's stream, awaited."""
        way = self._way(request)
        client = client_pool().aclient(way.access, self.timeout)
        try:
            stream = AsyncTranslated(await way.speech.aopen_stream(client, way.request), request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            way.fail(error)
        self.codec.hear(way.speech.codec_of(request))
        return stream

    def _way(self, request: Request) -> _Way:
        """Say how a request goes out, which may ask another provider than the call did."""
        own = request.provider == self.request.provider
        target = target_of(request.model, request.provider)
        ring = _ring_of(self.fuse, request.provider, self.api_key if own else "")
        key = self.api_key if own and isinstance(self.api_key, str) else ""
        access = access_of(
            target,
            environment(),
            base_url=self.base_url if own else "",
            api_key=ring.take() if ring else key,
        )
        return _Way(self._hurried(request), speech_of(target), access, ring)

    def _hurried(self, request: Request) -> Request:
        """Let the SDK wait no longer than the call's deadline leaves, where that is less."""
        deadline = self.fuse.retries.deadline
        if deadline is None:
            return request
        left = max(self.began + deadline - time.monotonic(), 0.001)
        if left >= self.timeout:
            return request
        return replace(request, params={**request.params, "timeout": left})


def _ring_of(fuse: Fuse, provider: str, given: str | Sequence[str]) -> KeyRing | None:
    if isinstance(given, str):
        return None if given else fuse.keyrings.of_provider(provider)
    return fuse.keyrings.ring_of(given)


def _require_keys(fuse: Fuse, request: Request) -> None:
    """Raise ConfigurationError for a fallback that has no key, while it is not needed yet."""
    for substitute in entry_of(fuse.retries.fallbacks, request.model) or ():
        other = substitute.provider not in {"", request.provider}
        if other and fuse.keyrings.of_provider(substitute.provider) is None:
            access_of(target_of(substitute.model, substitute.provider), environment())


@lru_cache(maxsize=1)
def client_pool() -> ClientPool:
    """Give the process's SDK clients."""
    return ClientPool()
