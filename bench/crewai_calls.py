"""What AgentFuse adds to a CrewAI LLM and to a crew: a miss, a hit, and the bare ones beside them.

    python bench/crewai_calls.py

An LLM's call is CPU time of the calling thread, as in ``measure``. A crew works in threads of its
own, so a run of it is CPU time of the whole process, the simulated provider included: the bare run
beside it pays the same.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

# CrewAI reads these when it is imported.
os.environ.update(
    OTEL_SDK_DISABLED="true",
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_TESTING="true",
)

from adding import KEY, added_shares, client_words, rounds, tools_made
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from measure import figure_of
from openai import OpenAI

from agentfuse.testing import Upstream
from agentfuse_crewai import AgentFuseLLM

if TYPE_CHECKING:
    from collections.abc import Callable

    from adding import Provider, Questions
    from crewai.llms.base_llm import BaseLLM

    from agentfuse import Fuse

ASKS, HITS, RUNS = 40, 400, 5
QUESTION = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "What is a fuse?"},
]


def figures() -> dict[str, Any]:
    """Measure calls (CPU microseconds) and runs of a crew of one step (CPU milliseconds)."""
    with Upstream(answer_tokens=200) as upstream:
        bare = LLM(model="gpt-4o", base_url=upstream.openai_url, api_key="sk-upstream")
        found: dict[str, Any] = {"call": call_figures(bare), "crew": crew_figures(bare)}
    found["call_added_us"] = found["call"]["miss"]["median"] - found["call"]["bare"]["median"]
    found["crew_added_ms"] = found["crew"]["miss"] - found["crew"]["bare"]
    return added_shares(call_of, late_call_of, run_with_a_tool) | found


@tool("get_weather")
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


def llm_of(url: str, instant: Provider, fuse: Fuse | None) -> BaseLLM:
    """Give the LLM: answered at once or over loopback, fused or bare."""
    bare = LLM(model="gpt-4o", base_url=url, api_key=KEY)
    if instant is not None:  # CrewAI lets nobody give it a client
        bare._client = OpenAI(base_url=url, api_key=KEY, **client_words(instant))  # noqa: SLF001
    return bare if fuse is None else AgentFuseLLM(bare, fuse=fuse)


def call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the LLM."""
    llm, system = llm_of(url, instant, fuse), {"role": "system", "content": "Be brief."}
    return lambda: llm.call([system, {"role": "user", "content": str(questions)}])


def late_call_of(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a call of the LLM by an agent under way, which sends the same messages again."""
    llm, behind = llm_of(url, instant, fuse), history()
    tools = [function_of(tool(made.__name__)(made)) for made in tools_made(lambda made: made)]
    system = {"role": "system", "content": "Be brief."}
    return lambda: llm.call(
        [system, {"role": "user", "content": str(questions)}, *behind], tools=tools
    )


def function_of(made: Any) -> dict[str, Any]:
    """Write a tool as CrewAI sends it."""
    parameters = made.args_schema.model_json_schema()
    function = {"name": made.name, "description": made.description, "parameters": parameters}
    return {"type": "function", "function": function}


def history() -> list[dict[str, Any]]:
    """Write what an agent has done so far."""
    said: list[dict[str, Any]] = []
    for each in rounds():
        function = {"name": each.tool, "arguments": json.dumps(each.arguments)}
        call = {"id": each.id, "type": "function", "function": function}
        said.append({"role": "assistant", "content": "I look that up.", "tool_calls": [call]})
        said.append({"role": "tool", "tool_call_id": each.id, "content": each.result})
    return said


def run_with_a_tool(
    url: str, instant: Provider, fuse: Fuse | None, questions: Questions
) -> Callable[[], object]:
    """Give a crew's run: two calls with a tool between them."""
    llm = llm_of(url, instant, fuse)

    def run() -> object:
        agent = Agent(role="Guide", goal="Tell", backstory="Brief", llm=llm, tools=[get_weather])
        task = Task(description=str(questions), expected_output="a sentence", agent=agent)
        return Crew(agents=[agent], tasks=[task]).kickoff()

    return run


def call_figures(bare: BaseLLM) -> dict[str, Any]:
    """Measure ``LLM.call``: bare, under a budget, without a budget, and from memory."""
    capped = AgentFuseLLM(bare, budget="$1000", cache=False, spend_book=False)
    plain = AgentFuseLLM(bare, cache=False, spend_book=False)
    known = AgentFuseLLM(bare, budget="$1000", spend_book=False)
    return {
        "bare": figure_of(lambda: bare.call(QUESTION), ASKS).as_dict(),
        "miss": figure_of(lambda: capped.call(QUESTION), ASKS).as_dict(),
        "miss without a budget": figure_of(lambda: plain.call(QUESTION), ASKS).as_dict(),
        "hit": figure_of(lambda: known.call(QUESTION), HITS).as_dict(),
    }


def crew_figures(bare: BaseLLM) -> dict[str, float]:
    """Measure a crew of one agent and one step, made anew for each run."""
    capped = AgentFuseLLM(bare, budget="$1000", cache=False, spend_book=False)
    known = AgentFuseLLM(bare, budget="$1000", spend_book=False)
    return {
        "bare": run_of(lambda: crew_of(bare)),
        "miss": run_of(lambda: crew_of(capped)),
        "hit": run_of(lambda: crew_of(known)),
    }


def crew_of(llm: BaseLLM) -> Crew:
    """Make the smallest crew."""
    agent = Agent(role="Writer", goal="Write", backstory="Brief", llm=llm)
    task = Task(description="What is a fuse?", expected_output="a sentence", agent=agent)
    return Crew(agents=[agent], tasks=[task])


def run_of(make: Callable[[], Crew]) -> float:
    """Time a crew's run in CPU milliseconds of the process: the median of several."""
    make().kickoff()
    taken = []
    for _ in range(RUNS):
        crew = make()
        gc.collect()
        start = time.process_time_ns()
        crew.kickoff()
        taken.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(taken)


def main() -> None:
    found = figures()
    for what, figure in found["call"].items():
        print(f"LLM.call, {what:22} {figure['median']:10.0f} us CPU")
    for what, milliseconds in found["crew"].items():
        print(f"crew step, {what:21} {milliseconds:10.1f} ms CPU")


if __name__ == "__main__":
    main()
