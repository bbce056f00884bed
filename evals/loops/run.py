"""Play traces of agents to the loop detector, and count what it saw and what it took for a loop.

nox -s loops-eval -- --json FILE --data FILE

The recorded traces are the repository's examples and some agents that are known to loop, each run
with its real framework over the simulated provider (record.py); the others are made up by
synthetic.py. Each call goes through ``Fuse.begin`` and ``Fuse.finish``, as an adapter's does. All
of it is judged twice: by what is equal, and with ``LoopRules(similar=True)``. ``--data`` names real
questions (real_texts.py says in which form), by which the least cosine of that was chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentfuse import Fuse, LoopDetected, LoopRules, scope
from agentfuse.messages import Choice, Reply, Text, ToolCall
from agentfuse.providers.wire_chat import ChatWire
from agentfuse.providers.wire_messages import MessagesWire
from agentfuse.providers.wire_responses import ResponsesWire
from agentfuse.testing import FrozenClock
from agentfuse.usage import BilledUsage, Usage, UsageReport

sys.path.insert(0, str(Path(__file__).parent))
from real_texts import real_traces
from synthetic import traces as synthetic_traces

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = Path(__file__).parent / "traces"
WIRES: dict[str, Any] = {
    "chat.completions": ChatWire(),
    "responses": ResponsesWire(),
    "anthropic.messages": MessagesWire(),
}
SECONDS_A_CALL = 2.0
COSINES = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass
class Found:
    """What came of the traces of one kind: ``rounds`` are those gone when a loop was seen."""

    loop: bool
    traces: int = 0
    seen: int = 0
    rounds: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def recorded_traces() -> Iterator[dict[str, Any]]:
    """Read the traces of real frameworks."""
    for path in sorted(RECORDED.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            trace = json.loads(line)
            yield {**trace, "kind": "recorded, with a loop" if trace["loop"] else "recorded"}


def played(trace: dict[str, Any], *, similar: bool | float) -> tuple[int, int] | None:
    """Play a trace; give the rounds that were gone when a loop was seen, and the calls, or None."""
    clock = FrozenClock(1_800_000_000.0)
    rules = LoopRules("stop", similar=similar)
    fuse = Fuse("$100", spend_book=False, cache=False, clock=clock, loops=rules)
    for number, call in enumerate(trace["calls"]):
        wire = WIRES[call["api"]]
        with scope(user=call.get("user", ""), tags=tuple(call.get("tags", ()))):
            try:
                ticket = fuse.begin(wire.request_of(call["body"], wire.provider, ""))
            except LoopDetected as stop:
                return stop.loop.times, number
            clock.advance(SECONDS_A_CALL)
            fuse.finish(ticket, reply_of(call))
    return None


def reply_of(call: dict[str, Any]) -> Reply:
    """Read an answer, with the tokens such a call comes to."""
    answer, model = call["answer"], call["body"]["model"]
    calls = tuple(
        ToolCall(f"call_{n}", each["name"], each["arguments"])
        for n, each in enumerate(answer["calls"])
    )
    usage = Usage(input_tokens=len(json.dumps(call["body"])) // 4, output_tokens=50)
    return Reply(
        choices=(
            Choice(
                parts=(Text(answer["text"]),),
                tool_calls=calls,
                finish_reason="tool_calls" if calls else "stop",
            ),
        ),
        report=UsageReport(items=(BilledUsage(model=model, usage=usage),)),
        model=model,
    )


def judged(all_traces: list[dict[str, Any]], *, similar: bool | float = False) -> dict[str, Found]:
    """Play every trace."""
    found: dict[str, Found] = {}
    for number, trace in enumerate(all_traces, 1):
        kind = found.setdefault(trace["kind"], Found(trace["loop"]))
        kind.traces += 1
        outcome = played(trace, similar=similar)
        if outcome is not None:
            kind.seen += 1
            kind.rounds.append(outcome[0])
            kind.calls.append(outcome[1])
        if (outcome is not None) != trace["loop"]:
            kind.names.append(trace["name"])
        if number % 200 == 0:
            print(f"{number} of {len(all_traces)} traces played", file=sys.stderr)
    return found


def summary_of(found: dict[str, Found]) -> dict[str, Any]:
    """Add up: of the loops, how many were seen; of what was seen, how many are loops."""
    sums: defaultdict[str, int] = defaultdict(int)
    for kind in found.values():
        sums["loops"] += kind.traces * kind.loop
        sums["caught"] += kind.seen * kind.loop
        sums["seen"] += kind.seen
    return {
        **sums,
        "recall": sums["caught"] / sums["loops"],
        "precision": sums["caught"] / sums["seen"] if sums["seen"] else 1.0,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--json", type=Path, help="keep every figure")
    words.add_argument("--each", type=int, default=40, help="made-up traces of each kind")
    words.add_argument("--seed", type=int, default=7)
    words.add_argument("--data", type=Path, help="real questions: JSON lines of q and c")
    given = words.parse_args()
    recorded, made_up = list(recorded_traces()), list(synthetic_traces(given.seed, given.each))
    parts = {
        "recorded": judged(recorded),
        "synthetic": judged(made_up),
        "recorded, by meaning": judged(recorded, similar=True),
        "synthetic, by meaning": judged(made_up, similar=True),
    }
    if given.data is not None:
        real = list(real_traces(given.data, given.seed))
        parts |= {f"real questions, {least}": judged(real, similar=least) for least in COSINES}
    report: dict[str, Any] = {"seed": given.seed}
    for part, found in parts.items():
        print(f"\n{part:24} traces  seen  rounds  calls before the stop")
        for kind, each in found.items():
            rounds = f"{max(each.rounds)}" if each.rounds else "-"
            calls = f"{sum(each.calls) / len(each.calls):.1f}" if each.calls else "-"
            wrong = f"   wrong: {', '.join(each.names[:3])}" if each.names else ""
            print(f"  {kind:22} {each.traces:6} {each.seen:5} {rounds:>7} {calls:>7}{wrong}")
        sums = summary_of(found)
        print(f"  precision {sums['precision']:.3f}, recall {sums['recall']:.3f}")
        report[part] = {"sums": sums, "kinds": {kind: vars(each) for kind, each in found.items()}}
    if given.json:
        given.json.write_text(json.dumps(report, indent=2), "utf-8")


if __name__ == "__main__":
    main()
