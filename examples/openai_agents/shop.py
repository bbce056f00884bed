"""The agents and tools of a web shop's support desk, and the simulated model behind them."""

from __future__ import annotations

import re
from typing import Any

from agents import Agent, ModelSettings, function_tool

from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Call, Say

MODEL = "gpt-4o"
ORDERS = {
    "1001": "a kettle, delivered on Monday, 39.90",
    "1002": "a desk lamp, lost by the carrier, 59.00",
    "1003": "two mugs, on their way, 18.00",
}
MAILS = (
    "Where is my order 1003?",
    "My lamp never came (order 1002). I want my money back.",
    "Where is my order 1003?",
    "Which kettle did I buy in order 1001?",
    "My lamp never came (order 1002). I want my money back.",
)


@function_tool
def find_order(number: str) -> str:
    """Look an order up by its number."""
    return ORDERS.get(number, "no such order")


@function_tool
def refund(number: str, reason: str) -> str:
    """Pay the price of an order back; this cannot be undone."""
    return f"order {number} refunded: {reason}"


def support_desk() -> Agent[Any]:
    """Make the agent that reads the mail; the one that pays money back is a handoff away."""
    settings = ModelSettings(temperature=0.0, max_tokens=300)
    cashier = Agent(
        name="cashier",
        handoff_description="Decides on refunds and pays them.",
        instructions="Refund what was lost, and say so in one sentence.",
        model=MODEL,
        model_settings=settings,
        tools=[find_order, refund],
    )
    return Agent(
        name="support desk",
        instructions="Answer in two sentences at most, from what the order says and nothing else.",
        model=MODEL,
        model_settings=settings,
        tools=[find_order],
        handoffs=[cashier],
    )


def simulated_model() -> Upstream:
    """Start the local stand-in for the provider: it looks orders up, hands over, and answers."""
    return Upstream(responder=_said)


def _said(asked: Asked) -> Say:
    number = "".join(re.findall(r"\d{4}", asked.text)[:1])
    tools = {tool.name for tool in asked.tools}
    if "find_order" not in asked.answered:
        return Say("", [Call("find_order", {"number": number})])
    if "back" not in asked.text:
        return Say(f"You asked about order {number}: {ORDERS[number]}. Is there anything else?")
    if "refund" not in tools:
        return Say("", [Call("transfer_to_cashier", {})])
    if "refund" not in asked.answered:
        return Say("", [Call("refund", {"number": number, "reason": "lost by the carrier"})])
    return Say(f"We are sorry. The price of order {number} is on its way back to you.")
