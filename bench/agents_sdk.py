"""What the fuse adds to the Agents SDK: to a call of a model, and to a whole run with a tool."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from adding import KEY, added_shares, client_words, rounds, tools_made
from agents import (
    Agent,
    Model,
    ModelSettings,
    ModelTracing,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from measure import afigure_of
from openai import AsyncOpenAI

from agentfuse.testing import Upstream
from agentfuse_openai_agents import AgentFuseModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from adding import Provider, Questions
    from agents import ModelResponse
    from measure import Figure

    from agentfuse import Fuse

MODELS = {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}
QUESTION = "What is the weather in 'Rome'?"
ASKS = 60
RUNS = 15


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


class Instant(Model):
    """Answers at once with what it was given, so that what stands before it can be seen alone."""

    model = "gpt-4o"

    def __init__(self, answer: ModelResponse) -> None:
        self._answer = answer

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        """Give the answer."""
        return self._answer

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        """Have none."""
        raise NotImplementedError


def figures() -> dict[str, Any]:
    """Measure both of OpenAI's APIs, in CPU microseconds of this thread.

    ``call`` is one ``get_response``, ``run`` an agent's run of two calls with a tool between them;
    ``bare`` goes through loopback, ``added`` is what the fuse spends on a miss before and after a
    model that answers at once, and ``added_of_bare`` its share of the bare call.
    """
    set_tracing_disabled(disabled=True)
    with Upstream() as upstream:
        found = {api: asyncio.run(_figures_of(api, upstream)) for api in MODELS}
    for api, kind in MODELS.items():
        found[api] |= added_shares(_calls_of(kind), _late_calls_of(kind), _runs_of(kind))
    return found


def _model(kind: Any, url: str, instant: Provider, fuse: Fuse | None) -> Model:
    client = AsyncOpenAI(base_url=url, api_key=KEY, **client_words(instant, awaited=True))
    model = kind("gpt-4o", client)
    return model if fuse is None else AgentFuseModel(model, fuse=fuse)


def _calls_of(kind: Any) -> Any:
    def make(url: str, instant: Provider, fuse: Fuse | None, questions: Questions) -> Any:
        model = _model(kind, url, instant, fuse)

        async def call() -> object:
            return await model.get_response(**_words(str(questions)))

        return call

    return make


def _late_calls_of(kind: Any) -> Any:
    """Give a call by an agent under way, which sends the same items again."""
    tools, behind = tools_made(function_tool), _history()

    def make(url: str, instant: Provider, fuse: Fuse | None, questions: Questions) -> Any:
        model = _model(kind, url, instant, fuse)

        async def call() -> object:
            asked = {"role": "user", "content": str(questions)}
            words = _words() | {"input": [asked, *behind], "tools": tools}
            return await model.get_response(**words)

        return call

    return make


def _history() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for each in rounds():
        arguments = json.dumps(each.arguments)
        called = {"call_id": each.id, "name": each.tool, "arguments": arguments}
        items.append({"type": "function_call", **called})
        came = {"call_id": each.id, "output": each.result}
        items.append({"type": "function_call_output", **came})
    return items


def _runs_of(kind: Any) -> Any:
    def make(url: str, instant: Provider, fuse: Fuse | None, questions: Questions) -> Any:
        model = _model(kind, url, instant, fuse)
        agent = Agent(name="bench", instructions="Be brief.", model=model, tools=[get_weather])

        async def run() -> object:
            return await Runner.run(agent, str(questions))

        return run

    return make


async def _figures_of(api: str, upstream: Upstream) -> dict[str, Any]:
    async with AsyncOpenAI(base_url=upstream.openai_url, api_key="sk-upstream") as client:
        bare = MODELS[api]("gpt-4o", client)
        answer = await bare.get_response(**_words())
        instant = Instant(answer)
        capped = {"budget": "$1000", "cache": False, "spend_book": False}
        calls = {
            "bare": await _called(bare),
            "miss": await _called(AgentFuseModel(bare, **capped)),
            "hit": await _called(AgentFuseModel(bare, budget="$1000", spend_book=False)),
        }
        alone = await _called(instant)
        before = await _called(AgentFuseModel(instant, **capped))
        added = before.median - alone.median
        runs = {
            "bare": await _run(bare),
            "miss": await _run(AgentFuseModel(bare, **capped)),
            "hit": await _run(AgentFuseModel(bare, budget="$1000", spend_book=False)),
        }
    return {
        "call": {what: figure.as_dict() for what, figure in calls.items()},
        "run": {what: figure.as_dict() for what, figure in runs.items()},
        "added": added,
        "added_of_bare": added / calls["bare"].median,
        "bare_of_hit": calls["bare"].median / calls["hit"].median,
        "bare_run_of_hit": runs["bare"].median / runs["hit"].median,
    }


async def _called(model: Model) -> Figure:
    def call() -> Awaitable[object]:
        return model.get_response(**_words())

    return await afigure_of(call, ASKS)


async def _run(model: Model) -> Figure:
    agent = Agent(name="bench", instructions="Be brief.", model=model, tools=[get_weather])

    def run() -> Awaitable[object]:
        return Runner.run(agent, QUESTION)

    return await afigure_of(run, RUNS)


def _words(question: str = QUESTION) -> dict[str, Any]:
    """Say what the runner says."""
    return {
        "system_instructions": "Be brief.",
        "input": [{"role": "user", "content": question}],
        "model_settings": ModelSettings(),
        "tools": [get_weather],
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": None,
        "conversation_id": None,
        "prompt": None,
    }


def _show(what: str, ways: Callable[[], dict[str, Any]]) -> None:
    for api, found in ways().items():
        for kind in ("call", "run"):
            for way, figure in found[kind].items():
                print(f"{what} {api:10} {kind:5} {way:5} {figure['median']:8.0f} us")
        print(
            f"{what} {api:10} added {found['added']:.0f} us, {found['added_of_bare']:.1%} of bare"
        )
        print(f"{what} {api:10} a hit is {found['bare_of_hit']:.0f} times cheaper than a bare call")


if __name__ == "__main__":
    _show("agents", figures)
