"""The tools of a bank's support agent, and the simulated model behind it when there is no key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.tools import tool

if TYPE_CHECKING:
    from agentfuse.testing import Upstream

HERE = Path(__file__).parent
QUESTIONS: list[dict[str, str]] = json.loads((HERE / "questions.json").read_text("utf-8"))
INTENTS = {row["question"]: row["intent"] for row in QUESTIONS}

SYSTEM_PROMPT = (
    "You are the support agent of a bank. Look the topic up in the help center before you answer,"
    " answer in three sentences at most, and never invent a fee, a limit or a deadline."
)

ARTICLE = (
    "{title}. Open the app and choose Help, then '{title}'. Most cases are settled there within two"
    " working days; if the amount is wrong or you do not recognise it, freeze the card first and"
    " report it in the same place. Fees, limits and opening hours are listed under Account, Terms."
)


@tool
def search_help_center(topic: str) -> str:
    """Look up the help center's article on a topic."""
    return ARTICLE.format(title=topic.replace("_", " ").capitalize())


@tool
def open_ticket(summary: str) -> str:
    """Open a ticket for a human colleague; only for what the help center cannot answer."""
    return f"Ticket opened: {summary}"


TOOLS = [search_help_center, open_ticket]


def simulated_model(**options: object) -> Upstream:
    """Start the local stand-in for the provider: it looks a topic up, then answers from it."""
    from agentfuse.testing import Upstream
    from agentfuse.testing.upstream import Call, Say

    def support_agent(asked):  # noqa: ANN001, ANN202 - the upstream's own view of a request
        messages = asked.messages
        if messages[-1]["role"] == "tool":
            return Say(text=f"Here is what our help center says. {messages[-1]['content']}")
        topic = INTENTS.get(asked.text, "general")
        return Say(tool_calls=[Call("search_help_center", {"topic": topic})])

    return Upstream(responder=support_agent, **options)
