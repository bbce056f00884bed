"""Whoever listens to LlamaIndex hears of a fused call what they hear of the bare one, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation import root_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.llms import LLM, ChatMessage, MockLLM
from pydantic import BaseModel, Field

from agentfuse import Fuse
from agentfuse_llama_index import AgentFuseLLM, BudgetStop

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

# The bare Anthropic class asks in words its SDK has since replaced.
pytestmark = pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")

BareOf = Callable[..., LLM]
WAYS = [
    f"{prefix}{word}"
    for prefix in ("", "a", "stream_", "astream_")
    for word in ("chat", "complete")
]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


class Events(BaseEventHandler):
    """Keeps every event, as tracing tools do."""

    heard: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        self.heard.append(event)


class Spans(BaseSpanHandler[SimpleSpan]):
    """Keeps the name of every span and how it ended."""

    heard: list[tuple[str, str]] = Field(default_factory=list)

    def new_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan:
        self.heard.append(("enter", id_.partition("-")[0]))
        return SimpleSpan(id_=id_)

    def prepare_to_exit_span(self, id_: str, *_: Any, **__: Any) -> None:
        self.heard.append(("exit", id_.partition("-")[0]))

    def prepare_to_drop_span(self, id_: str, *_: Any, **__: Any) -> None:
        self.heard.append(("drop", id_.partition("-")[0]))


class Callbacks(BaseCallbackHandler):
    """Keeps every callback and what its payload holds."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.heard: list[tuple[str, str, list[str]]] = []

    def on_event_start(self, event_type: Any, payload: Any = None, *_: Any, **__: Any) -> str:
        self.heard.append(("start", str(event_type), sorted(map(str, payload or ()))))
        return ""

    def on_event_end(self, event_type: Any, payload: Any = None, *_: Any, **__: Any) -> None:
        self.heard.append(("end", str(event_type), sorted(map(str, payload or ()))))

    def start_trace(self, trace_id: str | None = None) -> None:
        self.heard.append(("trace", str(trace_id), []))

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        self.heard.append(("traced", str(trace_id), []))


