"""A simulated provider, and bare and fused LLMs that speak to it; CrewAI's telemetry is off."""

from __future__ import annotations

import os
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

import pytest

# Read when crewai is imported: nothing is sent, traced or written outside a folder of our own.
os.environ.update(
    OTEL_SDK_DISABLED="true",
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_TRACKING="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_TESTING="true",
    XDG_DATA_HOME=tempfile.mkdtemp(prefix="agentfuse-crewai-"),
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what CrewAI and its dependencies say while they are imported
    from crewai import LLM, Agent, Crew, Task
    from crewai.hooks import clear_all_llm_call_hooks
    from crewai.hooks.dispatch import clear_all
    from crewai.tools import tool

from agentfuse import Fuse
from agentfuse.pricing import PriceBook
from agentfuse.testing import Upstream
from agentfuse.usage import BilledUsage, UsageReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


KEY = "sk-upstream"
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6"}


DEPRECATED = "ignore:(function_calling_llm is )?deprecated:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let CrewAI read its own deprecated fields, as it does in every crew."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings(DEPRECATED))


@pytest.fixture(scope="module")
def serving() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture
def up(serving: Upstream) -> Upstream:
    """A provider that has not been asked anything yet."""
    serving.wait_idle()
    serving.reset()
    return serving


@pytest.fixture
def fuse() -> Fuse:
    return Fuse("$1", spend_book=False)


@pytest.fixture
def bare_of(up: Upstream) -> Iterator[Callable[..., Any]]:
    """Make a bare LLM of a vendor that speaks to the simulated provider."""
    made: list[Any] = []

    def make(vendor: str = "openai", **params: Any) -> Any:
        url = up.openai_url if vendor == "openai" else up.anthropic_url
        made.append(LLM(**{"model": MODELS[vendor], "base_url": url, "api_key": KEY, **params}))
        return made[-1]

    yield make
    for llm in made:  # a crew that ran lives as long as the process
        client = getattr(llm, "_client", None)
        if client is not None:
            client.close()


@pytest.fixture(params=sorted(MODELS))
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def no_hooks() -> Iterator[None]:
    """Leave no hook behind for the next test."""
    yield
    clear_all_llm_call_hooks()
    clear_all()


@pytest.fixture(scope="session", autouse=True)
def clients() -> None:
    """Import the SDKs before threads race for it: half a module makes no client."""
    for model in MODELS.values():
        LLM(model=model, api_key=KEY)


@tool("look_up")
def look_up(word: str) -> str:
    """Look a word up in the house's glossary."""
    return f"{word}: a thing that is looked up"


@tool("count_letters")
def count_letters(word: str) -> str:
    """Count the letters of a word."""
    return str(len(word))


TEXTS = (
    "Please look_up the word 'fuse' and count_letters of it, for {topic}.",
    "Write one sentence about {topic} from what was found.",
)


@pytest.fixture
def crew_of() -> Callable[..., Crew]:
    """Make a crew of a researcher with tools and a writer, on one LLM or on two."""

    def make(llm: Any, writers: Any = None, **words: Any) -> Crew:
        researcher = Agent(
            role="Researcher",
            goal="Find out what {topic} is",
            backstory="You look before you speak.",
            llm=llm,
            tools=[look_up, count_letters],
        )
        writer = Agent(
            role="Writer",
            goal="Say it in one sentence",
            backstory="You are brief.",
            llm=writers or llm,
        )
        tasks = [
            Task(description=text, expected_output="a sentence", agent=agent)
            for text, agent in zip(TEXTS, (researcher, writer), strict=True)
        ]
        return Crew(**{"agents": [researcher, writer], "tasks": tasks, **words})

    return make


@pytest.fixture
def billed() -> Callable[..., int]:
    """Price what the provider served, call by call, in nanodollars."""

    def price(up: Upstream, provider: str = "openai") -> int:
        book, total = PriceBook(), 0
        for request in up.requests:
            item = BilledUsage(model=request.model, usage=request.billed)
            total += book.cost(UsageReport(items=(item,)), provider).nanodollars
        return total

    return price
