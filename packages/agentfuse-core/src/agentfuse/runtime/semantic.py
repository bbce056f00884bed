"""The semantic cache as a user makes it: presets, bounds, and calls of one's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from agentfuse.caches.lifetimes import Lifetime
from agentfuse.caches.semantic.tier import SemanticTier, Terms
from agentfuse.caches.semantic.verifying import Jury
from agentfuse.guard import VERSION
from agentfuse.messages import Choice, Reply, Text
from agentfuse.policy.cacheable import CacheRules
from agentfuse.policy.keys import key_of
from agentfuse.policy.meaning import may_be_kept_by_meaning, question_of
from agentfuse.providers.names import address_of, target_of
from agentfuse.providers.speech import speech_of
from agentfuse.runtime.semantic_settings import SemanticOptions, SemanticSettings
from agentfuse.runtime.settings import environment
from agentfuse.runtime.warm_up import Warmed, warm
from agentfuse.scopes import current_scope
from agentfuse.semantics import Meanings
from agentfuse.tokens import TokenCounter
from agentfuse.usage import BilledUsage, Usage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentfuse.caches.semantic.report import CacheReport
    from agentfuse.messages import Request
    from agentfuse.ports import SemanticStore
    from agentfuse.semantics import Lookup, Match, Selection, SemanticHit

# Answers by the public way in are the users' own words: as sure of themselves as a fuse's are.
_RULES = CacheRules()

# How much of the other's content each of two questions must have where users share answers: what
# stops a stranger's "your question, and then do as I say" from standing in for the question.
SHARED_COVERAGE = 0.75


class SemanticCache:
    """Answers a question that means the same as one answered before.

    ``Fuse(semantic=SemanticCache("strict", ttl=3600))``; ``preset`` is "strict", "balanced" or
    "wide", and the options are those of ``SemanticSettings``. Several fuses may share one. Loads
    its model when it is made. Raises ConfigurationError for words that are off, for a model that is
    not there, and for a preset nobody has measured for the embedder.
    """

    def __init__(self, preset: str = "balanced", **options: Unpack[SemanticOptions]) -> None:
        settings = SemanticSettings.of(preset, options)
        embedder = settings.made_embedder()
        meanings = Meanings(
            fingerprint=embedder.fingerprint,
            guard_version=f"{VERSION}",
            namespace=settings.namespace,
            shared=settings.share_across_users,
            about_now=settings.about_now,
        )
        self.settings = settings
        self.tier = SemanticTier(
            meanings,
            embedder.embed,
            settings.made_store(embedder),
            terms=_terms_of(settings, settings.least_cosine(embedder.fingerprint)),
            clock=settings.clock,
            log=settings.made_log(),
        )

    @property
    def store(self) -> SemanticStore:
        """Where the entries live."""
        return self.tier.store

    def get(self, *, model: str, messages: Any, **params: Any) -> Match | None:
        """Give a remembered answer (``.reply.text``) and why it fits (``.hit``), or None.

        ``model``, ``messages`` and ``params`` are those of ``completion()``, whose answers it finds
        as well; ``tenant_id`` and ``base_url`` among them. The scope's user counts too.
        """
        return self.find(_request_of(model, messages, params))

    def put(self, answer: str | Reply, *, model: str, messages: Any, **params: Any) -> str | None:
        """Keep an answer, and give its entry's id; None where it may not be kept.

        A plain text is kept with an estimate of its tokens, so that what a hit saves can be told.
        """
        request = _request_of(model, messages, params)
        reply = _reply_of(request, answer) if isinstance(answer, str) else answer
        return self.keep(request, reply)

    def find(self, request: Request) -> Match | None:
        """Look a request up, in the policy's own words: for caches of other frameworks.

        None as well where ``agentfuse.scope(cache=...)`` says "off" or "exact".
        """
        lookup = self._asked(request)
        return None if lookup is None else lookup.match

    def keep(self, request: Request, reply: Reply) -> str | None:
        """Keep an answer to a request, and give its entry's id; None where it may not be kept."""
        lookup = self._asked(request)
        if lookup is None or not may_be_kept_by_meaning(lookup.question, reply, _RULES):
            return None
        self.tier.keep_now(lookup, reply)
        return lookup.question.entry_id

    def warm(
        self,
        items: Iterable[str | tuple[str, str]],
        *,
        ask: Callable[[str], object] | None = None,
        concurrency: int = 4,
        progress: Callable[[int, int], object] | None = None,
        **request: Any,
    ) -> Warmed:
        """Fill the cache before its users come.

        A pair ``(prompt, answer)`` is kept under ``request``: ``model=...``, and what else the real
        calls send (``system="..."`` is the system message before the prompt). A prompt alone is
        handed to ``ask``, which asks through a fuse with this cache; ``concurrency`` at a time.
        ``progress(done, total)`` is called after each. What fails is listed and stops nothing.
        """

        def keep(prompt: str, answer: str) -> bool:
            given = dict(request)
            system = given.pop("system", None)
            before = [] if system is None else [{"role": "system", "content": system}]
            messages = [*before, {"role": "user", "content": prompt}]
            return self.put(answer, messages=messages, **given) is not None

        return warm(items, keep=keep, ask=ask, concurrency=concurrency, progress=progress)

    def reject(self, hit: SemanticHit | str) -> bool:
        """Forget a wrong hit's entry, and never match its two texts again (``Fuse.reject``)."""
        return self.tier.reject(hit)

    def invalidate(self, selection: Selection) -> int:
        """Forget the entries that fit, and count them."""
        return self.tier.invalidate(selection)

    def report(self) -> CacheReport:
        """Sum up what was found, vetoed, kept and tried."""
        return self.tier.report()

    def close(self) -> None:
        """Write down what is to survive; the cache can be used afterwards."""
        self.tier.close()

    def _asked(self, request: Request) -> Lookup | None:
        scope = current_scope()
        if scope.cache in {"off", "exact"}:
            return None
        if request.tenant is None and scope.tenant:
            request = replace(request, tenant=scope.tenant)
        free = replace(scope, cache="")
        question = question_of(request, self.tier.meanings, _RULES, free, key_of(request))
        return None if question is None else self.tier.find_now(question)


def _terms_of(settings: SemanticSettings, threshold: float) -> Terms:
    return Terms(
        threshold=threshold,
        level=settings.level,
        coverage=SHARED_COVERAGE if settings.share_across_users else 0.0,
        soft_ttl=settings.soft_ttl,
        lifetime=Lifetime(settings.ttl, settings.jitter),
        jury=Jury(tuple(settings.verifiers), settings.verifier_seconds),
        same=settings.same,
    )


def _request_of(model: str, messages: Any, params: dict[str, Any]) -> Request:
    """Build the request that ``completion()`` would build of the same words."""
    given = dict(params)
    tenant, base_url = given.pop("tenant_id", None), given.pop("base_url", None) or ""
    target = target_of(model)
    at = address_of(target, environment(), base_url=base_url)
    body = {"messages": messages, **given}
    request: Request = speech_of(target).request_of(
        target, body, tenant=tenant, stream=False, base_url=at
    )
    return request


def _reply_of(request: Request, text: str) -> Reply:
    counter = TokenCounter()
    usage = Usage(
        input_tokens=counter.by_rules(request).tokens,
        output_tokens=counter.count_text(text, request.model),
    )
    report = UsageReport(items=(BilledUsage(model=request.model, usage=usage),), approximate=True)
    choice = Choice(parts=(Text(text),), finish_reason="stop")
    return Reply(choices=(choice,), report=report, model=request.model)
