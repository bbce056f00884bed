"""Calls that a fuse makes for itself, such as a summary: to whom they go, and how they are sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentfuse.providers.names import access_of, address_of, target_of
from agentfuse.providers.speech import speech_of
from agentfuse.providers.translation import retell
from agentfuse.runtime.asking import Asking
from agentfuse.runtime.calling import client_pool
from agentfuse.runtime.settings import environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentfuse.messages import Reply, Request
    from agentfuse.providers.names import Access

    Send = Callable[[Request, str], Awaitable[Reply]]


def aimed(request: Request) -> Request:
    """Say who serves the model that a request names, and at which address."""
    target = target_of(request.model)
    at = address_of(target, environment(), base_url=request.base_url)
    return replace(request, provider=target.provider, model=target.model, base_url=at)


def sending(*, blocking: bool) -> Send:
    """Give what asks a provider, with an API key or the environment's; raises ProviderFailed."""

    async def send(request: Request, api_key: str) -> Reply:
        target = target_of(request.model, request.provider)
        client = client_pool().client(_access_of(request, api_key))
        try:
            with Asking(request.model):
                result = speech_of(target).ask(client, request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)
        return _reply_of(request, result)

    async def asend(request: Request, api_key: str) -> Reply:
        target = target_of(request.model, request.provider)
        client = client_pool().aclient(_access_of(request, api_key))
        try:
            with Asking(request.model):
                result = await speech_of(target).aask(client, request)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            retell(error, request)
        return _reply_of(request, result)

    return send if blocking else asend


def _access_of(request: Request, api_key: str) -> Access:
    target = target_of(request.model, request.provider)
    return access_of(target, environment(), base_url=request.base_url, api_key=api_key)


def _reply_of(request: Request, result: object) -> Reply:
    target = target_of(request.model, request.provider)
    reply: Reply = speech_of(target).codec_of(request).reply_of(result)
    return reply
