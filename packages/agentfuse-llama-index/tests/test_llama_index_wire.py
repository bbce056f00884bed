"""On the wire a fused LLM is the bare one, and a question is the same whoever asks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import PromptTemplate
from llama_index.core.base.llms.types import ThinkingBlock, ToolCallBlock
from llama_index.core.llms import LLM, ChatMessage, ImageBlock, MockLLM, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from pydantic import BaseModel

from agentfuse import ConfigurationError, Fuse, completion
from agentfuse.messages import Message, Request, Text
from agentfuse.policy.keys import key_of
from agentfuse.providers import anthropic_requests, chat_requests
from agentfuse.providers.anthropic_events import events_of_message, message_body
from agentfuse.providers.names import target_of
from agentfuse.testing.upstream import Call, Say
from agentfuse_llama_index import AgentFuseLLM, BudgetStop
from agentfuse_llama_index.anthropic_answers import MessageCodec
from agentfuse_llama_index.anthropic_calls import message_calls_of
from agentfuse_llama_index.anthropic_words import messages_of, params_of, tools_of
from agentfuse_llama_index.messages import chat_message_of, message_of
from agentfuse_llama_index.openai_calls import chat_calls_of
from agentfuse_llama_index.requests import Asking

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

# The bare Anthropic class asks in words its SDK has since replaced.
pytestmark = pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")

BareOf = Callable[..., LLM]
HELLO = [ChatMessage(content="hello")]
PIXEL = (
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    b"gg=="
)


class Joke(BaseModel):
    """A joke to tell."""

    setup: str
    punchline: str


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: see there"


TOOL = FunctionTool.from_defaults(look_up)


def history() -> list[ChatMessage]:
    """Give a conversation anew: LlamaIndex's integrations write into messages."""
    call = ToolCallBlock(tool_call_id="call_1", tool_name="look_up", tool_kwargs={"word": "x"})
    picture = ImageBlock(image=PIXEL, image_mimetype="image/png")
    return [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="look_up the word 'x'"),
        ChatMessage(role="assistant", blocks=[TextBlock(text="So."), call]),
        ChatMessage(role="tool", content="see there", additional_kwargs={"tool_call_id": "call_1"}),
        ChatMessage(role="user", blocks=[TextBlock(text="And this?"), picture]),
    ]


async def ask_in_every_way(llm: Any) -> None:
    llm.chat(HELLO, temperature=0.3)
    await llm.achat(history())
    list(llm.stream_chat(history()))
    [chunk async for chunk in await llm.astream_chat(HELLO, max_tokens=17)]
    llm.complete("complete")
    await llm.acomplete("complete", temperature=0.4)
    list(llm.stream_complete("complete"))
    [chunk async for chunk in await llm.astream_complete("complete")]
    llm.chat_with_tools([TOOL], user_msg="hello", tool_required=True)
    await llm.achat_with_tools([TOOL], chat_history=history(), allow_parallel_tool_calls=True)
    list(llm.stream_chat_with_tools([TOOL], user_msg="hello"))
    llm.structured_predict(Joke, PromptTemplate("a joke"))
    await llm.astructured_predict(Joke, PromptTemplate("a joke"))
    list(llm.stream_structured_predict(Joke, PromptTemplate("a joke")))
    llm.predict(PromptTemplate("{x}"), x="three")
    list(llm.stream(PromptTemplate("{x}"), x="four"))


