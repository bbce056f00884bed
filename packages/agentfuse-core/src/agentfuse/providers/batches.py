"""The vendors' batch APIs through their SDKs: requests in, and a day later answers out.

Sources: https://platform.openai.com/docs/guides/batch,
https://docs.anthropic.com/en/docs/build-with-claude/batch-processing
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from agentfuse.providers.anthropic_replies import reply_of_message
from agentfuse.providers.chat_replies import reply_of_body
from agentfuse.providers.wire_json import object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentfuse.messages import Json, Reply

Line = tuple[str, "Mapping[str, Json]"]
"""The id of a call, and the body that asks it."""

State = Literal["running", "ended", "failed"]

MOST = {"openai": 50_000, "anthropic": 100_000}
"""The requests that one batch takes (the pages above, rate limits)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call's end: its ``reply``, or why there is none. What was not answered is not billed."""

    id: str
    reply: Reply | None
    kind: str = ""
    error: str = ""


class OpenAIBatches:
    """A file of lines, and a batch of that file."""

    def send(self, client: Any, lines: Sequence[Line], token: str) -> str:
        """Open a batch, and give its id; ``token`` finds it again."""
        url = "/v1/chat/completions"
        rows = [
            {"custom_id": name, "method": "POST", "url": url, "body": body} for name, body in lines
        ]
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
        file = client.files.create(file=("batch.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id,
            endpoint=url,
            completion_window="24h",
            metadata={"agentfuse": token},
        )
        return str(batch.id)

    def find(self, client: Any, token: str, ids: frozenset[str]) -> str | None:
        """Look for a batch that may have been opened before a crash; None says there is none."""
        del ids
        for batch in client.batches.list(limit=100):
            if object_of(batch.metadata).get("agentfuse") == token:
                return str(batch.id)
        return None

    def state(self, client: Any, batch_id: str) -> tuple[State, str]:
        """Say how far a batch is, and why it failed as a whole."""
        batch = client.batches.retrieve(batch_id)
        if batch.status == "failed":
            problems: tuple[Any, ...] = tuple(batch.errors.data or ()) if batch.errors else ()
            return "failed", "; ".join(str(each.message) for each in problems)
        ended = batch.status in {"completed", "expired", "cancelled"}
        return ("ended" if ended else "running"), ""

    def outcomes(self, client: Any, batch_id: str, model: str) -> Iterator[Outcome]:
        """Read the answers and the errors of a batch that has ended."""
        batch = client.batches.retrieve(batch_id)
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                for line in client.files.content(file_id).text.splitlines():
                    if line.strip():
                        yield self._outcome(object_of(json.loads(line)), model)

    @staticmethod
    def _outcome(line: Mapping[str, Json], model: str) -> Outcome:
        name, response = str(line.get("custom_id")), object_of(line.get("response"))
        body = object_of(response.get("body"))
        if response.get("status_code") == 200:  # noqa: PLR2004 - OK
            return Outcome(
                name, _at_batch_price(reply_of_body(body, provider="openai", model=model))
            )
        error = object_of(body.get("error")) or object_of(line.get("error"))
        kind = str(error.get("code") or error.get("type") or "unknown")
        return Outcome(name, None, kind, str(error.get("message") or kind))


class AnthropicBatches:
    """Message batches: all requests in one body."""

    def send(self, client: Any, lines: Sequence[Line], token: str) -> str:
        """Open a batch, and give its id."""
        del token  # there is no place for it
        requests = [{"custom_id": name, "params": body} for name, body in lines]
        return str(client.messages.batches.create(requests=requests).id)

    def find(self, client: Any, token: str, ids: frozenset[str]) -> str | None:
        """Look for a batch by the ids in its answers; one still running may be it: ``""``."""
        del token
        unsure = False
        for batch in client.messages.batches.list(limit=100):
            if batch.processing_status != "ended":
                unsure = True
                continue
            first = next(iter(client.messages.batches.results(batch.id)), None)
            if first is not None and first.custom_id in ids:
                return str(batch.id)
        return "" if unsure else None

    def state(self, client: Any, batch_id: str) -> tuple[State, str]:
        """Say how far a batch is."""
        batch = client.messages.batches.retrieve(batch_id)
        return ("ended" if batch.processing_status == "ended" else "running"), ""

    def outcomes(self, client: Any, batch_id: str, model: str) -> Iterator[Outcome]:
        """Read the results of a batch that has ended."""
        for each in client.messages.batches.results(batch_id):
            line = object_of(each.model_dump(mode="json", exclude_unset=True, warnings=False))
            yield self._outcome(line, model)

    @staticmethod
    def _outcome(line: Mapping[str, Json], model: str) -> Outcome:
        name, result = str(line.get("custom_id")), object_of(line.get("result"))
        if result.get("type") == "succeeded":
            message = object_of(result.get("message"))
            reply = reply_of_message(message, provider="anthropic", model=model)
            return Outcome(name, _at_batch_price(reply))
        error = object_of(object_of(result.get("error")).get("error"))
        kind = str(error.get("type") or result.get("type") or "unknown")
        return Outcome(name, None, kind, str(error.get("message") or kind))


BATCHES: Mapping[str, OpenAIBatches | AnthropicBatches] = {
    "openai": OpenAIBatches(),
    "anthropic": AnthropicBatches(),
}
"""Who can be asked in batches."""


def _at_batch_price(reply: Reply) -> Reply:
    """Say on a reply's bill that it came in a batch."""
    if reply.report is None:
        return reply
    items = tuple(
        replace(item, context=replace(item.context, batch=True)) for item in reply.report.items
    )
    return replace(reply, report=replace(reply.report, items=items))
