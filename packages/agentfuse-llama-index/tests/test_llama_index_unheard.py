"""Where nobody listens to LlamaIndex, a fused call is told to nobody, and is the bare one else."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import get_dispatcher, root_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import LLM, ChatMessage, MockLLM, callbacks
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from pydantic import Field

from agentfuse import Fuse
from agentfuse_llama_index import AgentFuseLLM, BudgetStop
from agentfuse_llama_index.llm import fused_class_of

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

# The bare Anthropic class asks in words its SDK has since replaced.
pytestmark = pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")

BareOf = Callable[..., LLM]
ALONE = {"Connection": "close"}
WAYS = [
    f"{prefix}{word}"
    for prefix in ("", "a", "stream_", "astream_")
    for word in ("chat", "complete", "chat_with_tools")
]
EVENTS = (
    *("LLMChatStartEvent", "LLMChatInProgressEvent", "LLMChatEndEvent"),
    *("LLMCompletionStartEvent", "LLMCompletionInProgressEvent", "LLMCompletionEndEvent"),
)


class Events(BaseEventHandler):
    """Keeps the name of every event."""

    heard: list[str] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        self.heard.append(type(event).__name__)


class Callbacks(BaseCallbackHandler):
    """Keeps how every event began and ended."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.heard: list[tuple[str, str]] = []

    def on_event_start(self, event_type: Any, *_: Any, **__: Any) -> str:
        self.heard.append(("start", str(event_type)))
        return ""

    def on_event_end(self, event_type: Any, *_: Any, **__: Any) -> None:
        self.heard.append(("end", str(event_type)))

    def start_trace(self, trace_id: str | None = None) -> None: ...

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None: ...


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


