"""Calls that can wait: queued in a file, sent in batches at half the price, read when done.

A queue outlives the process: what was added, sent and answered is in its file. It blocks; from a
loop, use ``asyncio.to_thread``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agentfuse.errors import ConfigurationError, ProviderFailed
from agentfuse.messages import Request
from agentfuse.nothing import NOTHING
from agentfuse.providers.batches import BATCHES, MOST
from agentfuse.providers.chat_replies import SHAPE, completion_body, typed
from agentfuse.providers.failures import failure_of
from agentfuse.providers.names import access_of, target_of
from agentfuse.providers.speech import speech_of
from agentfuse.providers.translation import retell
from agentfuse.runtime.batch_file import BatchFile, Row
from agentfuse.runtime.calling import client_pool
from agentfuse.runtime.ids import new_id
from agentfuse.runtime.now import run_now
from agentfuse.runtime.settings import environment
from agentfuse.scopes import current_scope, scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from openai.types.chat import ChatCompletion

    from agentfuse.messages import Json
    from agentfuse.providers.batches import Outcome
    from agentfuse.runtime.fuse import Fuse

# OpenAI takes files of 200 MB, Anthropic bodies of 256 MB: half of the smaller one leaves room for
# what JSON adds.
MOST_BYTES = 100_000_000

# A batch that was being opened when its process ended is looked for after so many seconds: the
# SDKs' own timeout, after which no live process is still at it.
RESUME_AFTER = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How many calls of a queue wait to be sent, run, were answered, and failed."""

    waiting: int = 0
    running: int = 0
    answered: int = 0
    failed: int = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self.waiting and not self.running


