"""The main job: a real LangChain agent over real customer questions, under one small budget.

nox -s demo                 asks a local, simulated provider
nox -s demo -- --live       asks OpenAI (needs OPENAI_API_KEY)
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from typing import Any

from help_center import QUESTIONS, SYSTEM_PROMPT, TOOLS, simulated_model
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from agentfuse import BudgetExceeded, Fuse
from agentfuse_langchain import AgentFuseChatModel

MODEL = "gpt-4o"
BUDGET = "$0.045"


def main() -> int:
    """Run the agent until the questions or the budget end, then print the receipt."""
    args = arguments()
    console = Console()
    with ExitStack() as stack:
        chat = live_model(console) if args.live else local_model(stack, console)
        fuse = Fuse(args.budget, name="support desk", spend_book=False)
        agent = create_agent(
            AgentFuseChatModel(inner=chat, fuse=fuse), tools=TOOLS, system_prompt=SYSTEM_PROMPT
        )
        answers, stop = work(agent, fuse, console)
        report(answers, stop, fuse, console)
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", action="store_true", help="ask OpenAI, with OPENAI_API_KEY")
    parser.add_argument("--budget", default=BUDGET, help="dollars for the whole run")
    return parser.parse_args()


def local_model(stack: ExitStack, console: Console) -> ChatOpenAI:
    """Point a real ChatOpenAI at the simulated provider."""
    upstream = stack.enter_context(simulated_model())
    console.print(
        f"Asking a [bold]simulated[/bold] {MODEL} on {upstream.openai_url}: no key needed."
    )
    return ChatOpenAI(model=MODEL, base_url=upstream.openai_url, api_key="sk-upstream")


def live_model(console: Console) -> ChatOpenAI:
    """Take the real provider."""
    if not os.environ.get("OPENAI_API_KEY"):
        sys.exit("--live needs OPENAI_API_KEY")
    console.print(f"Asking the real {MODEL} of OpenAI: this costs up to the budget.")
    return ChatOpenAI(model=MODEL)


def work(agent: Any, fuse: Fuse, console: Console) -> tuple[list[str], BudgetExceeded | None]:
    """Answer one question after the other, streaming; the budget may end it."""
    answers: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[money]}"), console=console) as progress:
        task = progress.add_task("questions", total=len(QUESTIONS), money="")
        for row in QUESTIONS:
            try:
                answers.append(streamed_answer(agent, row["question"]))
            except BudgetExceeded as stop:
                return answers, stop
            progress.update(task, advance=1, money=str(fuse.receipt()))
    return answers, None


def streamed_answer(agent: Any, question: str) -> str:
    """Ask the agent and join its last turn as it streams."""
    said = ""
    asked = {"messages": [{"role": "user", "content": question}]}
    for message, meta in agent.stream(asked, stream_mode="messages"):
        if meta["langgraph_node"] == "model" and message.text:
            said += message.text
    return said


def report(answers: list[str], stop: BudgetExceeded | None, fuse: Fuse, console: Console) -> None:
    """Print what was reached, what stopped it, and the receipt."""
    console.rule("What was answered")
    for row, answer in list(zip(QUESTIONS, answers, strict=False))[-3:]:
        console.print(f"[bold]{row['question']}[/bold]\n  {answer}")
    if stop is not None:
        console.rule("The budget stopped the run")
        console.print(str(stop))
        console.print(f"{len(answers)} of {len(QUESTIONS)} answers are kept.")
    console.rule("Receipt")
    console.print(fuse.receipt().table(), highlight=False)
    console.print("Questions: BANKING77 by PolyAI, CC BY 4.0 (examples/demo/NOTICE.md).")


if __name__ == "__main__":
    sys.exit(main())
