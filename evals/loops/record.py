"""Run a script over the simulated provider, and write down what was asked and answered.

python evals/loops/record.py SCRIPT TRACES.jsonl [--loop]

In the environment of the script's framework. One line is one trace: a call after the other, each
with its body (without tools and the like), the tags it carried, and the answer it got.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import agentfuse.testing
from agentfuse.testing.upstream.script import said_by_default

KEPT = {"model", "messages", "input", "instructions", "system", "max_tokens"}
CALLS: list[dict[str, Any]] = []


class Recording(agentfuse.testing.Upstream):
    """A simulated provider that writes down what it is asked."""

    def __init__(self, responder: Any = None, **options: Any) -> None:
        super().__init__(noted(responder), **options)


def noted(responder: Any) -> Any:
    """Write down each question that a responder is asked, with its answer."""

    def answer(asked: Any) -> Any:
        said = (responder and responder(asked)) or said_by_default(asked)
        if asked.api != "embeddings":
            calls = [{"name": call.name, "arguments": call.text} for call in said.tool_calls]
            body = {word: value for word, value in asked.body.items() if word in KEPT}
            answered = {"text": said.text, "calls": calls}
            CALLS.append({"api": asked.api, "body": body, "answer": answered})
        return said

    return answer


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("script", type=Path)
    words.add_argument("traces", type=Path)
    words.add_argument("--loop", action="store_true", help="the script is known to loop")
    given = words.parse_args()
    agentfuse.testing.Upstream = Recording
    sys.path.insert(0, str(given.script.parent))
    sys.argv = [str(given.script)]
    try:
        runpy.run_path(str(given.script), run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    name = "/".join(given.script.parts[-3:])
    line = {"name": name, "kind": "recorded", "loop": given.loop, "calls": CALLS}
    given.traces.write_text(json.dumps(line, ensure_ascii=False) + "\n", "utf-8")
    print(f"{len(CALLS)} calls of {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
