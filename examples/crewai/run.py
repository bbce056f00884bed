"""A newsroom of three agents under one budget, asked twice, then once more with too little money.

python examples/crewai/run.py        asks a local, simulated provider: no key, no network, no bill
"""

from __future__ import annotations

import os

# CrewAI reads these when it is imported.
os.environ.update(
    OTEL_SDK_DISABLED="true", CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false"
)

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from agentfuse import Fuse
from agentfuse.testing import Upstream
from agentfuse_crewai import BudgetStop, register_agentfuse

TOPIC = {"topic": "heat pumps"}
FACTS = {
    "heat": "A heat pump moves three to four units of heat for each unit of electricity.",
    "price": "An installation costs 12,000 to 25,000 euros before subsidies.",
}


@tool("search_archive")
def search_archive(query: str) -> str:
    """Search the newspaper's archive."""
    found = [fact for word, fact in FACTS.items() if word in query.lower()]
    return " ".join(found) or "Nothing found."


@tool("count_words")
def count_words(text: str) -> str:
    """Count the words of a text."""
    return f"{len(text.split())} words"


def newsroom(llm: LLM) -> Crew:
    """Make a researcher, a writer and an editor, with a task for each."""
    researcher = Agent(
        role="Researcher",
        goal="Find what the archive knows about {topic}",
        backstory="You quote, and never guess.",
        llm=llm,
        tools=[search_archive],
    )
    writer = Agent(
        role="Writer",
        goal="Write a short piece about {topic}",
        backstory="You write plainly.",
        llm=llm,
    )
    editor = Agent(
        role="Editor",
        goal="Keep the piece under a hundred words",
        backstory="You cut.",
        llm=llm,
        tools=[count_words],
    )
    research = Task(
        description="Use search_archive with the query 'heat and price' for a piece on {topic}.",
        expected_output="quotes from the archive",
        agent=researcher,
    )
    draft = Task(
        description="Write three sentences about {topic} from the quotes.",
        expected_output="three sentences",
        agent=writer,
    )
    cut = Task(
        description="Use count_words on the draft, and shorten it if needed.",
        expected_output="the final text",
        agent=editor,
    )
    return Crew(agents=[researcher, writer, editor], tasks=[research, draft, cut])


def main() -> None:
    with Upstream(answer_tokens=120) as upstream:
        print(
            "The provider is simulated: its answers are made up, its bills are true to the list.\n"
        )
        llm = LLM(model="gpt-4o", base_url=upstream.openai_url, api_key="sk-upstream")
        fuse = Fuse("$1.00", name="newsroom", spend_book=False)
        for edition in ("first", "second"):
            crew = newsroom(llm)
            register_agentfuse(crew, fuse=fuse)  # the one line
            output = crew.kickoff(inputs=TOPIC)
            print(f"{edition} run: {len(output.raw.split())} words, {upstream.calls} calls so far")
        print(f"\n{fuse.receipt().table()}\n")
        stopped(llm)


def stopped(llm: LLM) -> None:
    """Run the crew with too little money, and keep what was done."""
    crew = newsroom(llm)
    register_agentfuse(crew, "$0.003", name="small newsroom", spend_book=False)
    try:
        crew.kickoff(inputs=TOPIC)
    except BudgetStop as stop:
        print(f"stopped: {stop}")
        output = stop.partial_output
        done = output.tasks_output if output else []
        print(f"finished tasks: {len(done)} of {len(crew.tasks)}")
        print(stop.receipt)


if __name__ == "__main__":
    main()