async def test_bodies_are_the_bare_ones(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    bare = bare_of(vendor)
    await ask_in_every_way(bare)
    wanted = [written(request) for request in up.requests]
    up.reset()
    fuse = Fuse("$5", cache=False, spend_book=False)
    await ask_in_every_way(AgentFuseLLM(inner=bare, fuse=fuse))
    assert [written(request) for request in up.requests] == wanted
    assert len(wanted) == fuse.receipt().answers == 16
    assert fuse.receipt().models[0].output_tokens == up.usage_served().output_tokens


def written(request: Any) -> str:
    """Give a body as it was written, but for the usage that only a fused stream asks for."""
    body = {name: value for name, value in request.body.items() if name != "stream_options"}
    return f"{request.path} {json.dumps(body)}"


def test_the_model_of_a_call_is_the_one_that_is_priced(
    bare_of: BareOf, up: Upstream, fuse: Fuse
) -> None:
    llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    llm.chat(HELLO, model="gpt-4o-mini")
    list(llm.stream_complete("hello you", model="gpt-4o-mini"))
    assert [request.model for request in up.requests] == ["gpt-4o-mini"] * 2
    assert [spend.model for spend in fuse.receipt().models] == ["gpt-4o-mini"]


def test_an_answer_without_a_maximum_is_clamped_to_the_budget(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    budget = {"openai": "$0.02", "anthropic": "$0.006"}[vendor]
    llm = AgentFuseLLM(inner=bare_of(vendor), budget=budget, spend_book=False)
    llm.chat(HELLO)
    list(llm.stream_complete("hello you"))
    for request in up.requests:
        assert 128 <= request.body["max_tokens"] <= 2_000
        assert "max_completion_tokens" not in request.body
    if vendor == "anthropic":
        assert up.requests[0].body["max_tokens"] < 512  # what LlamaIndex fills in


def test_a_reasoning_model_is_clamped_in_its_own_word(bare_of: BareOf, up: Upstream) -> None:
    bare = bare_of("openai", model="gpt-5-mini")
    llm = AgentFuseLLM(inner=bare, budget="$0.01", spend_book=False)
    llm.chat(HELLO)
    assert 128 <= up.requests[0].body["max_completion_tokens"] <= 5_000
    assert "max_tokens" not in up.requests[0].body


def test_a_users_own_maximum_is_kept(bare_of: BareOf, up: Upstream, vendor: str) -> None:
    llm = AgentFuseLLM(inner=bare_of(vendor, max_tokens=200), budget="$0.1", spend_book=False)
    llm.chat(HELLO)
    assert up.requests[0].body["max_tokens"] == 200
    with pytest.raises(BudgetStop):
        AgentFuseLLM(inner=bare_of(vendor, max_tokens=200), budget="$0.001", spend_book=False).chat(
            HELLO
        )


def test_a_downgrade_to_a_reasoning_model_is_asked_in_that_models_words(
    bare_of: BareOf, up: Upstream
) -> None:
    fuse = Fuse("$1", spend_book=False, downgrade={"gpt-4o": "gpt-5-mini"})
    fuse.record_tool_call("search", "$0.90")
    llm = AgentFuseLLM(inner=bare_of("openai", max_tokens=300), fuse=fuse)
    llm.chat(HELLO)
    list(llm.stream_chat(HELLO))
    body = up.requests[0].body
    assert (body["model"], body["max_completion_tokens"]) == ("gpt-5-mini", 300)
    assert not {"temperature", "max_tokens"} & set(body)


def test_a_model_of_another_provider_is_refused_by_name(bare_of: BareOf, vendor: str) -> None:
    other = {"openai": "anthropic/claude-haiku-4-5", "anthropic": "openai/gpt-4o-mini"}[vendor]
    names = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}
    fuse = Fuse("$1", spend_book=False, downgrade={names[vendor]: other})
    fuse.record_tool_call("search", "$0.90")
    with pytest.raises(ConfigurationError, match=other.partition("/")[2]):
        AgentFuseLLM(inner=bare_of(vendor), fuse=fuse).chat(HELLO)
    assert fuse.open_leases() == ()


def test_a_question_is_the_same_asked_through_completion(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    llm = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    url = up.openai_url if vendor == "openai" else up.anthropic_url
    words: Any = {"base_url": url, "api_key": "sk-upstream", "fuse": fuse, "temperature": 0.1}
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    messages = [ChatMessage(role="system", content="Be brief."), *HELLO]
    said = completion(llm.model, asked, **words).choices[0].message.content
    assert llm.chat(messages).message.content == said
    assert "".join(chunk.delta for chunk in llm.stream_chat(messages)) == said
    assert list(llm.stream_complete("more"))[-1].text == "Answer to: more"
    again = completion(llm.model, [{"role": "user", "content": "more"}], **words)
    assert again.choices[0].message.content == "Answer to: more"
    assert up.calls == 2
    assert fuse.receipt().exact == 3


def test_a_call_of_a_tool_is_the_same_asked_through_completion(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    llm: Any = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    url = up.openai_url if vendor == "openai" else up.anthropic_url
    llm.chat_with_tools([TOOL], user_msg="look_up the word 'x'")
    tool = TOOL.metadata.to_openai_tool()
    tool["function"]["parameters"] = (
        up.requests[0].body["tools"][0].get("input_schema", tool["function"]["parameters"])
    )
    if vendor == "openai":
        tool = up.requests[0].body["tools"][0]
    said = completion(
        llm.model,
        [{"role": "user", "content": "look_up the word 'x'"}],
        tools=[tool],
        tool_choice="auto",
        parallel_tool_calls=False,
        temperature=0.1,
        base_url=url,
        api_key="sk-upstream",
        fuse=fuse,
    )
    assert said.choices[0].message.tool_calls[0].function.name == "look_up"
    assert up.calls == 1


def test_answers_of_others_come_back_in_the_llms_own_types(
    bare_of: BareOf, up: Upstream, vendor: str
) -> None:
    fuse = Fuse("$1", spend_book=False)
    asked = [{"role": "user", "content": "hello"}]
    up.script([Say("So.", [Call("look_up", {"word": "x"})])] * 2)
    wanted = bare_of(vendor).chat(HELLO, **tools_for(vendor))
    words: Any = {"temperature": 0.1, "api_key": "sk-upstream", "fuse": fuse}
    url = up.openai_url if vendor == "openai" else up.anthropic_url
    llm: Any = AgentFuseLLM(inner=bare_of(vendor), fuse=fuse)
    completion(llm.model, asked, tools=[chat_tool()], base_url=url, **words)
    answer = llm.chat(HELLO, **tools_for(vendor))
    assert up.calls == 2
    assert type(answer) is type(wanted)
    assert [type(block) for block in answer.message.blocks] == [TextBlock, ToolCallBlock]
    assert llm.get_tool_calls_from_response(answer)[0].tool_kwargs == {"word": "x"}
    assert type(answer.raw) is type(wanted.raw)


def chat_tool() -> dict[str, Any]:
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    return {"type": "function", "function": {"name": "look_up", "parameters": schema}}


def tools_for(vendor: str) -> dict[str, Any]:
    function = chat_tool()["function"]
    claudes = {"name": function["name"], "input_schema": function["parameters"]}
    return {"tools": [chat_tool() if vendor == "openai" else claudes]}


def test_how_a_call_travels_is_no_part_of_its_key(bare_of: BareOf, vendor: str) -> None:
    keys = set()
    others: list[dict[str, Any]] = [
        *({}, {"max_retries": 9}, {"timeout": 11.0}, {"api_key": "another"}),
        *({"default_headers": None}, {"default_headers": {"Authorization": "Bearer x"}}),
    ]
    for words in others:
        keys.add(key_of(request_of(bare_of(vendor, **words), vendor)))
    assert len(keys) == 1
    telling = bare_of(vendor, default_headers={"X-Route": "sk-SECRET"})
    assert key_of(request_of(telling, vendor)) not in keys
    assert "SECRET" not in repr(request_of(telling, vendor))


def request_of(bare: Any, vendor: str, **given: Any) -> Request:
    asked: dict[str, Any] = {
        "model": bare.model,
        "messages": [{"role": "user", "content": "hello"}],
        **given,
    }
    if vendor == "openai":
        return chat_calls_of(bare._get_client(), lambda model: False)(asked).request
    return message_calls_of(bare._client)(asked).request


def test_what_changes_an_answer_is_part_of_its_key(bare_of: BareOf, vendor: str) -> None:
    others: list[dict[str, Any]] = [
        *({}, {"temperature": 0.2}, {"max_tokens": 7}, {"tools": tools_for(vendor)["tools"]}),
        *({"extra_body": {"x": 1}}, {"extra_headers": {"x-route": "a"}}, {"extra_query": {"q": 1}}),
        *({"thinking": {"type": "enabled"}}, {"tool_choice": {"type": "any"}}, {"top_p": 0.5}),
    ]
    keys = {key_of(request_of(bare_of(vendor), vendor, **words)) for words in others}
    assert len(keys) == len(others)
    assert None not in keys


def test_the_providers_own_address_is_none(vendor: str) -> None:
    from llama_index.llms.anthropic import Anthropic

    bare: Any = (
        OpenAI(model="gpt-4o", api_key="k")
        if vendor == "openai"
        else Anthropic(model="claude-sonnet-4-6", api_key="k")
    )
    request = request_of(bare, vendor)
    assert (request.provider, request.base_url) == (vendor, "")
    moved = OpenAI(model="gpt-4o", api_key="k", api_base="https://api.deepseek.com/")
    assert request_of(moved, "openai").provider == "deepseek"


def test_a_body_of_anthropics_reads_as_what_it_was_written_from() -> None:
    asked = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "look_up x"},
            {
                "role": "assistant",
                "content": "So.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": '{"word": "x"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "see there"},
            {"role": "assistant", "content": "There."},
            {"role": "user", "content": "Thanks"},
        ],
        "tools": [chat_tool()],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": ["x"],
        "temperature": 0.2,
    }
    request = chat_requests.request_of(target_of("claude-sonnet-4-6"), asked)
    body = anthropic_requests.body_of(request)
    assert messages_of(body.pop("system"), body.pop("messages")) == request.messages
    assert tools_of(body.pop("tools")) == request.tools
    left = {name: value for name, value in body.items() if name not in {"model", "max_tokens"}}
    assert params_of(left) == request.params


def test_a_message_of_anthropics_is_the_same_whole_and_in_events(up: Upstream) -> None:
    from agentfuse.providers.anthropic_streams import body_of_events

    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [
            {"type": "thinking", "thinking": "Hm, well then.", "signature": "sig"},
            {"type": "text", "text": "Some words and more of them, to be cut."},
            {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"word": "x y z"}},
            {"type": "redacted_thinking", "data": "abc"},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 20, "cache_read_input_tokens": 4},
    }
    joined = body_of_events(events_of_message(body))
    assert {**joined, "content": without_nulls(joined["content"])} == body
    codec = MessageCodec("anthropic", "claude-sonnet-4-6")
    reply = codec.joined(
        list(
            codec.chunks_of(
                codec.reply_of(codec.result_of(codec._reply_of(events_of_message(body))))
            )
        )
    )
    assert without_nulls(message_body(reply)["content"]) == body["content"]
    assert reply.report is not None
    assert reply.report.usage.output_tokens == 20
    assert reply.finish_reason == "tool_calls"


