"""The life of one request: its fault, the vendor's rules, the answer, and what is recorded."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from agentfuse.testing.upstream.answering import answer_of, id_of
from agentfuse.testing.upstream.counting import PromptMemory
from agentfuse.testing.upstream.dialect import Counting
from agentfuse.testing.upstream.faults import Faults, Pace
from agentfuse.testing.upstream.problems import Problem
from agentfuse.testing.upstream.record import Entry, Records, WireRequest
from agentfuse.testing.upstream.said import Say, compact, object_in
from agentfuse.testing.upstream.script import said_by_default
from agentfuse.testing.upstream.wire import ClientLeft, Wire
from agentfuse.tokens import count_text

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping, Sequence

    from agentfuse.testing.upstream.dialect import Dialect
    from agentfuse.testing.upstream.faults import Fault
    from agentfuse.testing.upstream.said import Answer, Asked, Event, Json, Responder

JSON_HEADERS = {"content-type": "application/json"}
STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
GARBLED = b'data: {"id": "garbled\n\n'
_KNOWN = ("gpt-", "o1", "o3", "o4", "chatgpt-", "claude-", "deepseek-", "gemini-", "mistral-",
          "llama", "grok-", "qwen", "text-embedding-")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request as the server read it; header names are lower-case."""

    path: str
    headers: Mapping[str, str]
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who decides what is said: a script, a responder, the default."""

    responder: Responder | None
    answer_tokens: int
    script: deque[Say]

    def say(self, asked: Asked) -> Say:
        """Decide one answer."""
        try:
            return self.script.popleft()
        except IndexError:
            said = self.responder(asked) if self.responder else None
        return said_by_default(asked, self.answer_tokens) if said is None else said


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Everything that belongs to one running request."""

    dialect: Dialect | Counting
    wire: Wire
    entry: Entry
    incoming: Incoming
    body: Mapping[str, Json]
    request_id: str

    @property
    def model(self) -> Json:
        """The model asked for: in the body, or where Google has it, in the path."""
        return _model_of(self.incoming.path, self.body)


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, with what it answers and in whose words."""

    dialect: Dialect
    asked: Asked
    answer: Answer


class Service:
    """Answers requests in every dialect, for many threads at once."""

    def __init__(
        self, voice: Voice, keys: frozenset[str], models: Sequence[str], pace: Pace
    ) -> None:
        self.voice = voice
        self.keys = keys
        self.models = tuple(models)
        self.records = Records()
        self.faults = Faults(pace)
        self.memory = PromptMemory()
        self._serials = count(1)
        self._lock = Lock()

    def handle(self, dialect: Dialect | Counting, incoming: Incoming, wire: Wire) -> None:
        """Serve one request to its end and record it."""
        body = _object_in(incoming.raw)
        entry = self.records.open(
            WireRequest(
                api=dialect.api,
                path=incoming.path,
                headers=incoming.headers,
                body=body or {},
                at=time.time(),
                model=str(_model_of(incoming.path, body or {}) or ""),
                streamed=bool((body or {}).get("stream")),
            )
        )
        request_id = id_of("req_", self._serial())
        exchange = _Exchange(dialect, wire, entry, incoming, body or {}, request_id)
        try:
            self._serve(exchange, well_formed=body is not None)
        except ClientLeft:
            wire.open = False
            entry.note(aborted=True)
        finally:
            entry.end()

    def answered(
        self, dialect: Dialect, body: Mapping[str, Json], headers: Mapping[str, str]
    ) -> tuple[int, Json]:
        """Answer one request of a batch, whole, and record it: a status and a body."""
        incoming = Incoming(path="batch", headers=headers, raw=b"")
        entry = self.records.open(
            WireRequest(
                api=dialect.api,
                path="batch",
                headers=headers,
                body=body,
                at=time.time(),
                model=str(body.get("model") or ""),
            )
        )
        request_id = id_of("req_", self._serial())
        nowhere: Any = None
        exchange = _Exchange(dialect, nowhere, entry, incoming, body, request_id)
        try:
            fault = self.faults.take(str(body.get("model") or ""))
            problem = _problem_in(dialect, fault) if fault.status else self._problem_of(exchange)
            if problem is not None:
                entry.note(status=problem.status)
                return problem.status, dialect.error_of(problem, request_id)
            asked = dialect.asked_of(body)
            key = dialect.key_of(headers)
            billed = dialect.prompt_billed(self.memory, key, dialect.prompt_of(asked))
            answer = answer_of(
                asked, self.voice.say(asked), billed, self._serial(), int(time.time())
            )
            entry.note(status=200, **_billed(dialect, answer))
            return 200, dialect.reply_of(asked, answer)
        finally:
            entry.end()

    def _serve(self, exchange: _Exchange, *, well_formed: bool) -> None:
        fault = self.faults.take(str(exchange.model or ""))
        exchange.wire.wait(self.faults.pace.latency + fault.hang)
        if fault.status:
            advice = {"retry-after": fault.retry_after} if fault.retry_after else {}
            _refuse(exchange, _problem_in(exchange.dialect, fault), advice)
        elif fault.cut_after is not None and fault.cut_after < 0:
            exchange.wire.cut()
        elif not well_formed:
            _refuse(exchange, Problem(400, "We could not parse the JSON body of your request."))
        elif problem := self._problem_of(exchange):
            _refuse(exchange, problem)
        elif isinstance(exchange.dialect, Counting):
            _count(exchange, exchange.dialect)
        else:
            self._answer(exchange, exchange.dialect, fault)

    def _problem_of(self, exchange: _Exchange) -> Problem | None:
        dialect, body = exchange.dialect, exchange.body
        key = dialect.key_of(exchange.incoming.headers)
        if key not in self.keys:
            return dialect.unauthorised(key)
        model = exchange.model
        if not isinstance(model, str):
            return Problem(400, "you must provide a model parameter")
        if not self.knows(model):
            return dialect.unknown_model(model)
        try:
            return dialect.problem_of(body, exchange.incoming.headers)
        except (AttributeError, KeyError, TypeError) as error:
            return Problem(400, f"The request has a field that is missing or malformed: {error!r}")

    def knows(self, model: str) -> bool:
        """Tell whether a model exists here: listed, or named like a vendor's own."""
        return model in self.models or (model.startswith(_KNOWN) and "/" not in model)

    def _answer(self, exchange: _Exchange, dialect: Dialect, fault: Fault) -> None:
        asked = dialect.asked_of(exchange.body)
        key = dialect.key_of(exchange.incoming.headers)
        billed = dialect.prompt_billed(self.memory, key, dialect.prompt_of(asked))
        try:
            say = self.voice.say(asked)
        except Exception as error:  # noqa: BLE001 - a test's responder may raise anything
            _refuse(exchange, Problem(500, f"The responder raised {error!r}", "server_error"))
            return
        answer = answer_of(asked, say, billed, self._serial(), int(time.time()))
        said = _Said(dialect, asked, answer)
        if asked.stream:
            self._stream(exchange, said, fault)
        else:
            _whole(exchange, said, fault)

    def _stream(self, exchange: _Exchange, said: _Said, fault: Fault) -> None:
        """Send the events, and record what was sent where the client or a fault breaks off."""
        events = list(said.dialect.events_of(said.asked, said.answer))
        if fault.garble:
            events = [replace(event, data=GARBLED) for event in events]
        whole = _billed(said.dialect, said.answer)
        exchange.entry.note(status=200)
        exchange.wire.start(200, {**STREAM_HEADERS, **_request_header(exchange)})
        sent = 0
        try:
            for event in events[: fault.cut_after]:
                exchange.wire.wait(self.faults.pace.per_chunk)
                last = sent + 1 == len(events)
                if last:  # the client may ask for the record as soon as it has read this
                    exchange.entry.note(chunks_sent=sent + 1, **whole)
                exchange.wire.push(event.data, last=last)
                sent += 1
        finally:
            if sent < len(events):
                part = _broken(said, events[:sent])
                exchange.entry.note(chunks_sent=sent, **part)
        if sent < len(events):
            exchange.wire.cut()

    def _serial(self) -> int:
        with self._lock:
            return next(self._serials)


