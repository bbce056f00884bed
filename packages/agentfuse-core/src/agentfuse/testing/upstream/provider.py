"""Upstream: the simulated provider that tests start, steer and question."""

from __future__ import annotations

from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Self

from agentfuse.testing.upstream.anthropic_messages import AnthropicMessages
from agentfuse.testing.upstream.batches import BatchDesk
from agentfuse.testing.upstream.count_apis import COUNTING, AnthropicCounts, GeminiCounts
from agentfuse.testing.upstream.faults import Fault, Pace, retry_after_of
from agentfuse.testing.upstream.openai_chat import ChatCompletions
from agentfuse.testing.upstream.openai_embeddings import Embeddings
from agentfuse.testing.upstream.openai_responses import Responses
from agentfuse.testing.upstream.server import LoopbackServer
from agentfuse.testing.upstream.service import Service, Voice
from agentfuse.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agentfuse.testing.upstream.dialect import Counting, Dialect
    from agentfuse.testing.upstream.record import WireRequest
    from agentfuse.testing.upstream.said import Responder, Say

DEFAULT_KEY = "sk-upstream"


class Upstream:
    """A simulated LLM provider on real loopback HTTP. It runs no model: its answers are made up.

    It speaks OpenAI's Chat Completions, Responses and embeddings and Anthropic's Messages, whole
    and streamed, the batch APIs of both, and the APIs with which Anthropic and Gemini count a
    request beforehand. It keeps
    those vendors' published rules, and counts and reports tokens for what really went over the
    wire. What it says is decided by ``script``, then ``responder``, then the default: an echo of
    the last user text, a tool call where a tool is forced or mentioned, valid JSON where JSON is
    asked for.

    ``keys`` are the API keys it accepts, ``models`` names it knows besides the vendors' own.
    ``answer_tokens`` lengthens default answers; ``latency`` and ``per_chunk`` are seconds before
    the headers and before each chunk. Use it as a context manager, or ``start`` and ``close`` it.
    """

    def __init__(
        self,
        responder: Responder | None = None,
        *,
        keys: Iterable[str] = (DEFAULT_KEY,),
        models: Iterable[str] = (),
        answer_tokens: int = 0,
        latency: float = 0.0,
        per_chunk: float = 0.0,
    ) -> None:
        self._script: deque[Say] = deque()
        voice = Voice(responder=responder, answer_tokens=answer_tokens, script=self._script)
        pace = Pace(latency, per_chunk)
        self._service = Service(voice, frozenset(keys), tuple(models), pace)
        self._batches = BatchDesk(self._service, ChatCompletions(), AnthropicMessages())
        self._server: LoopbackServer | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        """Start serving."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.close()

    def start(self) -> Self:
        """Listen on a free loopback port; starting twice changes nothing."""
        if self._server is None:
            dialects: dict[str, Dialect | Counting] = {
                "/chat/completions": ChatCompletions(),
                "/responses": Responses(),
                "/messages": AnthropicMessages(),
                "/messages/count_tokens": AnthropicCounts(),
                ":countTokens": GeminiCounts(),
                "/embeddings": Embeddings(),
            }
            self._server = LoopbackServer(self._service, dialects, self._batches)
            serve = self._server.serve_forever
            self._thread = Thread(target=serve, args=(0.02,), name="upstream", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening and end every connection; closing twice changes nothing."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._service.records.wait_idle(5.0)
        self._server.server_close()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """The server's root; raises RuntimeError where it is not started."""
        if self._server is None:
            message = "this Upstream is not started: use it in a with statement, or call start()"
            raise RuntimeError(message)
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def openai_url(self) -> str:
        """What OpenAI's SDK takes as ``base_url``."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """What Anthropic's SDK takes as ``base_url``."""
        return self.url

    def script(self, answers: Iterable[Say]) -> None:
        """Give the next valid requests these answers, in order, whatever they ask."""
        self._script.extend(answers)

    def fail(
        self,
        status: int = 500,
        *,
        times: int = 1,
        retry_after: float | datetime | str | None = None,
        code: str = "",
        message: str = "",
        model: str = "",
    ) -> None:
        """Answer the next requests with an HTTP error in the vendor's words.

        ``retry_after`` is in seconds, or a UTC datetime that is sent as an HTTP date. ``code``
        (``insufficient_quota``; Anthropic's ``type``) and ``message`` replace the usual words.
        A ``model`` lets requests for all others pass.
        """
        fault = Fault(
            status=status,
            retry_after=retry_after_of(retry_after),
            code=code,
            message=message,
            model=model,
        )
        self._service.faults.add(fault, times)

    def cut(self, after_chunks: int | None = None, *, times: int = 1) -> None:
        """Close the next requests' connections: before the headers, or after so many chunks.

        An answer that is not streamed is cut after its headers.
        """
        fault = Fault(cut_after=-1 if after_chunks is None else after_chunks)
        self._service.faults.add(fault, times)

    def hang(self, seconds: float, *, times: int = 1) -> None:
        """Let the next requests wait so long before they are answered."""
        self._service.faults.add(Fault(hang=seconds), times)

    def garble(self, *, times: int = 1) -> None:
        """Answer the next requests with broken JSON."""
        self._service.faults.add(Fault(garble=True), times)

    def age(self, seconds: float) -> None:
        """Let time pass for what Anthropic's prompt cache keeps."""
        self._service.memory.age(seconds)

    def hold_batches(self, *, held: bool = True) -> None:
        """Let batches wait, or go on; without it a batch is done when it is first looked at."""
        self._batches.held = held

    def finish_batches(self) -> None:
        """End all batches now."""
        self._batches.finish()

    def slow(self, latency: float = 0.0, per_chunk: float = 0.0) -> None:
        """Set how many seconds pass before headers and before each chunk, from now on."""
        self._service.faults.pace = Pace(latency, per_chunk)

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """All API calls so far, in the order in which they arrived."""
        return self._service.records.requests

    @property
    def calls(self) -> int:
        """How many calls for an answer arrived; ``requests`` has those that only count, too."""
        return sum(request.api not in COUNTING for request in self.requests)

    def usage_served(self) -> Usage:
        """Sum up what all answers so far would be billed for."""
        return sum((request.billed for request in self.requests), Usage())

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """Wait up to so many seconds until no request is running; tell whether that came true."""
        return self._service.records.wait_idle(timeout)

    def reset(self) -> None:
        """Forget requests, script, faults and prompt caches."""
        self._script.clear()
        self._service.records.forget()
        self._service.faults.forget()
        self._service.memory.forget()
        self._batches.forget()
