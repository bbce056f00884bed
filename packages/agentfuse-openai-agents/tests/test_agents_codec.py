"""Items and answers: read without loss, written back the same, and rebuilt from neutral parts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from agents import ModelSettings, ModelTracing
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncAzureOpenAI, AsyncOpenAI

from agentfuse.messages import Choice, Media, Message, Other, Reasoning, Reply, Text, ToolCall
from agentfuse.policy.keys import key_of
from agentfuse.providers import openai_chat
from agentfuse.providers.names import target_of
from agentfuse_openai_agents.answers import output_of_reply, reply_of_output, response_of_reply
from agentfuse_openai_agents.items import items_of, turns_of
from agentfuse_openai_agents.places import place_of
from agentfuse_openai_agents.requests import Asking, Call
from agentfuse_openai_agents.taps import Tap, overheard

TEXTS = st.text(max_size=40)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
MESSAGES = st.builds(
    lambda text: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    },
    TEXTS,
)
CALLS = st.builds(
    lambda name, arguments, number: {
        "id": f"fc_{number}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": arguments,
    },
    NAMES,
    TEXTS,
    st.integers(0, 9),
)
THOUGHTS = st.builds(
    lambda text: {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}],
        "encrypted_content": "gAAAA",
    },
    TEXTS,
)
OUTPUTS = st.lists(MESSAGES | CALLS | THOUGHTS, min_size=1, max_size=5)


def model(kind: Any = OpenAIResponsesModel, **words: Any) -> Any:
    return kind("gpt-4o", AsyncOpenAI(api_key="sk-x", **words))


def call(given_input: Any, **changed: Any) -> Call:
    words: dict[str, Any] = {
        "system_instructions": None,
        "input": given_input,
        "model_settings": ModelSettings(),
        "tools": [],
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
        **changed,
    }
    return Call(**words)


# Answers


@given(OUTPUTS)
def test_an_answer_comes_back_as_it_was(output: list[Any]) -> None:
    reply = reply_of_output(output, response_id="resp_1", model="gpt-4o")
    items, response_id = output_of_reply(reply, "responses")
    assert [item.model_dump(mode="json", exclude_unset=True) for item in items] == output
    assert response_id == "resp_1"
    again = reply_of_output(items, response_id=response_id, model="gpt-4o")
    assert json.loads(again.raw) == json.loads(reply.raw)
    assert replace(again, raw="") == replace(reply, raw="")


@given(OUTPUTS)
def test_an_answers_neutral_parts_say_all_of_it(output: list[Any]) -> None:
    choice = reply_of_output(output).choices[0]
    calls = [item for item in output if item["type"] == "function_call"]
    texts = [item["content"][0]["text"] for item in output if item["type"] == "message"]
    assert [(c.id, c.name, c.arguments) for c in choice.tool_calls] == [
        (c["call_id"], c["name"], c["arguments"]) for c in calls
    ]
    assert choice.text == "".join(texts)
    assert choice.finish_reason == ("tool_calls" if calls else "stop")


def test_an_item_of_tomorrow_is_kept_whole() -> None:
    item = {"type": "telepathy_call", "id": "tp_1", "thought": {"deep": True}}
    reply = reply_of_output([item])
    assert output_of_reply(reply, "responses") == ([item], None)
    assert reply.choices[0].parts == (Other(item),)


@pytest.mark.parametrize(
    ("items", "finish", "end"),
    [
        ([{"type": "refusal", "refusal": "no"}], "stop", "refusal"),
        ([{"type": "output_text", "text": "ha"}], "length", "length"),
        ([{"type": "output_text", "text": "ha"}], "", "stop"),
        ([{"type": "output_text", "text": "ha"}], "failed", "failed"),
    ],
)
def test_why_an_answer_ended(items: Any, finish: str, end: str) -> None:
    message = {"type": "message", "role": "assistant", "status": "completed", "content": items}
    assert reply_of_output([message], finish_reason=finish).finish_reason == end


def test_an_item_that_says_it_is_incomplete_was_cut() -> None:
    cut = {"type": "function_call", "name": "f", "arguments": "{", "status": "incomplete"}
    assert reply_of_output([cut]).finish_reason == "length"


@pytest.mark.parametrize("flavour", ["responses", "chat"])
def test_another_frameworks_answer_is_rebuilt(flavour: Any) -> None:
    foreign = Reply(
        choices=(
            Choice(
                parts=(Reasoning("hm", {"type": "thinking", "thinking": "hm"}), Text("Look.")),
                tool_calls=(ToolCall("call_1", "look", '{"page": 1}'),),
                finish_reason="tool_calls",
            ),
        ),
        model="gpt-4o",
        id="chatcmpl-1",
        shape="langchain",
        raw="{}",
    )
    answer = response_of_reply(foreign, flavour)
    kinds = [item.type for item in answer.output]
    assert kinds == [*(["reasoning"] if flavour == "chat" else []), "message", "function_call"]
    said, asked = answer.output[-2:]
    assert said.content[0].text == "Look."
    assert (asked.call_id, asked.name, asked.arguments) == ("call_1", "look", '{"page": 1}')
    assert answer.response_id is None
    # What the SDK must not send back to the Responses API, it marks so that it is cleaned away.
    assert all(item.id == "__fake_id__" and item.provider_data for item in answer.output)
    again = reply_of_output(answer.output)
    assert (again.choices[0].tool_calls[0].name, again.text) == ("look", "Look.")


# Items


CONVERSATION = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
            {
                "type": "input_file",
                "file_data": "data:application/pdf;base64,QQ==",
                "filename": "a",
            },
            {"type": "input_image", "file_id": "file_1"},
        ],
    },
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Let me look."}],
        "encrypted_content": "gAAAA",
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "A cat.", "annotations": []}],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "g", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "one"},
    {
        "type": "function_call_output",
        "call_id": "c2",
        "output": [{"type": "input_text", "text": "two"}],
    },
    {"type": "item_reference", "id": "msg_9"},
    {"role": "assistant", "content": "Done.", "phase": "final_answer"},
]


def test_items_are_read_as_turns() -> None:
    turns = turns_of(CONVERSATION)
    messages = [turn.message for turn in turns]
    assert [message.role for message in messages] == [
        *("developer", "user", "assistant", "tool", "tool", "assistant", "assistant")
    ]
    developer, user, answer, one, two, reference, last = messages
    assert developer == Message("developer", (Text("Be brief."),))
    text, image, file, kept = user.parts
    assert text == Text("What is this?")
    assert isinstance(image, Media)
    assert (image.kind, image.url) == ("image", "https://example.org/a.png")
    assert image.block["image_url"]["detail"] == "low"
    assert isinstance(file, Media)
    assert (file.kind, file.media_type, file.data) == ("document", "application/pdf", "QQ==")
    assert kept == Other({"type": "input_image", "file_id": "file_1"})
    thought, said = answer.parts
    assert thought == Reasoning("Let me look.", CONVERSATION[2])
    assert said == Text("A cat.")
    assert [c.id for c in answer.tool_calls] == ["c1", "c2"]
    assert (one.tool_call_id, one.text, two.tool_call_id, two.text) == ("c1", "one", "c2", "two")
    assert reference.parts == (Other(CONVERSATION[8]),)
    assert (last.text, last.extra) == ("Done.", {"phase": "final_answer"})
    assert [item for turn in turns for item in turn.items] == CONVERSATION


def test_a_new_answer_is_a_turn_of_its_own() -> None:
    items = [
        {"role": "assistant", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "Three."},
    ]
    turns = turns_of(items)
    assert [len(turn.items) for turn in turns] == [1, 2, 2]


def test_an_item_that_is_changed_is_read_anew_and_what_was_read_stays() -> None:
    summary = {"type": "summary_text", "text": "a"}
    thought: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [{**summary}]}
    image = {"type": "input_image", "file_id": "file_1"}
    shown: dict[str, Any] = {"role": "user", "content": [{**image}]}
    before = [turn.message for turn in turns_of([thought, shown])]
    thought["summary"][0]["text"] = "b"
    shown["content"][0]["file_id"] = "file_2"
    after = [turn.message for turn in turns_of([thought, shown])]
    assert [message.parts for message in before] == [
        (Reasoning("a", {**thought, "summary": [summary]}),),
        (Other(image),),
    ]
    assert [message.parts for message in after] == [
        (Reasoning("b", thought),),
        (Other({**image, "file_id": "file_2"}),),
    ]


def test_items_that_differ_in_the_kind_of_a_value_are_not_one() -> None:
    one, true = (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "strict": value}
        for value in (1, True)
    )
    extras = [turns_of([item])[0].message.tool_calls[0].extra for item in (one, true, one)]
    assert [type(extra["strict"]) for extra in extras] == [int, bool, int]


def test_the_parts_of_an_answer_are_joined_whatever_came_before_them() -> None:
    said = {"role": "assistant", "content": "Hm.", "phase": "commentary"}
    called = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    alone = [turn.message for turn in turns_of([said, {"role": "user", "content": "?"}, called])]
    (joined,) = turns_of([said, called])
    assert joined.items == (said, called)
    assert joined.message == replace(alone[0], tool_calls=alone[2].tool_calls)


def test_what_is_no_item_is_kept_whole() -> None:
    (turn,) = turns_of([7])  # type: ignore[list-item]
    assert turn.message.parts == (Other({"type": "message", "item": 7}),)


def test_ids_and_makers_of_items_are_no_part_of_the_question() -> None:
    plain = [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]
    noted = [
        {
            **plain[0],
            "id": "fc_1",
            "status": "completed",
            "provider_data": {"model": "gpt-4o", "response_id": "chatcmpl-1"},
        }
    ]
    signed = [{**plain[0], "provider_data": {"model": "gemini", "thought_signature": "s"}}]
    messages = [turns_of(items)[0].message for items in (plain, noted, signed)]
    assert messages[0] == messages[1] != messages[2]


def test_a_rewritten_conversation_keeps_the_turns_that_were_left_alone() -> None:
    turns = turns_of(CONVERSATION)
    messages = [turn.message for turn in turns]
    assert items_of(messages, turns) == CONVERSATION
    shorter = replace(messages[3], parts=(Text("o."),))
    rewritten = [Message("user", (Text("In short: a cat."),)), messages[2], shorter, messages[4]]
    assert items_of(rewritten, turns) == [
        {"role": "user", "content": "In short: a cat."},
        *CONVERSATION[2:6],
        {"type": "function_call_output", "call_id": "c1", "output": "o."},
        CONVERSATION[7],
    ]


def test_a_rewritten_answer_has_its_thinking_and_its_calls() -> None:
    turns = turns_of(CONVERSATION)
    answer, user = turns[2].message, turns[1].message
    said = [part for part in answer.parts if isinstance(part, Reasoning)]
    changed = replace(answer, parts=(*said, Text("Cat.")))
    assert items_of([changed], turns) == [
        CONVERSATION[2],
        {"role": "assistant", "content": "Cat."},
        *(
            {"type": "function_call", "call_id": c, "name": n, "arguments": "{}"}
            for c, n in (("c1", "f"), ("c2", "g"))
        ),
    ]
    shown = replace(user, parts=user.parts[:3])
    written = items_of([shown], turns)
    assert turns_of(written)[0].message == shown


def test_what_the_policy_changes_is_what_is_sent() -> None:
    asking = Asking.of(model(), call("Hello?", system_instructions="Be brief."))
    assert asking.call_for(asking.request) is asking.call
    system, user = asking.request.messages
    request = replace(
        asking.request,
        max_output_tokens=128,
        messages=(
            replace(system, parts=(Text("Brief!"),)),
            user,
            Message("user", (Text("Go on."),)),
        ),
    )
    sent = asking.call_for(request)
    assert sent.model_settings.max_tokens == 128
    assert sent.system_instructions == "Brief!"
    assert sent.input == [
        {"role": "user", "content": "Hello?"},
        {"role": "user", "content": "Go on."},
    ]
    assert sent.tools is asking.call.tools


def test_a_maximum_is_lowered_under_the_callers_own_word() -> None:
    settings = ModelSettings(extra_args={"max_completion_tokens": 500, "seed": 1})
    asking = Asking.of(model(OpenAIChatCompletionsModel), call("Hello?", model_settings=settings))
    assert asking.request.max_output_tokens == 500
    assert dict(asking.request.params) == {"seed": 1}
    sent = asking.call_for(replace(asking.request, max_output_tokens=100)).model_settings
    assert (sent.extra_args, sent.max_tokens) == ({"max_completion_tokens": 100, "seed": 1}, None)


# Places and keys


def test_where_a_models_calls_go() -> None:
    home = place_of(model())
    assert (home.provider, home.model, home.base_url) == ("openai", "gpt-4o", "")
    groq = place_of(model(OpenAIChatCompletionsModel, base_url="https://api.groq.com/openai/v1/"))
    assert (groq.provider, groq.base_url, groq.flavour) == ("groq", "", "chat")
    own = place_of(model(base_url="http://10.0.0.1/v1/"))
    assert (own.provider, own.base_url) == ("openai", "http://10.0.0.1/v1")
    client = AsyncAzureOpenAI(
        api_key="x", azure_endpoint="https://me.openai.azure.com", api_version="2026-01-01"
    )
    assert place_of(OpenAIChatCompletionsModel("my-deployment", client)).provider == "azure"


@pytest.mark.parametrize(
    ("name", "provider", "bare"),
    [
        ("anthropic/claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("my-own-model", "", "my-own-model"),
    ],
)
def test_a_name_with_a_prefix_says_who_serves_it(
    odd: Any, name: str, provider: str, bare: str
) -> None:
    inner = odd()
    inner.model = name
    place = place_of(inner)
    assert (place.provider, place.model, place.spoken) == (provider, bare, name)
    asking = Asking.of(inner, call("Hello?"))
    other = replace(asking.request, model="other")
    assert asking.name_of(other) == name.removesuffix(bare) + "other"


@pytest.mark.parametrize(
    ("api", "flavour"), [("responses", "responses"), ("chat_completions", "chat")]
)
def test_a_model_that_speaks_either_api_is_asked_which(odd: Any, api: str, flavour: str) -> None:
    """As AnyLLMModel does."""
    inner = odd()
    inner._selected_api = lambda: api
    assert place_of(inner).flavour == flavour


@pytest.mark.parametrize("kind", [OpenAIResponsesModel, OpenAIChatCompletionsModel])
def test_a_question_has_the_key_that_completion_gives_it(kind: Any) -> None:
    settings = ModelSettings(temperature=0.1, top_p=0.9, reasoning={"effort": "low"})
    asking = Asking.of(
        model(kind), call("Hi?", system_instructions="Be brief.", model_settings=settings)
    )
    body = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi?"},
        ],
        "temperature": 0.1,
        "top_p": 0.9,
        "reasoning_effort": "low",
    }
    theirs = openai_chat.request_of(target_of("gpt-4o"), body)
    assert key_of(asking.request) == key_of(theirs) is not None


def test_pictures_have_one_key_too() -> None:
    image = "https://example.org/a.png"
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": image},
    ]
    chat = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    asking = Asking.of(model(), call([{"role": "user", "content": content}]))
    theirs = openai_chat.request_of(
        target_of("gpt-4o"), {"messages": [{"role": "user", "content": chat}]}
    )
    assert key_of(asking.request) == key_of(theirs)


# Taps


async def test_an_overheard_model_is_the_model(odd: Any) -> None:
    inner = model()
    view = overheard(inner, Tap())
    assert isinstance(view, OpenAIResponsesModel)
    assert vars(view) is vars(inner)
    view.noted = True
    assert inner.noted
    bare = odd()
    assert overheard(bare, Tap()) is bare


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"status": "completed"}, "stop"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        ({"status": "incomplete"}, "length"),
        ({"status": "failed"}, "failed"),
        ({"choices": [type("C", (), {"finish_reason": "length"})()]}, "length"),
        ({}, ""),
    ],
)
def test_how_an_answer_ended_is_heard(body: Any, end: str) -> None:
    tap = Tap()
    tap.note(body)
    assert tap.finish_reason == end


@pytest.mark.parametrize(
    ("maker", "told"), [("litellm.types.utils", False), ("openai.types", True)]
)
def test_a_cost_that_litellm_works_out_itself_is_not_the_providers(
    maker: str, *, told: bool
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.5}
    answer = type("Answer", (), {"__module__": maker, "usage": usage, "model": "gpt-4o"})()
    tap = Tap()
    tap.note(answer)
    report = tap.report("openai", "gpt-4o")
    assert report is not None
    assert (report.reported_cost is not None) is told


def test_the_providers_own_tools_are_on_the_bill() -> None:
    tap = Tap()
    search = {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    tap.note({"output": [search, search], "usage": usage, "model": "gpt-4o", "status": "completed"})
    report = tap.report("openai", "gpt-4o")
    assert report is not None
    assert report.usage.tool_requests == {"web_search": 2}
    assert report.usage.input_tokens == 10
