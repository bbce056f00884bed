"""A simulated provider, and bare and fused models that speak to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Model,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from agents.retry import ModelRetryAdvice, ModelRetryAdviceRequest
from openai import AsyncOpenAI
from openai.types.responses import ResponseOutputMessage

from agentfuse import Fuse
from agentfuse.testing import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents import FunctionTool

KEY = "sk-upstream"
MODELS = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Send no traces anywhere; the tests that look at spans switch them on."""
    set_tracing_disabled(disabled=True)
    yield
    set_tracing_disabled(disabled=True)


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def up(serving: Upstream) -> Upstream:
    """A provider that has not been asked anything yet."""
    serving.wait_idle()
    serving.reset()
    serving.slow()
    return serving


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture(params=sorted(MODELS))
def api(request: pytest.FixtureRequest) -> str:
    """Go through OpenAI's two APIs."""
    return str(request.param)


@pytest.fixture
def client(up: Upstream) -> AsyncOpenAI:
    # A kept connection belongs to the event loop that opened it, and each test has its own.
    alone = {"Connection": "close"}
    return AsyncOpenAI(api_key=KEY, base_url=up.openai_url, max_retries=0, default_headers=alone)


@pytest.fixture
def bare_of(client: AsyncOpenAI) -> Callable[..., Model]:
    """Make a bare model of one of OpenAI's APIs that speaks to the simulated provider."""

    def make(api: str, model: str = "gpt-4o", **words: Any) -> Model:
        return MODELS[api](model, client, **words)

    return make


class Odd(Model):
    """A model of the user's own, with an attribute and every method counted."""

    model = "gpt-4o"
    mood = "calm"

    def __init__(self, answer: str = "odd", *, usage: Usage | None = None) -> None:
        self.answer = answer
        self.usage = usage or Usage(requests=1, input_tokens=9, output_tokens=2, total_tokens=11)
        self.done: list[Any] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        self.done.append(("asked", args, sorted(kwargs)))
        return ModelResponse(output=[message(self.answer)], usage=self.usage, response_id="resp_1")

    async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        self.done.append(("streamed", len(args), sorted(kwargs)))
        response = {
            "id": "resp_1",
            "model": "gpt-4o",
            "status": "completed",
            "output": [message(self.answer).model_dump()],
            "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        }
        try:
            yield {"type": "response.created", "response": {**response, "output": []}}
            yield {"type": "response.output_text.delta", "delta": self.answer}
            yield {"type": "response.completed", "response": response}
        finally:
            self.done.append("closed")

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice:
        return ModelRetryAdvice(suggested=True, reason="mine")

    async def close(self) -> None:
        self.done.append("close")

    async def _cleanup_on_run_end(self, owner: object) -> None:
        self.done.append(("cleanup", owner))


def message(text: str) -> ResponseOutputMessage:
    return ResponseOutputMessage.model_validate(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
    )


def said_by_the_runner(question: Any = "What is Python?", **changed: Any) -> dict[str, Any]:
    """Give what the runner says to a model."""
    return {
        "system_instructions": None,
        "input": question,
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


@pytest.fixture
def odd() -> type[Odd]:
    """Give a class of models that no SDK knows."""
    return Odd


@pytest.fixture
def message_of() -> Callable[[str], ResponseOutputMessage]:
    """Make an output message."""
    return message


@pytest.fixture
def words_of() -> Callable[..., dict[str, Any]]:
    """Give what the runner says to a model, by name."""
    return said_by_the_runner


@pytest.fixture
def weather() -> FunctionTool:
    """A tool that questions about the weather are answered with."""

    @function_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        return f"sunny in {city}"

    return get_weather
