"""Which requests may be answered by meaning, and what must be equal before two are compared.

Only the last text of the last user message is ever compared. All else (tenant, user, model, system
prompt, history, images, tool results, parameters) is part of a digest that must be the same: with
whole conversations compared, unrelated questions come out at a cosine of 0.94 (the serialised
prompts of LangChain, measured), and "how old is he" is answered from another conversation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from agentfuse.messages import Reasoning, Text
from agentfuse.policy.cacheable import may_be_kept, may_be_remembered
from agentfuse.policy.keys import key_of
from agentfuse.scopes import NO_SCOPE, SCOPES
from agentfuse.semantics import Question

if TYPE_CHECKING:
    from typing import Literal

    from agentfuse.messages import Json, Message, Reply, Request
    from agentfuse.policy.cacheable import CacheRules
    from agentfuse.scopes import Scope
    from agentfuse.semantics import Meanings

SCOPE_VERSION = 1

INSTRUCTIONS = frozenset({"system", "developer"})
"""The roles that are no turn of a conversation."""

# What asks for several answers, sound, log probabilities, or for tools of the old or the provider's
# own kind. Each may be there and say nothing (n=1, logprobs=False).
_COUNTS = frozenset({"best_of", "candidate_count", "candidateCount", "n"})
_MORE = frozenset(
    {"audio", "container", "function_call", "functions", "logprobs", "mcp_servers", "top_logprobs"}
)
_TEXT_ONLY: tuple[Json, ...] = (None, ["text"], ["TEXT"], ("text",))


def question_of(
    request: Request, meanings: Meanings, rules: CacheRules, scope: Scope, key: str | None
) -> Question | None:
    """Read the question out of a request; None for one that may not be answered by meaning.

    ``key`` names the exact answer, where there may be one. Users named by ``scope`` have answers of
    their own unless ``meanings.shared``.
    """
    if not may_be_remembered(request, rules) or not _asks_for_one_text(request):
        return None
    text = _text_asked(request, meanings)
    rest = None if text is None else key_of(_without_text(request))
    if text is None or rest is None:
        return None
    user = "" if meanings.shared else scope.user
    pieces = (
        f"agentfuse semantic {SCOPE_VERSION}",
        meanings.fingerprint,
        meanings.guard_version,
        meanings.namespace,
        f"user {user}" if user else "anybody",
        rest,
    )
    digest = sha256(
        "".join(f"{len(piece)}:{piece}" for piece in pieces).encode("utf-8", "surrogatepass")
    )
    return Question(
        scope=digest.hexdigest(),
        text=text,
        model=request.model,
        key=key or "",
        tags=tags_of(request, scope),
        json=_wants_json(request.params),
        mode=_mode_of(scope),
    )


def tags_of(request: Request, scope: Scope) -> tuple[str, ...]:
    """Name an answer by all that it may be forgotten by: ids, tags, model."""
    if scope is NO_SCOPE and request.tenant is None:
        return (f"model:{request.model}",)
    ids = {name: getattr(scope, name) for name in SCOPES}
    ids["tenant"] = request.tenant or ids["tenant"]
    named = [f"{name}:{each}" for name, each in ids.items() if each]
    return (*named, *(f"tag:{tag}" for tag in scope.tags), f"model:{request.model}")


def may_be_kept_by_meaning(question: Question, reply: Reply, rules: CacheRules) -> bool:
    """Say whether an answer is one whole text, and JSON where that was asked for."""
    if len(reply.choices) != 1 or not may_be_kept(reply, rules):
        return False
    choice = reply.choices[0]
    if choice.finish_reason != "stop" or choice.tool_calls or not choice.text.strip():
        return False
    if not all(isinstance(part, Text | Reasoning) for part in choice.parts):
        return False
    return not question.json or _is_json(choice.text)


def _mode_of(scope: Scope) -> Literal["semantic", "shadow"]:
    return "shadow" if scope.cache == "shadow" else "semantic"


def _asks_for_one_text(request: Request) -> bool:
    params = request.params
    if request.tools or request.api == "embeddings":
        return False
    if any(params.get(name) not in (None, 1) for name in _COUNTS & params.keys()):
        return False
    if params.get("modalities") not in _TEXT_ONLY:
        return False
    return not any(params.get(name) for name in _MORE)


def _text_asked(request: Request, meanings: Meanings) -> str | None:
    """Give the text to compare; None where it is none, too long, about now, or hangs on history."""
    from agentfuse.guard import is_about_now, is_follow_up  # its tables are for who compares

    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "user" or last.tool_calls or not _is_text(last):
        return None
    text = cast("Text", last.parts[-1]).text
    if not meanings.shortest <= len(text.strip()) <= meanings.longest:
        return None
    if not meanings.about_now and is_about_now(text):
        return None
    goes_on = any(each.role not in INSTRUCTIONS for each in request.messages[:-1])
    return None if goes_on and is_follow_up(text) else text


def _is_text(message: Message) -> bool:
    return bool(message.parts) and all(isinstance(part, Text) for part in message.parts)


def _without_text(request: Request) -> Request:
    """Leave the last text out: what stands before it in the same message is a document, say."""
    *before, last = request.messages
    *parts, text = last.parts
    emptied = replace(cast("Text", text), text="")
    return replace(request, messages=(*before, replace(last, parts=(*parts, emptied))))


def _wants_json(params: Mapping[str, Json]) -> bool:
    """Say whether an answer must be JSON, in any provider's words for it."""
    formats = (
        params.get("response_format"),
        params.get("output_format"),
        _inside(params.get("output_config"), "format"),
        _inside(params.get("text"), "format"),
    )
    mime = params.get("response_mime_type")
    return mime == "application/json" or any(map(_is_json_format, formats))


def _is_json_format(value: Json) -> bool:
    """Read ``{"type": "json_schema", ...}``; what is no mapping (a class) asks for JSON too."""
    if not isinstance(value, Mapping):
        return value is not None and value not in ("", "text")
    return (_inside(cast("Json", value), "type") or "json") != "text"


def _inside(value: Json, word: str) -> Json:
    return cast("Mapping[str, Json]", value).get(word) if isinstance(value, Mapping) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
