"""A bad hour at a provider, and a long prompt that comes back, each under one budget.

python examples/resilience/run.py     asks a local, simulated provider: no key, no cost

First gpt-4o fails: calls are tried again, fall back to Claude in OpenAI's shape, and soon leave the
model alone until it has recovered. Then an agent's long instructions are kept by Claude's prompt
cache, and the receipt says what that saved.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agentfuse import Fuse, completion
from agentfuse.courses import BreakerOpened, FellBack, Retried
from agentfuse.observe.logging import line_of
from agentfuse.testing import FrozenClock, Upstream
from agentfuse.tickets import Receipt

if TYPE_CHECKING:
    from agentfuse.tickets import Event

RULES = "You keep the stock of a shop for fuses. Answer in one short sentence. " * 250


class Diary:
    """Prints what the fuse does about a failure, and what each answer came to."""

    def hear(self, event: Event) -> None:
        """Print it."""
        if isinstance(event, Retried | FellBack | BreakerOpened):
            print(f"  {line_of(event)}")
        if isinstance(event, Receipt):
            cached = event.prompt_cache_saved / 1_000_000_000
            said = f"  answered by {event.model} at attempt {event.attempts}"
            print(said + (f", prompt cache {cached:+.6f} dollars" if cached else ""))


def main() -> None:
    with Upstream() as provider:
        print(f"Asking a simulated provider on {provider.url}: its answers are made up.")
        os.environ |= {
            "OPENAI_BASE_URL": provider.openai_url,
            "ANTHROPIC_BASE_URL": provider.anthropic_url,
            "OPENAI_API_KEY": "sk-upstream",
            "ANTHROPIC_API_KEY": "sk-upstream",
        }
        bad_hour(provider)
        long_prompt()


def bad_hour(provider: Upstream) -> None:
    clock = FrozenClock()  # waits take no time here
    fuse = Fuse(
        "$1",
        max_retries=1,
        fallbacks={"gpt-4o": ["anthropic/claude-haiku-4-5"]},
        cache=False,
        clock=clock,
        listeners=[Diary()],
        spend_book=False,
    )
    provider.fail(503, times=6, model="gpt-4o")
    for number in range(1, 6):
        print(f"\nQuestion {number}")
        ask(fuse, "gpt-4o", f"Question {number}: how many fuses are left?")
    clock.advance(10)
    print("\nTen seconds later")
    ask(fuse, "gpt-4o", "And now?")
    clock.advance(20)
    print("\nTwenty seconds later")
    ask(fuse, "gpt-4o", "And now?")
    asked = sum(request.model == "gpt-4o" for request in provider.requests)
    print(f"\nrequests to gpt-4o: {asked}, of them answered: 1")
    print(fuse.receipt().table())


def long_prompt() -> None:
    print("\nA long prompt that comes back")
    fuse = Fuse("$1", prompt_caching=True, listeners=[Diary()], spend_book=False)
    for part in ("fuses", "wires", "lamps", "switches"):
        ask(fuse, "claude-sonnet-4-6", f"How many {part} are left?")
    print(fuse.receipt())


def ask(fuse: Fuse, model: str, question: str) -> None:
    messages = [{"role": "system", "content": RULES}, {"role": "user", "content": question}]
    completion(model, messages, fuse=fuse, max_tokens=50)


if __name__ == "__main__":
    main()
