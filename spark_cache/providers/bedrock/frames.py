"""The AWS event stream encoding, in which Bedrock streams: lengths, checksum, headers, payload, checksum. Pure functions."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FrameReader", "event_frame"]

_TEXT_HEADER = 7
"""The type of a header whose value is a string."""

_LAST = "metadata"
"""The type of the event that ends a stream."""

_PRELUDE = struct.Struct("!III")
_CHECKSUM_BYTES = 4
_SHORTEST = _PRELUDE.size + _CHECKSUM_BYTES


def event_frame(kind: str, payload: Any, *, is_error: bool = False) -> bytes:
    """Encode one event.

    Args:
        kind: The type of the event, or of the exception sent in place of an event.
        payload: The content of the event, as JSON values.
        is_error: Whether the event is an exception.
    """
    message_type = "exception" if is_error else "event"
    named = {
        f":{message_type}-type": kind,
        ":content-type": "application/json",
        ":message-type": message_type,
    }
    headers = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", _TEXT_HEADER, len(text))
        + text.encode()
        for name, text in named.items()
    )
    data = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(data) + _SHORTEST, len(headers))
    begun = prelude + struct.pack("!I", crc32(prelude)) + headers + data
    return begun + struct.pack("!I", crc32(begun))


class FrameReader:
    """Reads the events of a stream from pieces of any size.

    Attributes:
        has_ended: Whether the last event has arrived.
    """

    def __init__(self) -> None:
        self.has_ended = False
        self._data = b""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Yield the events that are complete with one more piece, each as a dictionary of its type and its content.

        Args:
            piece: The bytes.

        Raises:
            ValueError: The bytes are not an event stream, or an exception takes the place of an event.
        """
        self._data += piece
        while len(self._data) >= _PRELUDE.size:
            length, headers_length, checksum = _PRELUDE.unpack_from(self._data)
            if checksum != crc32(self._data[:8]) or not _SHORTEST + headers_length <= length:
                raise ValueError("the frame is damaged")
            if len(self._data) < length:
                return
            frame, self._data = self._data[:length], self._data[length:]
            headers = _headers(frame[_PRELUDE.size : _PRELUDE.size + headers_length])
            if headers.get(":message-type") != "event":
                raise ValueError("the frame is not an event")
            payload = frame[_PRELUDE.size + headers_length : -_CHECKSUM_BYTES]
            kind = headers.get(":event-type", "")
            self.has_ended = self.has_ended or kind == _LAST
            yield {kind: json.loads(payload or b"{}")}


def _headers(data: bytes) -> dict[str, str]:
    """Read the headers of a frame, all of which Bedrock sends as strings."""
    headers = {}
    at = 0
    while at < len(data):
        name_length = data[at]
        name = data[at + 1 : at + 1 + name_length].decode()
        at += 1 + name_length
        kind, length = struct.unpack_from("!BH", data, at)
        if kind != _TEXT_HEADER:
            raise ValueError("a header is not a string")
        headers[name] = data[at + 3 : at + 3 + length].decode()
        at += 3 + length
    return headers