def _problem_in(dialect: Dialect | Counting, fault: Fault) -> Problem:
    """Say a fault in the vendor's words: OpenAI's code, which is Anthropic's type."""
    problem = dialect.fault_of(fault.status)
    if fault.code:
        problem = replace(problem, code=fault.code, kind=fault.code)
    return replace(problem, message=fault.message) if fault.message else problem


def _count(exchange: _Exchange, dialect: Counting) -> None:
    exchange.entry.note(status=200)
    headers = {**JSON_HEADERS, **_request_header(exchange)}
    counted = dialect.counted(str(exchange.model), exchange.body)
    exchange.wire.send(200, headers, compact(counted).encode())


def _whole(exchange: _Exchange, said: _Said, fault: Fault) -> None:
    data = compact(said.dialect.reply_of(said.asked, said.answer)).encode(errors="replace")
    exchange.wire.wait(0.0)
    exchange.entry.note(status=200, **_billed(said.dialect, said.answer))
    headers = {**JSON_HEADERS, **_request_header(exchange)}
    if fault.cut_after is not None:
        exchange.entry.note(**_broken(said, ()))
        exchange.wire.start(200, headers)
        exchange.wire.cut()
        return
    exchange.wire.send(200, headers, data[: len(data) // 2] if fault.garble else data)


def _refuse(
    exchange: _Exchange, problem: Problem, headers: Mapping[str, str] | None = None
) -> None:
    exchange.entry.note(status=problem.status)
    body = compact(exchange.dialect.error_of(problem, exchange.request_id)).encode()
    all_headers = {**JSON_HEADERS, **_request_header(exchange), **(headers or {})}
    exchange.wire.send(problem.status, all_headers, body)


def _request_header(exchange: _Exchange) -> dict[str, str]:
    anthropic = exchange.dialect.api.startswith("anthropic.")
    return {"request-id" if anthropic else "x-request-id": exchange.request_id}


def _billed(dialect: Dialect, answer: Answer) -> dict[str, Json]:
    return {
        "usage": dialect.usage_of(answer),
        "billed": answer.billed,
        "finish": dialect.finish_of(answer),
    }


def _broken(said: _Said, sent: Sequence[Event]) -> dict[str, Json]:
    """Bill an answer that broke off: the prompt, hidden reasoning, and the text that was sent."""
    answer = said.answer
    text = "".join(event.text for event in sent)
    shown = any(choice.reasoning for choice in answer.choices)
    hidden = 0 if shown else answer.billed.reasoning_tokens
    output = min(answer.billed.output_tokens, count_text(text, said.asked.model) + hidden)
    part = replace(
        answer.billed,
        output_tokens=output,
        reasoning_tokens=min(answer.billed.reasoning_tokens, output),
    )
    usage = said.dialect.usage_of(replace(answer, billed=part))
    return {"usage": usage, "billed": part, "finish": ""}


def _model_of(path: str, body: Mapping[str, Json]) -> Json:
    """Read the model from the body, or from a path like ``/v1beta/models/NAME:countTokens``."""
    _, found, rest = path.partition("/models/")
    return rest.partition(":")[0] if found else body.get("model")


def _object_in(raw: bytes) -> dict[str, Json] | None:
    try:
        value = json.loads(raw)
    except ValueError:
        return None
    return dict(object_in(value)) if isinstance(value, dict) else None
