"""A reworded question is answered from memory through the Agents SDK, streamed and not."""

from __future__ import annotations

from agents import Agent, Runner

from agentfuse import Fuse, scope
from agentfuse_openai_agents import AgentFuseModel

KEPT = "How do I reset my password?"
ASKED = "How can I reset my password?"


async def test_a_reworded_question_is_answered(bare_of, up, api) -> None:
    fuse = Fuse("$1", semantic=True, spend_book=False)
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), instructions="Be brief.")
    first = await Runner.run(agent, KEPT)
    again = await Runner.run(agent, ASKED)
    assert again.final_output == first.final_output
    streamed = Runner.run_streamed(agent, "How could I reset my password?")
    kinds = [e.data.type async for e in streamed.stream_events() if e.type == "raw_response_event"]
    assert kinds[-1] == "response.completed"
    assert streamed.final_output == first.final_output
    assert up.calls == 1
    assert fuse.receipt().semantic == 2


async def test_other_instructions_are_another_scope(bare_of, up, api) -> None:
    fuse = Fuse("$1", semantic=True, spend_book=False)
    for instructions in ("Be brief.", "Be verbose."):
        model = AgentFuseModel(bare_of(api), fuse=fuse)
        await Runner.run(Agent(name="a", model=model, instructions=instructions), ASKED)
    assert up.calls == 2


async def test_an_agent_with_tools_is_never_answered_by_meaning(bare_of, up, api, weather) -> None:
    fuse = Fuse("$1", semantic=True, spend_book=False)
    agent = Agent(name="a", model=AgentFuseModel(bare_of(api), fuse=fuse), tools=[weather])
    for question in (KEPT, ASKED):
        with scope(user="ann"):
            await Runner.run(agent, question)
    assert fuse.cache_report().lookups == 0
