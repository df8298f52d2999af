"""What a test holds: it starts and stops the stand-in, counts what arrives and makes requests fail."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from spark_cache.testing.standin.routes import answer_request
from spark_cache.testing.standin.transport import LoopbackServer, Reply

if TYPE_CHECKING:
    from types import TracebackType

    from spark_cache.testing.standin.chat import Answer
    from spark_cache.testing.standin.transport import HttpRequest

__all__ = ["ReceivedRequest", "StandInProvider", "realistic_latency"]

_FIRST_ERROR_STATUS = 400


class ReceivedRequest(NamedTuple):
    """A request that arrived: its path, and its body as parsed JSON, or as text where it is none."""

    path: str
    body: Any


class StandInProvider:
    """A model provider on this machine: OpenAI's chat completions and embeddings over HTTP on loopback.

    Its answers are deterministic, begin with ``[stand-in]`` and differ wherever the requests differ. It takes
    any API key, but wants one. Use it as a context manager::

        with StandInProvider() as provider:
            client = openai.OpenAI(base_url=provider.base_url, api_key="any")

    Tokens are counted by a simple rule: one for every four characters of text, and four for each message of a
    prompt.

    Args:
        port: The port to listen on; 0 takes a free one.
        latency_seconds: How long each answer is held back; ``"realistic"`` is 0.3 s and 2 ms for each byte of
            the request, 1.2 s at most.
        answer: Scripts chat answers: a function of the request's body that returns the text, or a whole
            message (``content``, ``tool_calls``, ``refusal``, ``finish_reason``). It is called once for each
            choice, in many threads at once.

    Raises:
        ValueError: The latency is neither ``"realistic"`` nor a number of seconds.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        latency_seconds: float | Literal["realistic"] = 0.0,
        answer: Answer | None = None,
    ) -> None:
        is_time = isinstance(latency_seconds, int | float) and 0 <= latency_seconds < float("inf")
        if latency_seconds != "realistic" and not is_time:
            raise ValueError(f"latency_seconds is 'realistic' or a number from 0 up, not {latency_seconds!r}")
        self._port = port
        self._latency_seconds = latency_seconds
        self._answer = answer
        self._lock = threading.Lock()
        self._requests: list[ReceivedRequest] = []
        self._failures: deque[Reply] = deque()
        self._closing = threading.Event()
        self._server: LoopbackServer | None = None
        self._base_url: str | None = None

    def __enter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("the stand-in provider is already running")
        self._closing.clear()
        self._server = LoopbackServer(self._port, self._respond)
        self._base_url = f"{self._server.base_url}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._closing.set()
            self._server.close()
            self._server = None

    @property
    def base_url(self) -> str:
        """The address to give to a client, ending in ``/v1``; still known after the stand-in has stopped.

        Raises:
            RuntimeError: The stand-in has never run.
        """
        if self._base_url is None:
            raise RuntimeError("the stand-in provider has no address before it runs: enter it with 'with'")
        return self._base_url

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Every request that arrived so far, in their order, whatever became of it."""
        with self._lock:
            return tuple(self._requests)

    @property
    def calls(self) -> int:
        """How many requests arrived so far; a client's retries count."""
        with self._lock:
            return len(self._requests)

    def fail_next(self, status: int, body: dict[str, Any] | str | None = None, times: int = 1) -> None:
        """Make the next requests fail; what is asked for several times happens in that order.

        Args:
            status: The HTTP status, from 400 up.
            body: What the failure says: JSON, or a text such as a proxy would send; None for an error in the
                service's form.
            times: How many requests fail so.

        Raises:
            ValueError: The status is no error, or ``times`` is not positive.
        """
        if status < _FIRST_ERROR_STATUS or times < 1:
            raise ValueError(
                f"a failure has a status from 400 up and happens once or more: {status}, {times}"
            )
        if body is None:
            message = f"The stand-in was told to answer {status}."
            body = {"error": {"message": message, "type": "stand_in", "param": None, "code": None}}
        with self._lock:
            self._failures.extend([Reply(status, body)] * times)

    def _respond(self, request: HttpRequest) -> Reply | None:
        with self._lock:
            self._requests.append(ReceivedRequest(request.path, _readable(request.body)))
            failure = self._failures.popleft() if self._failures else None
        if self._closing.wait(self._delay(request)):
            return None
        if failure is not None:
            return failure
        try:
            return answer_request(request, self._answer)
        except Exception as error:  # noqa: BLE001 - the client is told, and shows it
            fault = {"message": f"The stand-in failed: {type(error).__name__}: {error}", "type": "stand_in"}
            return Reply(500, {"error": fault}, {"x-should-retry": "false"})

    def _delay(self, request: HttpRequest) -> float:
        if self._latency_seconds == "realistic":
            return realistic_latency(len(request.body))
        return self._latency_seconds


def realistic_latency(length: int) -> float:
    """The seconds that a request of so many bytes is held back: between 0.3 and 1.2."""
    return min(0.3 + 0.002 * length, 1.2)


def _readable(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
