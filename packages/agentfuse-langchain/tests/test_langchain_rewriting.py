"""What the policy rewrites reaches the wire: other messages, another model, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel

from agentfuse import ConfigurationError, Fuse
from agentfuse.messages import Message, Request, Text
from agentfuse.tickets import Admitted
from agentfuse_langchain import AgentFuseChatModel
from agentfuse_langchain.messages import message_of
from agentfuse_langchain.rewriting import rewritten, written

if TYPE_CHECKING:
    from agentfuse.testing import Upstream
    from agentfuse.tickets import Ticket

Ask = Callable[..., Awaitable[None]]
BareOf = Callable[..., BaseChatModel]
Change = Callable[[Request], Request]
CHEAPER = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}

HISTORY = [
    SystemMessage("Be brief."),
    HumanMessage("What is the weather in Rome?", name="ann"),
    AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Rome"}, "id": "call_1"}]),
    ToolMessage("sunny " * 50, tool_call_id="call_1", name="get_weather"),
    HumanMessage([{"type": "text", "text": "And in Oslo?"}]),
]


class Changing(Fuse):
    """A fuse whose policy changes each request it lets through."""

    def __init__(self, change: Change) -> None:
        super().__init__("$50", cache=False, spend_book=False)
        self.change = change

    def begin(self, request: Request) -> Ticket:
        return self.changed(super().begin(request))

    async def abegin(self, request: Request) -> Ticket:
        return self.changed(await super().abegin(request))

    def changed(self, ticket: Ticket) -> Ticket:
        assert isinstance(ticket, Admitted)
        return replace(ticket, request=self.change(ticket.request))


class Forecast(BaseModel):
    """The weather to come."""

    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def shortened(request: Request) -> Request:
    """Cut the tool's answer and drop the system prompt."""
    told = [
        replace(message, parts=(Text("sunny"),)) if message.role == "tool" else message
        for message in request.messages
        if message.role != "system"
    ]
    return replace(request, messages=tuple(told))


async def test_changed_messages_are_what_is_sent(
    bare_of: BareOf, up: Upstream, vendor: str, ask: Ask
) -> None:
    bare = bare_of(vendor, max_tokens=99, stream_usage=True)
    short = ToolMessage("sunny", tool_call_id="call_1", name="get_weather")
    await ask(bare, [*HISTORY[1:3], short, HISTORY[4]])
    await ask(AgentFuseChatModel(inner=bare, fuse=Changing(shortened)), HISTORY)
    wanted, sent = (request.body for request in up.requests)
    assert sent == wanted


async def test_an_equal_request_is_sent_as_the_callers_own(
    bare_of: BareOf, up: Upstream, vendor: str, ask: Ask
) -> None:
    bare = bare_of(vendor, max_tokens=99, stream_usage=True)
    again: Change = lambda request: replace(request, messages=tuple(map(replace, request.messages)))  # noqa: E731
    await ask(bare, HISTORY)
    await ask(AgentFuseChatModel(inner=bare, fuse=Changing(again)), HISTORY)
    wanted, sent = (request.body for request in up.requests)
    assert sent == wanted


def test_unchanged_messages_stay_the_callers_own() -> None:
    asked = tuple(map(message_of, HISTORY))
    found = rewritten(HISTORY, asked, (asked[1], Message("user", (Text("new"),)), asked[4]))
    assert [found[0], found[2]] == [HISTORY[1], HISTORY[4]]
    assert found[0] is HISTORY[1]
    assert found[1] == HumanMessage("new")


words = st.text(max_size=8)
names = st.text("abc", min_size=1, max_size=3)
contents = words | st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, words)
    | st.just({"type": "image_url", "image_url": {"url": "https://a/b.png"}})
    | st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, words),
    max_size=3,
)
extras = st.dictionaries(names.map(lambda name: f"x_{name}"), words, max_size=2)
told = {"content": contents, "additional_kwargs": extras, "name": st.none() | names}
calls = st.lists(
    st.builds(
        lambda name, args: {"name": name, "args": args, "id": name},
        names,
        st.dictionaries(names, words),
    ),
    max_size=2,
)
broken = st.lists(
    st.builds(
        lambda name: {"name": name, "args": "{", "id": name, "error": None},
        names,
    ),
    max_size=1,
)
metadata = st.sampled_from(
    [{}, {"model_provider": "anthropic"}, {"output_version": "v1", "container": {"id": "c"}}]
)
developers = st.builds(
    lambda text: SystemMessage(text, additional_kwargs={"__openai_role__": "developer"}), words
)
messages = st.one_of(
    st.builds(SystemMessage, **told),
    developers,
    st.builds(HumanMessage, **told),
    st.builds(
        AIMessage, **told, tool_calls=calls, invalid_tool_calls=broken, response_metadata=metadata
    ),
    st.builds(
        ToolMessage, **told, tool_call_id=names, status=st.sampled_from(["success", "error"])
    ),
    st.builds(FunctionMessage, content=words, name=names),
    st.builds(ChatMessage, content=words, role=st.just("critic")),
)


