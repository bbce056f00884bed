"""What a fuse adds to a LlamaIndex chat over loopback: a miss, a hit, and a streamed one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
from adding import added_shares, client_words, rounds, tools_made
from calls import KEY, MODEL, prompt_of, row_of
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI
from measure import afigure_of, figure_of

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_llama_index import AgentFuseLLM

if TYPE_CHECKING:
    from collections.abc import Callable

    from adding import Provider, Questions
    from measure import Figure

ASKS = 40
HITS = 400


def tell_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


get_weather = FunctionTool.from_defaults(tell_weather, name="get_weather")


def figures() -> dict[str, Any]:
    """Measure each way of a short chat: bare, through a fuse, and from its memory."""
    with Upstream(answer_tokens=200) as upstream:
        bare = OpenAI(model=MODEL, api_key=KEY, api_base=upstream.openai_url, max_retries=0)
        missing = AgentFuseLLM(inner=bare, fuse=Fuse("$1000", cache=False, spend_book=False))
        remembering = AgentFuseLLM(inner=bare, fuse=Fuse("$1000", spend_book=False))
        llms = {"bare": bare, "miss": missing, "hit": remembering}
        ways = {
            "blocking": {name: figure_of(chat_of(llm), asks(name)) for name, llm in llms.items()},
            "stream": {name: figure_of(stream_of(llm), asks(name)) for name, llm in llms.items()},
            "awaited": asyncio.run(awaited(llms)),
        }
    rows = [row for way, found in ways.items() for row in rows_of(way, found)]
    return added_shares(call_of, late_call_of, run_of) | {"rows": rows}


def llm_of(url: str, instant: Provider, fuse: Fuse | None) -> Any:
    """Give the LLM, whose agents await and whose calls here do not: answered at once, or not."""
    words: dict[str, Any] = client_words(instant)
    if instant is not None:
        words["async_http_client"] = httpx.AsyncClient(transport=instant.transport)
    bare = OpenAI(model=MODEL, api_key=KEY, api_base=url, **words)
    return bare if fuse is None else AgentFuseLLM(inner=bare, fuse=fuse)


def call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the LLM, with the tool that an agent gives it."""
    llm, tools = llm_of(url, instant, fuse), [get_weather.metadata.to_openai_tool()]
    system = ChatMessage(role="system", content="Be brief.")
    return lambda: llm.chat([system, ChatMessage(role="user", content=str(questions))], tools=tools)


def late_call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the LLM by an agent under way, which sends the same messages again."""
    llm, behind = llm_of(url, instant, fuse), history()
    tools = [made.metadata.to_openai_tool() for made in tools_made(FunctionTool.from_defaults)]
    system = ChatMessage(role="system", content="Be brief.")
    return lambda: llm.chat(
        [system, ChatMessage(role="user", content=str(questions)), *behind], tools=tools
    )


def history() -> list[ChatMessage]:
    """Write what an agent has done so far."""
    said: list[ChatMessage] = []
    for each in rounds():
        call = ToolCallBlock(
            tool_call_id=each.id, tool_name=each.tool, tool_kwargs=json.dumps(each.arguments)
        )
        blocks = [TextBlock(text="I look that up."), call]
        said.append(ChatMessage(role="assistant", blocks=blocks))
        words = {"tool_call_id": each.id}
        said.append(ChatMessage(role="tool", content=each.result, additional_kwargs=words))
    return said


def run_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give an agent's run of two calls with a tool between them."""
    llm = llm_of(url, instant, fuse)

    async def run() -> object:
        agent = FunctionAgent(
            tools=[get_weather], llm=llm, system_prompt="Be brief.", streaming=False
        )
        return await agent.run(str(questions))

    return run


def rows_of(way: str, found: dict[str, Figure]) -> list[dict[str, Any]]:
    """Write the lines of one way, each beside the bare LLM's figure."""
    what = {
        "bare": "bare LlamaIndex over loopback",
        "miss": "through a fuse",
        "hit": "from memory",
    }
    return [
        row_of(way, "llama", what[name], figure, found["bare"]) for name, figure in found.items()
    ]


async def awaited(llms: dict[str, Any]) -> dict[str, Figure]:
    """Measure the awaited chat, all in one event loop."""
    asked = messages()
    return {
        name: await afigure_of(lambda llm=llm: llm.achat(asked), asks(name))
        for name, llm in llms.items()
    }


def chat_of(llm: Any) -> Callable[[], object]:
    """Give one chat."""
    asked = messages()
    return lambda: llm.chat(asked)


def stream_of(llm: Any) -> Callable[[], object]:
    """Give one streamed chat, read to its end."""
    asked = messages()
    return lambda: sum(1 for _ in llm.stream_chat(asked))


def messages() -> list[ChatMessage]:
    """Write the short conversation that the other figures ask too."""
    return [ChatMessage(role=row["role"], content=row["content"]) for row in prompt_of(40)]


def asks(name: str) -> int:
    """Say how often a round asks: hits are quick."""
    return HITS if name == "hit" else ASKS


if __name__ == "__main__":
    print(json.dumps(figures(), indent=1))
