"""A process that asks what it is told on stdin, a JSON object a line: run by its path.

python asker.py CACHE UPSTREAM [OPTIONS]; a line ``{"ask": "...", "awaited": true, "tenant": "a"}``
is answered with ``{"text": ..., "source": ...}`` or ``{"error": ...}``. OPTIONS are those of
``Fuse``, as JSON, and ``store``: the address of a semantic store to use with the default embedder.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import openai

from agentfuse import AgentFuseError, Fuse, SemanticCache, acompletion, completion, scope


class Sources:
    """Remembers where the last answer came from, and what the stores said."""

    source = ""
    trouble = ""

    def hear(self, event: Any) -> None:
        self.source = getattr(event, "source", self.source)
        self.trouble = getattr(event, "error", self.trouble)


def asked(fuse: Fuse, url: str, line: dict[str, Any]) -> str:
    words: dict[str, Any] = {"fuse": fuse, "base_url": url, "api_key": "sk-upstream"}
    messages = [{"role": "user", "content": line["ask"]}]
    with scope(tenant=line.get("tenant", "")):
        if line.get("awaited"):
            answer = asyncio.run(acompletion("gpt-4o", messages, **words))
        else:
            answer = completion("gpt-4o", messages, **words)
    return str(answer.choices[0].message.content)


def main() -> None:
    cache, url = sys.argv[1:3]
    options = json.loads(sys.argv[3]) if sys.argv[3:] else {}
    heard = Sources()
    store = options.pop("store", "")
    if store:
        options["semantic"] = SemanticCache(store=store)
    with Fuse(cache=cache, listeners=[heard], spend_book=False, **options) as fuse:
        sys.stdout.write("{}\n")
        sys.stdout.flush()
        for line in map(json.loads, sys.stdin):
            start = time.monotonic()
            try:
                said = {"text": asked(fuse, url, line)}
            except (AgentFuseError, openai.APIError) as error:
                said = {"error": repr(error)}
            said |= {"source": heard.source, "trouble": heard.trouble}
            said["seconds"] = time.monotonic() - start
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
