"""The vendors' batch APIs: files and batches of OpenAI, message batches of Anthropic.

Rules and shapes: platform.openai.com/docs/api-reference/batch and .../files,
docs.anthropic.com/en/api/creating-message-batches. A batch is answered when it is first looked at,
unless batches are held.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from agentfuse.testing.upstream.answering import id_of
from agentfuse.testing.upstream.problems import Problem
from agentfuse.testing.upstream.said import compact, list_in, object_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentfuse.testing.upstream.dialect import Counting, Dialect
    from agentfuse.testing.upstream.said import Json
    from agentfuse.testing.upstream.service import Service

_CUSTOM_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_CHAT = "/v1/chat/completions"
_MOST_OPENAI = 50_000
_MOST_ANTHROPIC = 100_000

Given = tuple[int, bytes]
"""A status and a body."""


@dataclass(slots=True)
class _Batch:
    """One batch: its requests, and once it has run the lines of its answers."""

    id: str
    key: str
    headers: Mapping[str, str]
    requests: list[tuple[str, Mapping[str, Json]]]
    about: Mapping[str, Json]
    created: int = field(default_factory=lambda: int(time.time()))
    lines: list[Json] | None = None
    failed: int = 0


class BatchDesk:
    """Takes batches in, runs them, and hands their answers out."""

    def __init__(self, service: Service, chat: Dialect, messages: Dialect) -> None:
        self._service = service
        self._chat = chat
        self._messages = messages
        self._files: dict[str, tuple[str, bytes]] = {}
        self._batches: dict[str, _Batch] = {}
        self._serials = count(1)
        self._lock = Lock()
        self.held = False

    def forget(self) -> None:
        """Drop all files and batches."""
        with self._lock:
            self._files.clear()
            self._batches.clear()
            self.held = False

    def finish(self) -> None:
        """Run all batches that have not run yet."""
        for batch in list(self._batches.values()):
            self._looked_at(batch.id, batch.key)

    def serve(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Given | None:
        """Answer a request to a batch API; None for any other address."""
        anthropic = path.startswith("/messages/batches")
        if not anthropic and not path.startswith(("/files", "/batches")):
            return None
        dialect = self._messages if anthropic else self._chat
        key = dialect.key_of(headers)
        if key not in self._service.keys:
            return _refused(dialect, dialect.unauthorised(key))
        steps = path.strip("/").split("/")
        try:
            if method == "POST":
                return self._posted(steps, key, headers, raw)
            return self._got(steps, key)
        except LookupError:
            return _refused(dialect, Problem(404, f"No such object: {path}", "not_found_error"))
        except _Refusal as refusal:
            return _refused(dialect, refusal.problem)

    def _posted(
        self, steps: list[str], key: str, headers: Mapping[str, str], raw: bytes
    ) -> Given | None:
        match steps:
            case ["files"]:
                return 200, self._filed(key, headers, raw)
            case ["batches"]:
                return 200, self._opened(key, headers, object_in(json.loads(raw)))
            case ["messages", "batches"]:
                return 200, self._opened_messages(key, headers, object_in(json.loads(raw)))
            case _:
                return None

    def _got(self, steps: list[str], key: str) -> Given | None:
        match steps:
            case ["files", name, "content"]:
                owner, content = self._files[name]
                if owner != key:
                    raise KeyError(name)
                return 200, content
            case ["batches"] | ["messages", "batches"]:
                told = _told if len(steps) == 1 else _told_messages
                start = "batch_" if len(steps) == 1 else "msgbatch_"
                found = [b for b in self._batches.values() if b.id.startswith(start)]
                page = {"data": [told(b) for b in reversed(found)], "has_more": False}
                return 200, compact({"object": "list", **page}).encode()
            case ["batches", name]:
                return 200, compact(_told(self._looked_at(name, key))).encode()
            case ["messages", "batches", name]:
                return 200, compact(_told_messages(self._looked_at(name, key))).encode()
            case ["messages", "batches", name, "results"]:
                return 200, _jsonl(self._looked_at(name, key).lines or [])
            case _:
                return None

    def _filed(self, key: str, headers: Mapping[str, str], raw: bytes) -> bytes:
        head = f"content-type: {headers.get('content-type', '')}\r\n\r\n".encode()
        parts = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in BytesParser(policy=HTTP).parsebytes(head + raw).iter_parts()
        }
        if parts.get("purpose") != b"batch":
            raise _Refusal(Problem(400, "'purpose' must be 'batch' here", param="purpose"))
        name = id_of("file-", self._serial())
        content = parts.get("file")
        self._files[name] = (key, content if isinstance(content, bytes) else b"")
        about = {"id": name, "object": "file", "bytes": len(self._files[name][1]), "status": ""}
        about |= {"created_at": int(time.time()), "filename": "batch.jsonl", "purpose": "batch"}
        return compact({**about, "status": "processed"}).encode()

    def _opened(self, key: str, headers: Mapping[str, str], asked: Mapping[str, Json]) -> bytes:
        if asked.get("completion_window") != "24h":
            raise _Refusal(Problem(400, "completion_window must be '24h'"))
        if asked.get("endpoint") != _CHAT:
            raise _Refusal(Problem(400, f"this Upstream batches {_CHAT}", param="endpoint"))
        owner, content = self._files[str(asked.get("input_file_id"))]
        if owner != key:
            raise KeyError(owner)
        lines = [object_in(json.loads(line)) for line in content.splitlines() if line.strip()]
        wrong = next(_wrong_lines(lines), "")
        requests = [(str(e.get("custom_id")), object_in(e.get("body"))) for e in lines]
        batch = _Batch(id_of("batch_", self._serial()), key, headers, requests, dict(asked))
        if wrong:
            batch.about = {**asked, "wrong": wrong}
        self._batches[batch.id] = batch
        return compact(_told(batch)).encode()

    def _opened_messages(
        self, key: str, headers: Mapping[str, str], asked: Mapping[str, Json]
    ) -> bytes:
        each = [object_in(request) for request in list_in(asked.get("requests"))]
        ids = [str(request.get("custom_id")) for request in each]
        if not each or len(each) > _MOST_ANTHROPIC:
            raise _Refusal(Problem(400, "requests: List should have 1 to 100000 items"))
        if len(set(ids)) < len(ids):
            raise _Refusal(Problem(400, "requests: custom_id must be unique"))
        if not all(_CUSTOM_ID.match(name) for name in ids):
            text = "requests.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"
            raise _Refusal(Problem(400, text))
        requests = [(name, object_in(r.get("params"))) for name, r in zip(ids, each, strict=True)]
        batch = _Batch(id_of("msgbatch_", self._serial()), key, headers, requests, {})
        self._batches[batch.id] = batch
        return compact(_told_messages(batch)).encode()

    def _looked_at(self, name: str, key: str) -> _Batch:
        batch = self._batches[name]
        if batch.key != key:
            raise KeyError(name)
        with self._lock:
            if batch.lines is None and not self.held and "wrong" not in batch.about:
                self._run(batch)
        return batch

    def _run(self, batch: _Batch) -> None:
        """Answer every request of a batch."""
        anthropic = batch.id.startswith("msgbatch_")
        dialect = self._messages if anthropic else self._chat
        batch.lines = []
        for name, body in batch.requests:
            status, said = self._service.answered(dialect, body, batch.headers)
            batch.failed += status != 200  # noqa: PLR2004 - OK
            batch.lines.append((_result if anthropic else _response)(name, status, said))
        if not anthropic:
            good = [line for line in batch.lines if line["response"]["status_code"] == 200]  # noqa: PLR2004
            bad = [line for line in batch.lines if line not in good]
            for kind, lines in (("output", good), ("error", bad)):
                self._files[f"file-{kind}-{batch.id}"] = (batch.key, _jsonl(lines))

    def _serial(self) -> int:
        with self._lock:
            return next(self._serials)


class _Refusal(Exception):  # noqa: N818 - told to the client
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _wrong_lines(lines: list[Mapping[str, Json]]) -> Iterator[str]:
    """Find what OpenAI's validation of a batch's file would refuse."""
    if not lines or len(lines) > _MOST_OPENAI:
        yield "invalid_file_size"
    ids = [line.get("custom_id") for line in lines]
    if len(set(ids)) < len(ids):
        yield "duplicate_custom_id"
    if any(line.get("url") != _CHAT or line.get("method") != "POST" for line in lines):
        yield "invalid_url"
    if len({object_in(line.get("body")).get("model") for line in lines}) > 1:
        yield "mismatched_model"


def _told(batch: _Batch) -> Json:
    """Write an OpenAI batch."""
    wrong = batch.about.get("wrong")
    done = batch.lines is not None
    status = "failed" if wrong else "completed" if done else "in_progress"
    errors = {"object": "list", "data": [{"code": wrong, "message": wrong}]} if wrong else None
    answered = len(batch.requests) - batch.failed if done else 0
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": _CHAT,
        "errors": errors,
        "input_file_id": batch.about.get("input_file_id"),
        "completion_window": "24h",
        "status": status,
        "output_file_id": f"file-output-{batch.id}" if answered else None,
        "error_file_id": f"file-error-{batch.id}" if batch.failed else None,
        "created_at": batch.created,
        "metadata": batch.about.get("metadata"),
        "request_counts": {
            "total": len(batch.requests),
            "completed": answered,
            "failed": batch.failed,
        },
    }


def _told_messages(batch: _Batch) -> Json:
    """Write an Anthropic message batch."""
    done, total = batch.lines is not None, len(batch.requests)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch.created))
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(batch.created + 86_400))
    counts = {"processing": 0 if done else total, "succeeded": 0, "errored": batch.failed}
    counts |= {"succeeded": total - batch.failed if done else 0, "canceled": 0, "expired": 0}
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if done else "in_progress",
        "request_counts": counts,
        "created_at": at,
        "expires_at": later,
        "ended_at": at if done else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"/v1/messages/batches/{batch.id}/results" if done else None,
    }


def _response(name: str, status: int, said: Json) -> Json:
    response = {"status_code": status, "request_id": id_of("req_", hash(name)), "body": said}
    return {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": None}


def _result(name: str, status: int, said: Json) -> Json:
    if status == 200:  # noqa: PLR2004 - OK
        usage = {**said["usage"], "service_tier": "batch"}
        return {
            "custom_id": name,
            "result": {"type": "succeeded", "message": {**said, "usage": usage}},
        }
    return {"custom_id": name, "result": {"type": "errored", "error": said}}


def _jsonl(lines: list[Json]) -> bytes:
    return b"".join(compact(line).encode() + b"\n" for line in lines)


def _refused(dialect: Dialect | Counting, problem: Problem) -> Given:
    return problem.status, compact(dialect.error_of(problem, "req_batch")).encode()
