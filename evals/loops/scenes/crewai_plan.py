"""A CrewAI agent that plans for ever: its model never says that it is ready."""

from __future__ import annotations

import os
from contextlib import suppress

os.environ.update(
    OTEL_SDK_DISABLED="true", CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false"
)

from crewai import LLM, Agent, Crew, Task

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Say
from agentfuse_crewai import AgentFuseLLM, BudgetStop

if __name__ == "__main__":
    with Upstream(lambda _: Say("Let me think about it some more.")) as upstream:
        bare = LLM(
            model="gpt-4o", base_url=upstream.openai_url, api_key="sk-upstream", max_tokens=50
        )
        llm = AgentFuseLLM(bare, fuse=Fuse("$0.02", spend_book=False, cache=False))
        thinker = Agent(
            role="Thinker", goal="Think", backstory="You think.", llm=llm, reasoning=True
        )
        task = Task(description="Speak of fuses.", expected_output="A line.", agent=thinker)
        with suppress(BudgetStop):
            Crew(agents=[thinker], tasks=[task]).kickoff()
