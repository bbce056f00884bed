"""An agent whose calls are routed by what earlier answers of each kind were worth.

python examples/routing/run.py     asks a local, simulated provider: no key, no cost

Outcomes of two tasks are learned: looking orders up, which the cheap model does as well, and
settling disputes, which it does not. Then calls are routed by the task they are tagged with, two
cheap models are compared where answers have one form, and an outcome is reported back.
"""

from __future__ import annotations

from typing import Any

from agentfuse import Fuse, completion, scope
from agentfuse.routing import Cascade, Outcome, Router, fit
from agentfuse.testing import Upstream
from agentfuse.testing.upstream import Asked, Say

WEAK, STRONG = "gpt-4o-mini", "gpt-4o"
SECOND = "gpt-4.1-nano"


def main() -> None:
    known = [Outcome(scores={WEAK: 1, STRONG: 1}, tag="orders") for _ in range(60)]
    known += [Outcome(scores={WEAK: n % 3 == 0, STRONG: 1}, tag="disputes") for n in range(60)]
    knowledge = fit(known, models=(WEAK, STRONG), strong=STRONG, costs={WEAK: 0.06, STRONG: 1})
    router = Router([WEAK, STRONG], weights=knowledge, target_quality=0.95)
    with Upstream(simulated_model) as provider:
        print(f"Asking a simulated provider on {provider.url}: its answers are made up.\n")
        fuse = Fuse("$0.10", route=router, spend_book=False)
        for task in ("orders", "disputes", "praise"):
            with scope(tags=(task,)):
                ask(fuse, provider, f"A customer writes about {task}.")
            decision = fuse.decisions()[-1]
            print(f"{task:9} -> {decision.model}: {decision.reason}")
        fuse.report_outcome(fuse.decisions()[0].id, 1.0)
        print(f"\n{fuse.receipt().table()}")
        print("\nTwo cheap models first, the strong one where they differ:")
        cascade = Cascade(first=(WEAK, SECOND), strong=STRONG)
        for question in ("Is 7 prime?", "Is it urgent?"):
            calls = provider.calls
            answer = ask(fuse, provider, question, auto_route=cascade)
            print(f"{question:14} {answer}  ({provider.calls - calls} calls)")


def ask(fuse: Fuse, provider: Upstream, question: str, **options: Any) -> str:
    answer = completion(
        STRONG,
        [{"role": "user", "content": question}],
        max_tokens=100,
        fuse=fuse,
        base_url=provider.openai_url,
        api_key="sk-upstream",
        **options,
    )
    return answer.choices[0].message.content or ""


def simulated_model(asked: Asked) -> Say:
    """Let the models agree on arithmetic, and differ on what is urgent."""
    if "prime" in asked.text:
        return Say("Yes")
    return Say({WEAK: "No", SECOND: "Yes"}.get(asked.model, "Yes, it is."))


if __name__ == "__main__":
    main()
