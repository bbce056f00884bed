"""What must be equal before two questions are compared, and what is never answered by meaning."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agentfuse import Fuse, SemanticCache, scope
from agentfuse.messages import Choice, Media, Message, Other, Reply, Request, Text, ToolCall
from agentfuse.policy.cacheable import CacheRules
from agentfuse.policy.meaning import may_be_kept_by_meaning, question_of
from agentfuse.providers.names import target_of
from agentfuse.providers.openai_chat import request_of
from agentfuse.scopes import NO_SCOPE, Scope
from agentfuse.semantics import Meanings, Question
from agentfuse.testing.near_requests import first_request, near_requests
from agentfuse.tickets import Admitted, Answered

MEANINGS = Meanings(fingerprint="f", guard_version="1")
ANSWER = Reply(choices=(Choice(parts=(Text("It rose."),), finish_reason="stop"),))


class Indifferent:
    """An embedder to which all texts are one: whatever may be compared is a hit."""

    fingerprint = "indifferent"
    dim = 4

    def embed(self, text: str) -> Any:
        return np.array([1, 0, 0, 0], np.float32)


def asked(
    text: str = "Why is the sky blue?",
    *before: Message,
    meanings: Meanings = MEANINGS,
    **fields: Any,
) -> Question | None:
    ids: Scope = fields.pop("scope", NO_SCOPE)
    request = Request(
        provider="openai",
        model="gpt-4o",
        messages=(*before, Message("user", (Text(text),))),
        **fields,
    )
    return question_of(request, meanings, CacheRules(), ids, "key")


def chat_request_of(near: Any) -> Request:
    body = {"messages": near.messages, **near.params}
    return request_of(target_of(near.model), body, tenant=near.tenant)


def test_ten_thousand_near_requests_never_meet() -> None:
    """Whatever differs beside the last text, even to an embedder that sees no difference at all."""
    cache = SemanticCache(embedder=Indifferent(), threshold=0.01, max_entries=20_000)
    fuse = Fuse(cache=False, semantic=cache)
    first = fuse.begin(chat_request_of(first_request()))
    assert isinstance(first, Admitted)
    fuse.finish(first, ANSWER)
    met: Counter[str] = Counter()
    for near in near_requests(10_000):
        with scope(user=near.user):
            ticket = fuse.begin(chat_request_of(near))
            if isinstance(ticket, Admitted):
                fuse.finish(ticket, ANSWER)
            else:
                met[near.what] += 1
    assert met == {}
    assert cache.report().lookups == 10_001
    # The same again is a hit: the test could have failed.
    assert isinstance(fuse.begin(chat_request_of(first_request())), Answered)


def test_only_the_last_text_is_left_out_of_the_scope() -> None:
    one, other = asked("Why is the sky blue?"), asked("How high is the sky?")
    assert one is not None
    assert other is not None
    assert one.scope == other.scope
    assert one.entry_id != other.entry_id


def test_a_document_before_the_question_is_part_of_the_scope() -> None:
    def of(document: str) -> Question | None:
        parts = (
            Text(document, {"cache_control": {"type": "ephemeral"}}),
            Text("What does it say?"),
        )
        request = Request(provider="p", model="m", messages=(Message("user", parts),))
        return question_of(request, MEANINGS, CacheRules(), NO_SCOPE, None)

    one, other = of("Apples."), of("Pears.")
    assert one is not None
    assert other is not None
    assert one.text == other.text
    assert one.scope != other.scope


@pytest.mark.parametrize(
    "change",
    [
        {"meanings": replace(MEANINGS, fingerprint="g")},
        {"meanings": replace(MEANINGS, guard_version="2")},
        {"meanings": replace(MEANINGS, namespace="prompts 2")},
        {"tenant": "acme"},
        {"base_url": "https://proxy.example"},
        {"max_output_tokens": 9},
        {"params": {"top_p": 0.5}},
        {"params": {"a_parameter_of_tomorrow": 1}},
        {"params": {"user": "u1"}},
        {"api": "responses", "params": {"instructions": "Be brief."}},
        {"scope": Scope(user="ann")},
    ],
)
def test_a_scope_is_of_one_embedder_guard_namespace_tenant_and_parameter(change: Any) -> None:
    plain, changed = asked(), asked(**change)
    assert plain is not None
    assert changed is not None
    assert plain.scope != changed.scope


def test_streams_and_what_only_travels_share_a_scope() -> None:
    plain = asked()
    streamed = asked(stream=True, params={"stream_options": {"include_usage": True}})
    assert plain is not None
    assert streamed is not None
    assert plain.scope == streamed.scope


def test_users_are_apart_unless_they_share() -> None:
    shared = replace(MEANINGS, shared=True)
    ann, bob = (asked(scope=Scope(user=name)) for name in ("ann", "bob"))
    assert ann is not None
    assert bob is not None
    assert ann.scope != bob.scope
    ann, bob = (asked(scope=Scope(user=name), meanings=shared) for name in ("ann", "bob"))
    assert ann is not None
    assert bob is not None
    assert ann.scope == bob.scope


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "?"},
        {"text": " " * 50},
        {"text": "x " * 1_500},
        {"text": "What is the weather today?"},
        {"tools": ({"type": "function", "function": {"name": "f"}},)},
        {"params": {"n": 2}},
        {"params": {"logprobs": True}},
        {"params": {"top_logprobs": 3}},
        {"params": {"modalities": ["text", "audio"]}},
        {"params": {"audio": {"voice": "alloy"}}},
        {"params": {"temperature": 0.9}},
        {"params": {"functions": [{"name": "f"}]}},
        {"params": {"previous_response_id": "r1"}},
        {"params": {"mcp_servers": [{"url": "https://x.example"}]}},
        {"params": {"x": object()}},
        {"api": "embeddings"},
    ],
)
def test_what_never_enters(fields: Any) -> None:
    assert asked(**fields) is None


@pytest.mark.parametrize(
    "params", [{"n": 1}, {"logprobs": False}, {"modalities": ["text"]}, {"temperature": 0}]
)
def test_what_says_nothing_stops_nothing(params: Any) -> None:
    assert asked(params=params) is not None


@pytest.mark.parametrize(
    "last",
    [
        Message(
            "user", (Text("What is this?"), Media(kind="image", url="https://x.example/a.png"))
        ),
        Message("user", (Media(kind="audio", data="aGk="),)),
        Message("user", (Other({"type": "x"}),)),
        Message("user"),
        Message("assistant", (Text("The sky is"),)),
        Message("tool", (Text("Revenue rose in the quarter."),), tool_call_id="c1"),
        Message("system", (Text("You are a good assistant."),)),
    ],
)
def test_a_last_message_that_is_no_plain_question_never_enters(last: Message) -> None:
    request = Request(provider="openai", model="gpt-4o", messages=(last,))
    assert question_of(request, MEANINGS, CacheRules(), NO_SCOPE, None) is None


def test_an_empty_conversation_never_enters() -> None:
    request = Request(provider="openai", model="gpt-4o", messages=())
    assert question_of(request, MEANINGS, CacheRules(), NO_SCOPE, None) is None


@pytest.mark.parametrize("text", ["yes", "cancel it", "And then?"])
def test_a_follow_up_enters_only_where_nothing_went_before(text: str) -> None:
    before = (
        Message("user", (Text("Shall I?"),)),
        Message("assistant", (Text("Do you want it?"),)),
    )
    assert asked(text, *before) is None
    assert asked(text, Message("system", (Text("Be brief."),))) is not None


def test_questions_about_now_enter_where_they_may() -> None:
    assert asked("What is the weather today?", meanings=replace(MEANINGS, about_now=True))


def test_an_answer_is_named_by_all_it_may_be_forgotten_by() -> None:
    ids = Scope(user="ann", tenant="inner", tags=("faq",))
    question = asked(scope=ids, tenant="acme")
    assert question is not None
    assert question.tags == ("user:ann", "tenant:acme", "tag:faq", "model:gpt-4o")


def saying(text: str = "It is.", **fields: Any) -> Reply:
    choice = {"parts": (Text(text),), "finish_reason": "stop", **fields}
    return Reply(choices=(Choice(**choice),))


@pytest.mark.parametrize(
    "reply",
    [
        saying(finish_reason=""),
        saying(finish_reason="length"),
        saying(finish_reason="content_filter"),
        saying(finish_reason="refusal"),
        saying(""),
        saying("  "),
        saying(tool_calls=(ToolCall("c1", "f", "{}"),)),
        saying(tool_calls=(ToolCall("c1", "f", "{}"),), finish_reason="tool_calls"),
        saying(parts=(Text("a"), Media(kind="image", url="u"))),
        saying(parts=(Text("a"), Other({"type": "server_tool_use"}))),
        Reply(choices=()),
        Reply(choices=saying().choices * 2),
    ],
)
def test_an_answer_that_is_no_whole_text_is_never_kept(reply: Reply) -> None:
    question = asked()
    assert question is not None
    assert may_be_kept_by_meaning(question, saying(), CacheRules())
    assert not may_be_kept_by_meaning(question, reply, CacheRules())


@pytest.mark.parametrize(
    "params",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"text": {"format": {"type": "json_schema"}}},
        {"output_format": {"type": "json_schema"}},
        {"output_config": {"format": {"type": "json_schema"}}},
        {"response_mime_type": "application/json"},
    ],
)
def test_an_answer_that_must_be_json_is_kept_if_it_is(params: Any) -> None:
    question = asked(params=params)
    assert question is not None
    assert may_be_kept_by_meaning(question, saying('{"a": 1}'), CacheRules())
    assert not may_be_kept_by_meaning(question, saying('{"a": '), CacheRules())


def test_an_answer_in_words_need_not_be_json() -> None:
    question = asked(params={"response_format": {"type": "text"}})
    assert question is not None
    assert may_be_kept_by_meaning(question, saying("no JSON"), CacheRules())
