"""What pricing and counting cost: a warm card, a long text, one more turn, and the first count.

Each is CPU time beside the bound the documentation states: a text beside tiktoken's own time for
it, one more turn beside the whole conversation.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from typing import Any

from measure import ROUNDS, figure_of

from agentfuse.pricing import PriceBook
from agentfuse.tokens import TokenCounter
from agentfuse.tokens.encodings import encoding_of
from agentfuse.usage import Usage

WORDS = (
    "The committee met again in the autumn, and after a long discussion of the figures it agreed "
    "that nothing in the report of the previous year had prepared anybody for what came next. "
)
LONG = 100_000
TURNS = 200
STARTS = 5
CARD_US, OF_TIKTOKEN, OF_WHOLE, FIRST_S = 2.0, 1.2, 1 / 20, 0.8
FIRST = """
import time
from agentfuse.tokens import TokenCounter
body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
start = time.process_time()
TokenCounter().count_request(body, "gpt-4o", "chat.completions")
print(time.process_time() - start)
"""

fresh = count()


def figures() -> dict[str, Any]:
    """Measure all of it, each with whether it keeps within its bound."""
    return {
        "a warm card prices a call (us)": _bounded(_card_us(), CARD_US),
        "100 kB of English, of tiktoken's time": _bounded(_long_text(), OF_TIKTOKEN),
        "201st message, of counting 201": _bounded(_one_more(), OF_WHOLE),
        "first count of a process (CPU s)": _bounded(_first_count(), FIRST_S),
    }


def _bounded(value: float, bound: float) -> dict[str, Any]:
    return {"measured": round(value, 4), "bound": bound, "holds": value <= bound}


def _card_us() -> float:
    card = PriceBook().card("claude-sonnet-4-6", "anthropic")
    usage = Usage(input_tokens=10_000, cache_read_tokens=9_000, output_tokens=700)
    return figure_of(lambda: card.cost(usage), 20_000).median


def _long_text() -> float:
    """Count texts that were never seen, and encode the same ones with tiktoken alone."""
    encoding = encoding_of("o200k_base")
    counter = TokenCounter()
    ours = figure_of(lambda: counter.count_text(_text()), 10)
    bare = figure_of(lambda: len(encoding.encode_ordinary(_text())), 10)
    return ours.median / bare.median


def _text() -> str:
    head = f"Report {next(fresh)}. "
    return (head + WORDS * (LONG // len(WORDS) + 1))[:LONG]


def _one_more() -> float:
    unseen = iter([_talk(TURNS + 1) for _ in range(ROUNDS + 1)])
    whole = figure_of(lambda: _counted(TokenCounter(), next(unseen)), 1)
    counter, talk = TokenCounter(), _talk(TURNS)
    _counted(counter, talk)
    turns = count()

    def one_more() -> None:
        _counted(counter, [*talk, _message(next(turns), next(fresh))])

    return figure_of(one_more, 20).median / whole.median


def _counted(counter: TokenCounter, messages: list[dict[str, str]]) -> int:
    body = {"model": "gpt-4o", "messages": messages}
    return counter.count_request(body, "gpt-4o", "chat.completions").tokens


def _talk(turns: int) -> list[dict[str, str]]:
    """Make a conversation that nothing has counted before."""
    return [_message(turn, next(fresh)) for turn in range(turns)]


def _message(turn: int, mark: int) -> dict[str, str]:
    return {"role": ("user", "assistant")[turn % 2], "content": f"{mark}. {WORDS * 4}"}


def _first_count() -> float:
    """Take the median over fresh processes; the first one compiles, and is not counted."""
    taken = sorted(_started() for _ in range(STARTS + 1))
    return taken[STARTS // 2]


def _started() -> float:
    done = subprocess.run(  # noqa: S603 - our own interpreter and probe
        [sys.executable, "-c", FIRST], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
