"""Server-sent events, the form in which providers stream: read as they arrive, and written for a replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EventForm", "EventParser", "dumped"]

_KEEP_ALIVE = "ping"
"""The type of events that only keep a connection open. The SDKs drop them."""


_LAST = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
"""The types of events that end a stream."""


def dumped(value: Any) -> bytes:
    """Return JSON values as providers send them.

    Args:
        value: The values.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half a character where a response was truncated, or a number of more than 64 bits.
        return json.dumps(value, separators=(",", ":")).encode()


class EventForm(NamedTuple):
    """How a provider writes events.

    Attributes:
        is_named: Whether each event has the line ``event:`` with its type.
        last: What follows the last event.
        newline: What ends a line.
    """

    is_named: bool = False
    last: bytes = b""
    newline: bytes = b"\n"

    @property
    def content_type(self) -> bytes:
        """The content type of a stream."""
        return b"text/event-stream; charset=utf-8"

    def written(self, event: Any) -> bytes:
        """Return an event as it goes over the wire.

        Args:
            event: The event as JSON values.
        """
        data = b"data: " + dumped(event) + 2 * self.newline
        if not self.is_named:
            return data
        return b"event: " + str(event.get("type", "")).encode() + self.newline + data


class EventParser:
    """Reads the events of a stream from pieces of any size.

    Attributes:
        has_ended: Whether the last event has arrived, if the provider marks it.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Yield the events that are complete with one more piece, as JSON values.

        Args:
            piece: The bytes. Empty at the end of the stream, whose last event may lack the blank line after it.

        Raises:
            ValueError: An event is not JSON.
        """
        *lines, self._rest = (self._rest + (piece or b"\n\n")).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")  # noqa: PLW2901 - the same line without its ending
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                data, self._data = b"\n".join(self._data), []
                if data == b"[DONE]":
                    self.has_ended = True
                    continue
                event = _parsed(data)
                kind = event.get("type") if isinstance(event, dict) else None
                self.has_ended = self.has_ended or kind in _LAST
                if kind != _KEEP_ALIVE:
                    yield event


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        # NaN, or half a character where a response was truncated.
        return json.loads(data)