class BatchQueue:
    """Deferrable calls to OpenAI and Anthropic, on a fuse's budget, kept in the file ``path``.

    Keys and addresses are those of ``completion()``: the fuse's ``keys`` (the first of several,
    since a batch belongs to its account) or the environment. Raises StoreUnavailable where the file
    cannot be used.
    """

    def __init__(self, fuse: Fuse, path: str | Path) -> None:
        self._fuse = fuse
        self._file = BatchFile(path)

    def add(self, model: str, messages: Sequence[Mapping[str, Json]], **options: Any) -> str:
        """Queue a call, set its worst case at the batch price aside, and give its id.

        ``options`` are those of ``completion()`` that go to the provider. Raises BudgetExceeded
        where it does not fit, and ConfigurationError for what no batch can ask.
        """
        target = target_of(model)
        if target.provider not in BATCHES or options.get("stream"):
            what = "a stream" if target.provider in BATCHES else f"{target.provider}'s models"
            raise ConfigurationError(f"batches are OpenAI's and Anthropic's, and not for {what}")
        if not messages:
            raise ConfigurationError("messages is empty: there is nothing to ask")
        speech, call_id = speech_of(target), new_id()
        request = speech.request_of(target, {"messages": messages, **options})
        speech.body_of(request)  # raises for what this provider cannot be asked
        ticket = run_now(self._fuse.policy.deferring.reserve(request, call_id))
        body = speech.body_of(replace(ticket.request, params=request.params))
        row = Row(
            id=call_id,
            provider=target.provider,
            model=target.model,
            body=json.dumps(body, ensure_ascii=False),
            added=ticket.started,
            scope=_scope_text(),
        )
        try:
            self._file.add(row)
        except BaseException:
            run_now(self._fuse.policy.deferring.give_back(request, call_id, "unknown"))
            raise
        return call_id

    def submit(self) -> int:
        """Send all that waits, in a batch for each model; gives how many calls were sent.

        Raises ProviderFailed where a batch is refused; its calls then wait on.
        """
        self._resume()
        sent = 0
        for rows in _bundles(self._file.waiting()):
            token = new_id()
            mine = self._file.take([row.id for row in rows], token, self._now())
            if mine:
                self._send([row for row in rows if row.id in mine], token)
                sent += len(mine)
        return sent

    def poll(self) -> BatchProgress:
        """Ask how the batches are doing, and read and book the answers of those that are done."""
        self._resume()
        for batch_id, provider, model in self._file.running():
            try:
                state, why = BATCHES[provider].state(self._client(provider, model), batch_id)
                if state == "ended":
                    self._read(batch_id, provider, model)
                elif state == "failed":
                    self._drop(batch_id, "bad_request", why)
            except Exception as error:  # noqa: BLE001 - sorted and raised again
                retell(error, _asked(provider, model))
        counts = self._file.counts()
        return BatchProgress(
            waiting=counts["waiting"],
            running=counts["sending"] + counts["sent"],
            answered=counts["done"],
            failed=counts["failed"],
        )

    def results(self) -> dict[str, ChatCompletion | ProviderFailed]:
        """Give what has come back so far, by the calls' ids: answers, and failures as errors."""
        from openai.types.chat import ChatCompletion

        return {
            row.id: typed(ChatCompletion, row.answer)
            if row.answer
            else ProviderFailed(row.error, kind=row.kind)
            for row in self._file.ended()
        }

    def close(self) -> None:
        """Close the file; what is queued stays in it."""
        self._file.close()

    def _send(self, rows: Sequence[Row], token: str) -> None:
        """Open a batch; calls that certainly did not arrive wait on."""
        provider, model = rows[0].provider, rows[0].model
        lines = [(row.id, json.loads(row.body)) for row in rows]
        try:
            batch_id = BATCHES[provider].send(self._client(provider, model), lines, token)
        except Exception as error:  # noqa: BLE001 - sorted and raised again
            if not failure_of(error).billed:
                self._file.put_back(token)
            retell(error, _asked(provider, model))
        self._file.sent(token, batch_id)

    def _resume(self) -> None:
        """Find out what became of batches that were being opened when a process ended."""
        for token, provider, model, ids in self._file.abandoned(self._now() - RESUME_AFTER):
            found = BATCHES[provider].find(self._client(provider, model), token, frozenset(ids))
            if found is None:
                self._file.put_back(token)
            elif found:
                self._file.sent(token, found)

    def _read(self, batch_id: str, provider: str, model: str) -> None:
        rows = {row.id: row for row in self._file.of_batch(batch_id)}
        client = self._client(provider, model)
        for outcome in BATCHES[provider].outcomes(client, batch_id, model):
            row = rows.pop(outcome.id, None)
            if row is not None:
                self._end(row, outcome)
        if rows:
            self._drop(batch_id, "expired", "the batch ended without an answer to this call")

    def _end(self, row: Row, outcome: Outcome) -> None:
        """Book an answer and keep it, in this order: a booking repeated changes nothing."""
        request, deferring = _asked(row.provider, row.model), self._fuse.policy.deferring
        with scope(**_scope_of(row.scope)):
            if outcome.reply is None:
                run_now(deferring.give_back(request, row.id, outcome.kind))
                self._file.end(row.id, kind=outcome.kind, error=outcome.error)
                return
            run_now(deferring.settle(request, row.id, outcome.reply, row.added))
        reply = outcome.reply
        raw = reply.raw if reply.shape == SHAPE else json.dumps(completion_body(reply))
        self._file.end(row.id, answer=raw)

    def _drop(self, batch_id: str, kind: str, why: str) -> None:
        """Give back what was held for calls that a batch did not answer."""
        for row in self._file.of_batch(batch_id):
            run_now(
                self._fuse.policy.deferring.give_back(_asked(row.provider, row.model), row.id, kind)
            )
            self._file.end(row.id, kind=kind, error=why)

    def _client(self, provider: str, model: str) -> Any:
        ring = self._fuse.keyrings.of_provider(provider)
        key = ring.first if ring else ""
        return client_pool().client(
            access_of(target_of(model, provider), environment(), api_key=key)
        )

    def _now(self) -> float:
        return self._fuse.clock.now()


def _bundles(rows: Iterable[Row]) -> list[list[Row]]:
    """Part calls into batches: of one model, and within what a provider takes."""
    by_model: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_model[row.provider, row.model].append(row)
    bundles: list[list[Row]] = []
    for (provider, _), same in by_model.items():
        size = count = 0
        for row in same:
            if not count or count >= MOST[provider] or size + len(row.body) > MOST_BYTES:
                bundles.append([])
                size = count = 0
            bundles[-1].append(row)
            size, count = size + len(row.body.encode()), count + 1
    return bundles


def _asked(provider: str, model: str) -> Request:
    """Give what stands for a queued call where only whom it asks matters."""
    return Request(provider=provider, model=model, messages=(), params=NOTHING)


def _scope_text() -> str:
    here = current_scope()
    ids = {name: getattr(here, name) for name in ("run", "session", "user", "team", "tenant")}
    return json.dumps({**ids, "tags": list(here.tags)})


def _scope_of(text: str) -> dict[str, Any]:
    kept = json.loads(text)
    return {**kept, "tags": tuple(kept["tags"])}
