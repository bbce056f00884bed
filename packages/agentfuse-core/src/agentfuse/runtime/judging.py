"""Ask a router's judge: a call like any other, on the same budget and with its own receipt."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from agentfuse.providers.clients import DEFAULT_TIMEOUT, ClientPool
from agentfuse.providers.names import access_of, address_of, target_of
from agentfuse.runtime.settings import environment
from agentfuse.scopes import routed_by, scope

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.providers.names import Target
    from agentfuse.routing.strategies import Judge
    from agentfuse.runtime.fuse import Fuse

# One word, and room for a model that writes it as a sentence.
_WORDS = 16
TAG = "agentfuse.judge"
"""The tag of a judge's calls, on receipts and in limits."""


class JudgesCall:
    """One question to a judge, ready to be sent either way."""

    def __init__(self, judge: Judge, asked: Request) -> None:
        target = target_of(judge.model)
        self.speech: Any = _speech_of(target)
        reach = partial(access_of, target, environment(), base_url=judge.base_url)
        self.access = partial(reach, api_key=judge.api_key)
        body = {
            "messages": [{"role": "user", "content": judge.question_of(asked)}],
            "max_tokens": _WORDS,
            "temperature": 0,
        }
        at = address_of(target, environment(), base_url=judge.base_url)
        self.request: Request = self.speech.request_of(
            target, body, tenant=asked.tenant, stream=False, base_url=at
        )

    def put(self, fuse: Fuse) -> str:
        """Ask, and give what was said."""
        with routed_by(route=False), scope(tags=(TAG,)):
            client = _pool().client(self.access(), DEFAULT_TIMEOUT)
            codec = self.speech.codec_of(self.request)
            return _said(fuse.call(self.request, partial(self.speech.ask, client), codec))

    async def aput(self, fuse: Fuse) -> str:
        """Do as ``put``, awaited."""
        with routed_by(route=False), scope(tags=(TAG,)):
            client = _pool().aclient(self.access(), DEFAULT_TIMEOUT)
            codec = self.speech.codec_of(self.request)
            answer = await fuse.acall(self.request, partial(self.speech.aask, client), codec)
            return _said(answer)


def _speech_of(target: Target) -> Any:
    """Give the module that speaks the target's dialect."""
    if target.api == "anthropic.messages":
        from agentfuse.providers import anthropic_messages

        return anthropic_messages
    from agentfuse.providers import openai_chat

    return openai_chat


@lru_cache(maxsize=1)
def _pool() -> ClientPool:
    return ClientPool()


def _said(completion: Any) -> str:
    return completion.choices[0].message.content or ""
