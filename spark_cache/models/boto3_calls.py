"""Blocking boto3 calls from an event loop: they run in threads, and the JSON that the service sent is kept."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EventReader", "Threads", "keep_wire", "wire_of"]

T = TypeVar("T")

_BODY_KEY = "spark_cache"
"""The field of an SDK response that holds the original body. The service does not use this name."""

_LENGTH_BYTES = 4
_SHORTEST_FRAME = 16
_FIRST_ERROR_STATUS = 300


class Threads:
    """A limited number of threads for blocking calls, started on demand."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __getstate__(self) -> int:
        return self._maximum

    def __setstate__(self, maximum: int) -> None:
        Threads.__init__(self, maximum)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in a thread. If the caller is cancelled, the function still runs to its end.

        Args:
            function: The function.
            *arguments: Its arguments.
        """
        # The thread sees the context variables of the caller.
        run = partial(copy_context().run, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor(), run)

    def close(self) -> None:
        """End the threads as soon as they are idle. Later calls start new threads."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            # A forked child inherits the pool but none of its threads.
            if self._pool is None or self._process != os.getpid():
                self._process = os.getpid()
                self._pool = ThreadPoolExecutor(self._maximum, thread_name_prefix="spark-cache-bedrock")
            return self._pool


# -- original bodies ----------------------------------------------------------------------------------------


def keep_wire(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_others: object
) -> None:
    """Keep the original body of a response. The SDK's version lacks every field that the SDK does not know.

    A handler of the SDK's event ``before-parse``. Error responses are left unchanged.

    Args:
        response_dict: The SDK's dictionary of the HTTP response. The body of a stream is replaced by one that records events.
        customized_response_dict: The SDK's dictionary of additional response fields, which receives the body.
        **_others: The other arguments of the event.
    """
    if response_dict["status_code"] >= _FIRST_ERROR_STATUS:
        return
    if hasattr(response_dict["body"], "stream"):
        response_dict["body"] = _RecordingBody(response_dict["body"])
    customized_response_dict[_BODY_KEY] = response_dict["body"]


def wire_of(response: dict[str, Any]) -> Any:
    """Return the JSON of a response that :func:`keep_wire` kept.

    Args:
        response: The SDK's response.
    """
    return json.loads(response[_BODY_KEY])


class _RecordingBody:
    """The body of a stream, which the SDK reads. It records the original events."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.events: deque[dict[str, Any]] = deque()

    def stream(self) -> Iterator[bytes]:
        """Yield the data that arrives, a whole frame at a time."""
        from botocore.eventstream import (  # type: ignore[import-untyped]  # boto3 ships no types  # noqa: PLC0415 - a hit needs no SDK
            EventStreamBuffer,
        )

        decoder = EventStreamBuffer()
        for frame in _frames(self._body.stream()):
            decoder.add_data(frame)
            for message in decoder:
                if message.headers.get(":message-type") == "event":
                    payload = json.loads(message.payload or b"{}")
                    self.events.append({message.headers[":event-type"]: payload})
            yield frame

    def close(self) -> None:
        """Close the connection."""
        self._body.close()

    def wake(self) -> None:
        """End a read that waits in another thread, if the HTTP library supports it."""
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            self._body.shutdown()


def _frames(pieces: Iterator[bytes]) -> Iterator[bytes]:
    data = b""
    for piece in pieces:
        data += piece
        while len(data) >= _LENGTH_BYTES:
            length = int.from_bytes(data[:_LENGTH_BYTES], "big")
            if length < _SHORTEST_FRAME:
                # Not a frame. The SDK raises the error.
                yield data
                return
            if len(data) < length:
                break
            yield data[:length]
            data = data[length:]


class EventReader:
    """Reads the events of a stream in any thread. Closing it, from any thread and at any time, leaves no connection open.

    Args:
        start: Makes the call. Its response has the SDK's events in ``stream``.
    """

    def __init__(self, start: Callable[[], dict[str, Any]]) -> None:
        self._start = start
        self._lock = Lock()
        self._reading = False
        self._closed = Event()
        self._body: _RecordingBody | None = None
        self._parsed_events: Iterator[Any] = iter(())

    def read(self) -> dict[str, Any] | None:
        """Wait for the next event and return it as it was sent; None after the last.

        Raises:
            botocore.exceptions.ClientError: The service sent an error instead of an event. The SDK raises it.
        """
        with self._lock:
            if self._closed.is_set():
                return None
            self._reading = True
        try:
            if self._body is None:
                response = self._start()
                self._parsed_events = iter(response["stream"])
                self._body = response[_BODY_KEY]
            return self._next(self._body)
        finally:
            with self._lock:
                self._reading = False
                abandoned = self._closed.is_set()
            if abandoned and self._body is not None:
                self._body.close()

    def _next(self, body: _RecordingBody) -> dict[str, Any] | None:
        # The SDK skips events that it does not know, but they are recorded.
        while not body.events:
            if next(self._parsed_events, None) is None and not body.events:
                return None
        return body.events.popleft()

    def close(self) -> None:
        """Close the connection. If a thread is reading from it, that thread closes it."""
        with self._lock:
            self._closed.set()
            reading = self._reading
        if self._body is None:
            return
        if reading:
            self._body.wake()
        else:
            self._body.close()
