"""Ask a router's judge: a call like any other, on the same budget and with its own receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentfuse.runtime.calling import Calling
from agentfuse.scopes import routed_by, scope

if TYPE_CHECKING:
    from agentfuse.messages import Request
    from agentfuse.routing.strategies import Judge
    from agentfuse.runtime.fuse import Fuse

# One word, and room for a model that writes it as a sentence.
_WORDS = 16
TAG = "agentfuse.judge"
"""The tag of a judge's calls, on receipts and in limits."""


def judged(fuse: Fuse, judge: Judge, asked: Request) -> str:
    """Give what the judge says of a request."""
    call = _calling(fuse, judge, asked)
    with routed_by(route=False), scope(tags=(TAG,)):
        return _said(fuse.call(call.request, call.ask, call.codec))


async def ajudged(fuse: Fuse, judge: Judge, asked: Request) -> str:
    """Do as ``judged``, awaited."""
    call = _calling(fuse, judge, asked)
    with routed_by(route=False), scope(tags=(TAG,)):
        return _said(await fuse.acall(call.request, call.aask, call.codec))


def _calling(fuse: Fuse, judge: Judge, asked: Request) -> Calling:
    options = {
        "max_tokens": _WORDS,
        "temperature": 0,
        "tenant_id": asked.tenant,
        "base_url": judge.base_url,
        "api_key": judge.api_key,
    }
    question = [{"role": "user", "content": judge.question_of(asked)}]
    return Calling.of(fuse, judge.model, question, options, stream=False)


def _said(completion: Any) -> str:
    return completion.choices[0].message.content or ""
