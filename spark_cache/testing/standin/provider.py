"""The stand-in provider: starts and stops the server, records requests and injects failures."""

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
    """A received request: its path, and its body as parsed JSON, or as text if it is not JSON."""

    path: str
    body: Any


class StandInProvider:
    """A local stand-in for a model provider, served over HTTP on the loopback interface.

    It implements the interfaces of OpenAI, Anthropic, Gemini and Bedrock. Responses are deterministic, start with ``[stand-in]``
    and differ whenever the requests differ. An API key is required, and any key is accepted. Use it as a context manager::

        with StandInProvider() as provider:
            client = openai.OpenAI(base_url=provider.base_url, api_key="any")

    Tokens are counted by a simple rule: one for every four characters of text, and four for each message of a prompt.

    Args:
        port: The port to listen on; 0 selects a free port.
        latency_seconds: The delay before each response. ``"realistic"`` is 0.3 s plus 2 ms for each byte of the request, and at
            most 1.2 s.
        answer: A function that scripts the responses. It takes the body of the request and returns the text, or a whole message
            (``content``, ``tool_calls``, ``refusal``, ``finish_reason``). It is called once for each choice, and from several
            threads at the same time.

    Raises:
        ValueError: ``latency_seconds`` is neither ``"realistic"`` nor a number of seconds.
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
            raise ValueError(
                f"latency_seconds must be 'realistic' or a number of at least 0, not {latency_seconds!r}"
            )
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
        """The base URL for clients, ending in ``/v1``; it stays available after the stand-in has stopped.

        Raises:
            RuntimeError: The stand-in has never been started.
        """
        if self._base_url is None:
            raise RuntimeError(
                "the stand-in provider has no address before it starts: use it in a 'with' statement"
            )
        return self._base_url

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All requests received so far, in order, whether they succeeded or failed."""
        with self._lock:
            return tuple(self._requests)

    @property
    def calls(self) -> int:
        """The number of requests received so far, including retries."""
        with self._lock:
            return len(self._requests)

    def fail_next(self, status: int, body: dict[str, Any] | str | None = None, times: int = 1) -> None:
        """Make the next requests fail; the failures of several calls happen in the order of the calls.

        Args:
            status: The HTTP status, at least 400.
            body: The body of the error response: JSON, or a string such as a proxy would send; None for an error in OpenAI's
                format.
            times: The number of requests that fail.

        Raises:
            ValueError: ``status`` is not an error status, or ``times`` is less than 1.
        """
        if status < _FIRST_ERROR_STATUS or times < 1:
            raise ValueError(f"status must be at least 400 and times at least 1, not {status} and {times}")
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
        except Exception as error:  # noqa: BLE001 - the client receives the error and shows it
            fault = {"message": f"The stand-in failed: {type(error).__name__}: {error}", "type": "stand_in"}
            return Reply(500, {"error": fault}, {"x-should-retry": "false"})

    def _delay(self, request: HttpRequest) -> float:
        if self._latency_seconds == "realistic":
            return realistic_latency(len(request.body))
        return self._latency_seconds


def realistic_latency(length: int) -> float:
    """Return the delay of a response in seconds, between 0.3 and 1.2.

    Args:
        length: The length of the request, in bytes.
    """
    return min(0.3 + 0.002 * length, 1.2)


def _readable(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