async def ask(llm: Any, way: str, **words: Any) -> Any:
    """Ask in one of the ways, and give the last response."""
    if way.endswith("tools"):
        given: tuple[Any, ...] = ([FunctionTool.from_defaults(add)], "hello")
    else:
        given = ([ChatMessage(content="hello")] if "chat" in way else "hello",)
    answer = getattr(llm, way)(*given, **words)
    if way.startswith("a"):
        answer = await answer
    if "stream" not in way:
        return answer
    return ([each async for each in answer] if way.startswith("a") else list(answer))[-1]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the name of every event that LlamaIndex makes, heard or not."""
    kept: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        kind = getattr(callbacks, name)

        def make(**words: Any) -> Any:
            kept.append(name)
            return kind(**words)

        return make

    for name in EVENTS:
        monkeypatch.setattr(callbacks, name, counted(name))
    return kept


@pytest.fixture
def listening() -> Iterator[Callable[..., Events]]:
    """Let somebody listen to a dispatcher, until the test ends."""
    before = {}

    def listen(name: str = "root") -> Events:
        dispatcher, handler = get_dispatcher(name), Events()
        before[name] = dispatcher.event_handlers
        dispatcher.event_handlers = [*dispatcher.event_handlers, handler]
        return handler

    yield listen
    for name, handlers in before.items():
        get_dispatcher(name).event_handlers = handlers


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_told_to_nobody_and_the_answer_is_the_bare_ones(
    bare_of: BareOf, up: Upstream, made: list[str], vendor: str, way: str
) -> None:
    bare = bare_of(vendor)
    wanted = await ask(bare, way)
    assert made
    made.clear()
    llm = AgentFuseLLM(inner=bare, spend_book=False)
    for _ in range(2):
        answer = await ask(llm, way)
        assert type(answer) is type(wanted)
        assert str(answer) == str(wanted)
    assert made == []
    assert (up.calls, llm.fuse.receipt().exact) == (2, 1)
    # Our books ask for a stream's usage.
    sent = [{**each.body, "stream_options": None} for each in up.requests]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("way", ["chat", "acomplete", "stream_chat", "astream_complete"])
async def test_an_llm_metered_as_a_whole_tells_nobody_too(made: list[str], way: str) -> None:
    llm = AgentFuseLLM(inner=MockLLM(), spend_book=False)
    first, second = await ask(llm, way), await ask(llm, way)
    assert str(first) == str(second)
    assert (made, llm.fuse.receipt().exact) == ([], 1)


@pytest.mark.parametrize(
    "name", ["root", "llama_index.llms.openai.base", "llama_index.core.llms.callbacks"]
)
def test_who_begins_to_listen_hears_the_next_call(
    bare_of: BareOf, fuse: Fuse, listening: Callable[..., Events], made: list[str], name: str
) -> None:
    llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    llm.complete("hello")
    assert made == []
    handler = listening(name)
    llm.complete("hello")
    assert made == ["LLMCompletionStartEvent", "LLMCompletionEndEvent"]
    assert handler.heard == ([] if name.endswith("openai.base") else made)


def test_a_span_has_its_listener(bare_of: BareOf, fuse: Fuse) -> None:
    llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    tools = [FunctionTool.from_defaults(add)]
    llm.chat_with_tools(tools, "hello")
    spans: list[SimpleSpan] = []
    handler = SimpleSpanHandler(completed_spans=spans)
    before = list(root_dispatcher.span_handlers)
    root_dispatcher.add_span_handler(handler)
    try:
        llm.chat_with_tools(tools, "hello")
    finally:
        root_dispatcher.span_handlers = before
    names = [each.id_.partition("-")[0] for each in handler.completed_spans]
    assert names == ["OpenAI._prepare_chat_with_tools", "OpenAI.chat"]


def test_a_callback_is_heard_however_it_came(bare_of: BareOf, fuse: Fuse) -> None:
    class Own(CallbackManager):
        """A manager that does something of its own."""

        def on_event_start(self, *args: Any, **words: Any) -> str:
            heard.append("own")
            return super().on_event_start(*args, **words)

    heard: list[str] = []
    llm: Any = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    hello = [ChatMessage(content="hello")]
    llm.chat(hello)
    handler = Callbacks()
    llm.callback_manager.add_handler(handler)
    llm.chat(hello)
    assert handler.heard == [("start", "CBEventType.LLM"), ("end", "CBEventType.LLM")]
    llm.callback_manager = Own()
    llm.chat(hello)
    assert heard == ["own"]
    llm.callback_manager = None
    llm.chat(hello)
    assert type(llm.callback_manager) is CallbackManager


def test_what_is_no_list_of_messages_fails_as_ever(bare_of: BareOf, fuse: Fuse) -> None:
    bare: Any = bare_of("openai")
    llm: Any = AgentFuseLLM(inner=bare, fuse=fuse)
    for way, wrong in (("chat", "hello"), ("chat", [{"role": "user"}]), ("complete", None)):
        failures = []
        for each in (bare, llm):
            with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever the bare one raises
                getattr(each, way)(*(() if wrong is None else (wrong,)))
            failures.append((type(failed.value), str(failed.value)))
        assert failures[0] == failures[1]
    once = (ChatMessage(content=each) for each in ("hello",))
    assert llm.chat(tuple(once)).message.content


def test_an_unknown_model_is_refused_as_ever(bare_of: BareOf) -> None:
    bare: Any = bare_of("openai", model="gpt-4o")
    llm: Any = AgentFuseLLM(inner=bare, spend_book=False)
    llm.model = bare.model = "nobody-knows-it"
    for words in ({}, {"use_chat_completions": True}):
        failures = []
        for each in (bare, llm):
            with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever the bare one raises
                each.chat([ChatMessage(content="hello")], **words)
            failures.append((type(failed.value), str(failed.value)))
        assert failures[0] == failures[1]
        assert words or failures[0][1].startswith("Unknown model 'nobody-knows-it'")


@pytest.mark.parametrize("way", ["chat", "achat", "complete"])
def test_what_fails_is_marked_for_the_trace_around_it(bare_of: BareOf, way: str) -> None:
    poor = AgentFuseLLM(inner=bare_of("openai"), budget="$0.0000001", spend_book=False)
    outer = CallbackManager([handler := Callbacks()])
    with pytest.raises(BudgetStop) as stopped, outer.as_trace("outer"):
        asyncio.run(ask(poor, way))
    marked: Any = stopped.value
    assert marked.event_added
    assert handler.heard == []


def test_a_llama_index_that_does_more_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, bare_of: BareOf, fuse: Fuse, made: list[str]
) -> None:
    monkeypatch.setattr("agentfuse_llama_index.hearing._OF_CALLBACKS", "event get")
    fused_class_of.cache_clear()
    try:
        llm = AgentFuseLLM(inner=bare_of("openai"), fuse=fuse)
    finally:
        fused_class_of.cache_clear()
    llm.complete("hello")
    assert made == ["LLMCompletionStartEvent", "LLMCompletionEndEvent"]


def test_a_way_of_ones_own_is_kept(up: Upstream, fuse: Fuse, made: list[str]) -> None:
    class Own(OpenAI):
        """Answers in capitals."""

        def chat(self, messages: Any, **words: Any) -> Any:
            answer = super().chat(messages, **words)
            answer.message.content = str(answer.message.content).upper()
            return answer

    llm = AgentFuseLLM(
        inner=Own(
            model="gpt-4o", api_key="sk-upstream", api_base=up.openai_url, default_headers=ALONE
        ),
        fuse=fuse,
    )
    for _ in range(2):
        assert str(llm.chat([ChatMessage(content="hello")]).message.content).isupper()
    assert made == ["LLMChatStartEvent", "LLMChatEndEvent"] * 2


@pytest.mark.parametrize("around", ["the span", "the callbacks"])
def test_what_another_put_around_a_method_is_kept(up: Upstream, fuse: Fuse, around: str) -> None:
    """Tools that trace OpenAI's class by wrapt put themselves around its methods, or within."""
    own: Any = inspect.getattr_static(OpenAI, "chat")
    span = type(own)
    counted = 0

    def count(wrapped: Any, _instance: Any, args: Any, words: Any) -> Any:
        nonlocal counted
        counted += 1
        return wrapped(*args, **words)

    class Traced(OpenAI):
        """OpenAI's class, with another's wrapper."""

    inner = span(own, count)
    if around == "the callbacks":
        inner = span(span(own.__wrapped__, count), own._self_wrapper)
    Traced.chat = inner  # type: ignore[method-assign]
    llm = AgentFuseLLM(
        inner=Traced(
            model="gpt-4o", api_key="sk-upstream", api_base=up.openai_url, default_headers=ALONE
        ),
        fuse=fuse,
    )
    for calls in (1, 2):
        assert llm.chat([ChatMessage(content="hello")]).message.content
        assert counted == calls
    assert up.calls == 1
