"""Calls of boto3's, which block, from an event loop: in threads of their own, and with what came over the wire."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["EventReader", "Threads", "keep_wire", "wire_of"]

T = TypeVar("T")

_WIRE = "spark_cache"
"""Where in a response of the SDK its body is kept: under a name that the service does not use."""

_LENGTH_BYTES = 4
_SHORTEST_FRAME = 16
_FIRST_ERROR = 300


class Threads:
    """Threads for calls that block, at most so many, started when they are needed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in a thread. Whoever is cancelled meanwhile leaves it to end by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._running(), function, *arguments)

    def close(self) -> None:
        """Let the threads end as soon as they have nothing to do; further calls start new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def _running(self) -> ThreadPoolExecutor:
        with self._lock:
            # A forked child has the pool and none of its threads.
            if self._pool is None or self._process != os.getpid():
                self._process = os.getpid()
                self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="spark-cache-bedrock")
            return self._pool


# -- what came over the wire --------------------------------------------------------------------------------------------------------


def keep_wire(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_beside: object
) -> None:
    """Keep an answer as it was sent: what the SDK makes of it lacks every field that the SDK does not know.

    A handler of the SDK's event ``before-parse``. Errors are left as they are.
    """
    if response_dict["status_code"] >= _FIRST_ERROR:
        return
    if hasattr(response_dict["body"], "stream"):
        response_dict["body"] = _Wire(response_dict["body"])
    customized_response_dict[_WIRE] = response_dict["body"]


def wire_of(response: dict[str, Any]) -> Any:
    """The JSON of an answer that :func:`keep_wire` kept."""
    return json.loads(response[_WIRE])


class _Wire:
    """Stands between a connection and the SDK that reads events from it, and hears what passes."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.heard: deque[dict[str, Any]] = deque()

    def stream(self) -> Iterator[bytes]:
        """What arrives, a whole frame at a time."""
        from botocore.eventstream import (  # type: ignore[import-untyped]  # boto3 ships no types  # noqa: PLC0415 - a hit needs no SDK
            EventStreamBuffer,
        )

        decoder = EventStreamBuffer()
        for frame in _frames(self._body.stream()):
            decoder.add_data(frame)
            for message in decoder:
                if message.headers.get(":message-type") == "event":
                    self.heard.append({message.headers[":event-type"]: json.loads(message.payload or b"{}")})
            yield frame

    def close(self) -> None:
        """Close the connection."""
        self._body.close()

    def wake(self) -> None:
        """End a read that waits in another thread, where the HTTP library can."""
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            self._body.shutdown()


def _frames(pieces: Iterator[bytes]) -> Iterator[bytes]:
    data = b""
    for piece in pieces:
        data += piece
        while len(data) >= _LENGTH_BYTES:
            length = int.from_bytes(data[:_LENGTH_BYTES], "big")
            if length < _SHORTEST_FRAME:
                # No frame at all: the SDK says so.
                yield data
                return
            if len(data) < length:
                break
            yield data[:length]
            data = data[length:]


class EventReader:
    """Reads the events of a stream in whichever thread; closed by anybody, at any time, it leaves no connection open.

    Args:
        start: Makes the call; its response has the SDK's events under ``stream``.
    """

    def __init__(self, start: Callable[[], dict[str, Any]]) -> None:
        self._start = start
        self._lock = Lock()
        self._reading = False
        self._closed = Event()
        self._wire: _Wire | None = None
        self._parsed: Iterator[Any] = iter(())

    def read(self) -> dict[str, Any] | None:
        """Wait for the next event, as it was sent; None after the last.

        Raises:
            botocore.exceptions.ClientError: What the service sent instead of an event, as the SDK raises it.
        """
        with self._lock:
            if self._closed.is_set():
                return None
            self._reading = True
        try:
            if self._wire is None:
                response = self._start()
                self._parsed = iter(response["stream"])
                self._wire = response[_WIRE]
            return self._next(self._wire)
        finally:
            with self._lock:
                self._reading = False
                abandoned = self._closed.is_set()
            if abandoned and self._wire is not None:
                self._wire.close()

    def _next(self, wire: _Wire) -> dict[str, Any] | None:
        # The SDK passes over events that it does not know: they are heard all the same.
        while not wire.heard:
            if next(self._parsed, None) is None and not wire.heard:
                return None
        return wire.heard.popleft()

    def close(self) -> None:
        """Close the connection, or have the thread that reads from it close it."""
        with self._lock:
            self._closed.set()
            reading = self._reading
        if self._wire is None:
            return
        if reading:
            self._wire.wake()
        else:
            self._wire.close()
