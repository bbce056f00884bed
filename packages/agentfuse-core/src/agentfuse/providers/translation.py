"""A provider's failure in our words, with the SDK's own error as its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from agentfuse.errors import AgentFuseError, ProviderFailed
from agentfuse.providers.failures import failure_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentfuse.messages import Request

# What is not the provider's doing: our caller stopped waiting, or one of us made a mistake.
NOT_THEIRS = frozenset({"cancelled", "unknown"})


def retell(error: Exception, request: Request, *, other_key: bool = False) -> NoReturn:
    """Raise ProviderFailed from what the provider's SDK raised; all else as it is.

    ``other_key`` says that another key can be asked.
    """
    failure = failure_of(error)
    if isinstance(error, AgentFuseError) or failure.kind in NOT_THEIRS:
        raise error
    raise ProviderFailed(
        f"{request.provider} could not answer {request.model}"
        f" ({failure.kind.replace('_', ' ')}): {failure.message}",
        kind=failure.kind,
        status=failure.status,
        retry_after=failure.retry_after,
        other_key=other_key,
    ) from error


def _speechless(request: Request) -> ProviderFailed:
    """Say that a stream ended before it began: SDKs pass over events they cannot read."""
    text = f"{request.provider} opened a stream for {request.model} and sent nothing readable"
    return ProviderFailed(text, kind="malformed")


class Translated:
    """A provider's stream whose failures are told in our words; one without a word is a failure."""

    def __init__(self, wire: Any, request: Request) -> None:
        self._silent = True
        self._wire = wire
        self._chunks = iter(wire)
        self._request = request

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            if self._silent:
                raise _speechless(self._request) from None
            raise
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, self._request)
        self._silent = False
        return chunk

    def close(self) -> None:
        """Hang up."""
        self._wire.close()


class AsyncTranslated:
    """Do as ``Translated``, awaited."""

    def __init__(self, wire: Any, request: Request) -> None:
        self._silent = True
        self._wire = wire
        self._chunks: AsyncIterator[Any] = aiter(wire)
        self._request = request

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            if self._silent:
                raise _speechless(self._request) from None
            raise
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, self._request)
        self._silent = False
        return chunk

    async def close(self) -> None:
        """Hang up."""
        await self._wire.close()