class Listening:
    """All that LlamaIndex tells: events, spans and callbacks."""

    def __init__(self) -> None:
        self.events, self.spans, self.callbacks = Events(), Spans(), Callbacks()

    def taken(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Give what was heard since the last time."""
        told = [(type(event).__name__, words_of(event)) for event in self.events.heard]
        heard = told, list(self.spans.heard), list(self.callbacks.heard)
        for each in (self.events, self.spans, self.callbacks):
            each.heard.clear()
        return heard


def words_of(event: Any) -> Any:
    """Give what a call was asked with; a fused one adds nothing to it."""
    return getattr(event, "additional_kwargs", None), getattr(event, "model_dict", None)


@pytest.fixture
def listening() -> Iterator[Listening]:
    listener = Listening()
    before = list(root_dispatcher.event_handlers), list(root_dispatcher.span_handlers)
    root_dispatcher.add_event_handler(listener.events)
    root_dispatcher.add_span_handler(listener.spans)
    yield listener
    root_dispatcher.event_handlers, root_dispatcher.span_handlers = before


async def ask(llm: Any, way: str, question: str = "hello") -> Any:
    """Ask in one of the eight ways, and give the last response."""
    asked = [ChatMessage(content=question)] if "chat" in way else question
    answer = getattr(llm, way)(asked, temperature=0.2)
    if way.startswith("a"):
        answer = await answer
    if "stream" not in way:
        return answer
    chunks = [each async for each in answer] if way.startswith("a") else list(answer)
    return chunks[-1]


def in_kinds(heard: tuple[list[Any], list[Any], list[Any]]) -> Any:
    """Leave out in how many pieces a stream came."""
    return list(dict.fromkeys(name for name, _ in heard[0])), *heard[1:]


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_is_heard_of_as_the_bare_one(
    bare_of: BareOf, up: Upstream, listening: Listening, vendor: str, way: str
) -> None:
    manager = CallbackManager([listening.callbacks])
    bare = bare_of(vendor, callback_manager=manager)
    await ask(bare, way)
    wanted = listening.taken()
    fused = AgentFuseLLM(inner=bare, spend_book=False)
    await ask(fused, way)
    assert listening.taken() == wanted
    await ask(fused, way)
    assert in_kinds(listening.taken()) == in_kinds(wanted)
    assert up.calls == 2
    assert len(wanted[1]) >= 2


@pytest.mark.parametrize("way", WAYS)
async def test_so_is_one_of_an_llm_that_is_metered_as_a_whole(
    listening: Listening, way: str
) -> None:
    bare = MockLLM(callback_manager=CallbackManager([listening.callbacks]))
    await ask(bare, way)
    wanted = listening.taken()
    fused = AgentFuseLLM(inner=bare, spend_book=False)
    await ask(fused, way)
    assert listening.taken() == wanted
    await ask(fused, way)
    again = listening.taken()
    # A mock chats by completing: a hit has no inside.
    assert again[1] == [(end, f"MockLLM.{way}") for end in ("enter", "exit")]
    assert set(again[1]) <= set(wanted[1])
    assert again[0][0] == wanted[0][0]
    assert again[2][0] == wanted[2][0]
    assert fused.fuse.receipt().exact == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_stop_is_heard_of_as_a_failed_call(
    bare_of: BareOf, up: Upstream, listening: Listening, vendor: str, way: str
) -> None:
    manager = CallbackManager([listening.callbacks])
    prices = {"unknown": {"input": 1, "output": 1}}
    fuse = Fuse("$0.0000001", spend_book=False, prices=prices)
    for bare in (bare_of(vendor, callback_manager=manager), MockLLM(callback_manager=manager)):
        llm = AgentFuseLLM(inner=bare, fuse=fuse)
        with pytest.raises(BudgetStop):
            await ask(llm, way)
        _, spans, callbacks = listening.taken()
        ends = [keys for kind, _, keys in callbacks if kind == "end"]
        assert ["EventPayload.EXCEPTION"] in ends
        assert spans[0] == ("enter", f"{type(bare).__name__}.{way}")
    assert up.calls == 0


@pytest.mark.parametrize("way", WAYS)
async def test_token_counters_count_as_over_the_bare_llm(
    bare_of: BareOf, vendor: str, way: str
) -> None:
    def count_words(text: str) -> list[Any]:
        return text.split()

    counts = []
    counters = [TokenCountingHandler(tokenizer=count_words) for _ in range(2)]
    bare = bare_of(vendor)
    for counter, llm in zip(
        counters, (bare, AgentFuseLLM(inner=bare, spend_book=False)), strict=True
    ):
        llm.callback_manager = CallbackManager([counter])
        for _ in range(2):
            await ask(llm, way)
        counts.append((counter.prompt_llm_token_count, counter.completion_llm_token_count))
    assert counts[0] == counts[1]
    assert min(counts[0]) > 0


def test_a_rate_limiter_is_asked_once(bare_of: BareOf, vendor: str) -> None:
    asked = []

    class Limiter:
        def acquire(self, num_tokens: int = 0) -> None:
            asked.append(num_tokens)

    bare = bare_of(vendor)
    bare.rate_limiter = Limiter()
    AgentFuseLLM(inner=bare, spend_book=False).chat([ChatMessage(content="hello")])
    assert asked == [0]


async def test_structured_llms_are_heard_of_as_the_bare_ones(
    bare_of: BareOf, up: Upstream, listening: Listening, vendor: str
) -> None:
    bare = bare_of(vendor)
    asked = [ChatMessage(content="a person")]
    wanted = bare.as_structured_llm(Person).chat(asked)
    heard = listening.taken()
    llm = AgentFuseLLM(inner=bare, spend_book=False)
    for _ in range(2):
        answer = llm.as_structured_llm(Person).chat(asked)
        assert listening.taken()[1] == heard[1]
        assert answer.raw == wanted.raw
        assert isinstance(answer.raw, Person)
    assert (await llm.as_structured_llm(Person).achat(asked)).raw == wanted.raw
    assert up.calls == 2