@given(messages)
def test_a_message_is_written_as_it_was_read(message: Any) -> None:
    again = written(message_of(message))
    assert type(again) is type(message)
    assert message_of(again) == message_of(message)


def test_the_mark_of_a_tool_call_is_no_content() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    call = {"name": "f", "args": {"a": 1}, "id": "t1"}
    message = AIMessage([block, {"type": "text", "text": "see"}], tool_calls=[call])
    again: Any = written(message_of(message))
    assert again.text == "see"
    assert [each["id"] for each in again.tool_calls] == ["t1"]
    assert all(block["type"] != "tool_use" for block in again.content if isinstance(block, dict))


def to(model: str) -> Change:
    return lambda request: replace(request, model=model)


async def test_a_downgrade_changes_the_model_and_nothing_else(
    bare_of: BareOf, up: Upstream, vendor: str, ask: Ask
) -> None:
    bare = bare_of(vendor, max_tokens=99, stream_usage=True)
    fused = AgentFuseChatModel(inner=bare, fuse=Changing(to(CHEAPER[vendor])))
    for model in (bare, fused):
        await ask(model.bind_tools([get_weather]), HISTORY)
    await ask(fused.bind(model=bare._get_ls_params()["ls_model_name"]), HISTORY)
    bare_body, tools, bound = (dict(request.body) for request in up.requests)
    assert tools == {**bare_body, "model": CHEAPER[vendor]}
    assert bound["model"] == CHEAPER[vendor]
    assert [spend.model for spend in fused.fuse.receipt().models] == [CHEAPER[vendor]]
    assert fused.fuse.receipt().estimated == 0


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
async def test_structured_output_survives_a_downgrade(
    bare_of: BareOf, up: Upstream, vendor: str, method: str
) -> None:
    bare = bare_of(vendor, max_tokens=200)
    fuse = Changing(to(CHEAPER[vendor]))
    fused = AgentFuseChatModel(inner=bare, fuse=fuse)
    asking: Any = fused.with_structured_output(Forecast, method=method)
    assert isinstance(asking.invoke("Rome?"), Forecast)
    assert isinstance(await asking.ainvoke("Rome?"), Forecast)
    assert [request.model for request in up.requests] == [CHEAPER[vendor]] * 2
    assert fuse.receipt().estimated == 0


def test_a_model_that_sends_its_own_maximum_sends_the_cheaper_ones(
    bare_of: BareOf, up: Upstream
) -> None:
    bare: Any = bare_of("anthropic", model="claude-sonnet-4-6")
    cheaper: Any = bare_of("anthropic", model="claude-3-haiku-20240307")
    assert bare.max_tokens > cheaper.max_tokens
    fuse = Changing(to("claude-3-haiku-20240307"))
    AgentFuseChatModel(inner=bare, fuse=fuse).invoke("hello")
    assert up.requests[0].body["max_tokens"] == cheaper.max_tokens


def test_a_model_that_only_responses_serves_is_asked_there(bare_of: BareOf, up: Upstream) -> None:
    bare = bare_of("openai", model="gpt-5.5")
    AgentFuseChatModel(inner=bare, fuse=Changing(to("gpt-6-luna"))).bind_tools(
        [get_weather]
    ).invoke("hello")
    AgentFuseChatModel(inner=bare, fuse=Changing(to("gpt-6-luna"))).invoke("hello")
    talking = AgentFuseChatModel(
        inner=bare_of("openai", model="gpt-6-astra"), fuse=Changing(to("gpt-4o-mini"))
    )
    talking.bind_tools([get_weather]).invoke("hello")
    assert [(request.api, request.model) for request in up.requests] == [
        ("responses", "gpt-6-luna"),
        ("chat.completions", "gpt-6-luna"),
        ("responses", "gpt-4o-mini"),
    ]


async def test_another_providers_model_is_out_of_reach(
    bare_of: BareOf, up: Upstream, ask: Ask
) -> None:
    change: Change = lambda request: replace(  # noqa: E731
        request, model="claude-haiku-4-5", provider="anthropic", base_url=""
    )
    fuse = Changing(change)
    with pytest.raises(ConfigurationError, match="speaks to openai, and cannot ask anthropic"):
        await ask(AgentFuseChatModel(inner=bare_of("openai"), fuse=fuse), HISTORY)
    assert up.calls == 0
    assert fuse.open_leases() == ()