def without_nulls(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in block.items() if v is not None} for block in blocks]


def test_messages_of_llama_index_come_back_from_neutral_words() -> None:
    thought = ChatMessage(
        role="assistant", blocks=[ThinkingBlock(content="Hm."), TextBlock(text="A")]
    )
    for message in [*history(), thought]:
        read = message_of(message)
        again = chat_message_of(read)
        assert message_of(again) == read
        assert again.role == message.role
        assert [type(block) for block in again.blocks] == [type(block) for block in message.blocks]
    assert message_of(history()[3]).tool_call_id == "call_1"


def test_a_picture_is_known_by_what_it_shows(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    keys = set()
    for content in (PIXEL, b"another", PIXEL):
        file.write_bytes(content)
        block = ImageBlock(path=file, image_mimetype="image/png")
        asking = Asking.of(MockLLM(), [ChatMessage(blocks=[block])], {}, stream=False)
        keys.add(key_of(asking.request))
    assert len(keys) == 2
    assert None not in keys


def test_what_the_policy_changed_is_all_that_changes(bare_of: BareOf, vendor: str) -> None:
    bare: Any = bare_of(vendor)
    given = {
        "model": bare.model,
        "messages": [{"role": "user", "content": "a long story"}],
        "temperature": 0.2,
        "max_tokens": 300,
        **({"system": "Be brief."} if vendor == "anthropic" else {}),
    }
    calls = (
        chat_calls_of(bare._get_client(), lambda model: False)
        if vendor == "openai"
        else message_calls_of(bare._client)
    )
    call = calls(given)
    assert call.words_for(call.request) == given
    fields = {name: getattr(call.request, name) for name in call.request.__slots__}
    shorter = (*call.request.messages[:-1], Message("user", (Text("a story"),)))
    other = Request(**{**fields, "messages": shorter, "max_output_tokens": 100})
    words = call.words_for(other)
    assert words["messages"] == [{"role": "user", "content": "a story"}]
    assert words["max_tokens"] == 100
    assert {**words, "messages": given["messages"], "max_tokens": 300} == given


def test_a_whole_call_is_rewritten_where_the_policy_changed_it() -> None:
    asking = Asking.of(MockLLM(max_tokens=9), HELLO * 2, {"top_k": 3}, stream=False)
    assert asking.question_for(asking.request) == HELLO * 2
    fields = {name: getattr(asking.request, name) for name in asking.request.__slots__}
    shorter = (asking.request.messages[0], Message("user", (Text("hi"),)))
    handed = Request(**{**fields, "messages": shorter, "max_output_tokens": 5})
    asked = asking.question_for(handed)
    assert asked[0] is HELLO[0]
    assert asked[1].content == "hi"
    assert asking.changes_for(handed) == ({"max_tokens": 5}, {})
    prompt = Asking.of(MockLLM(), "hello", {}, stream=False)
    assert prompt.question_for(Request(**{**fields, "messages": shorter})) == "hi"
    assert asking.request.params == {"top_k": 3}
    assert prompt.request.params == {"completes": True}


def test_what_has_no_json_form_has_no_key() -> None:
    asking = Asking.of(MockLLM(), HELLO, {"something": object()}, stream=False)
    assert key_of(asking.request) is None
    plain = Asking.of(
        MockLLM(), HELLO, {"something": Joke, "other": Joke(setup="a", punchline="b")}, stream=False
    )
    assert key_of(plain.request) is not None
