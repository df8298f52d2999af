"""An HTTP server on a loopback port with one thread per connection; closing it drops open connections."""

from __future__ import annotations

import json
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HttpRequest", "LoopbackServer", "Reply", "Respond", "Stream"]

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.02
_EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A received request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream in the framing of its protocol; each piece is sent unchanged."""

    content_type: str
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: JSON, plain text, a stream of JSON events, or a stream in another framing."""

    status: int
    content: dict[str, Any] | str | Iterator[dict[str, Any]] | Stream
    headers: Mapping[str, str] = field(default_factory=dict)


Respond = Callable[[HttpRequest], "Reply | None"]
"""A function that answers a request, or returns None to drop the connection; it is called from several threads at once."""


class LoopbackServer(ThreadingHTTPServer):
    """A server that answers requests with one function, on a loopback port, until it is closed."""

    request_queue_size = 256
    daemon_threads = False

    def __init__(self, port: int, respond: Respond) -> None:
        self.respond = respond
        self._connections: set[Any] = set()
        super().__init__((_HOST, port), _Handler)
        self._loop = threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="stand-in provider"
        )
        self._loop.start()

    def server_bind(self) -> None:
        """Bind the socket without a DNS lookup of the host name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, self.server_address[1]

    @property
    def base_url(self) -> str:
        """The URL of the server, without a path."""
        return f"http://{_HOST}:{self.server_port}"

    def close(self) -> None:
        """Stop listening, drop all connections, and wait for all threads to end."""
        self.shutdown()
        self._loop.join()
        for connection in list(self._connections):
            _drop(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Register the connection, so that :meth:`close` can drop it.

        Args:
            request: The socket of the connection.
            client_address: The address of the client.
        """
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Unregister the connection and shut it down.

        Args:
            request: The socket of the connection.
        """
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an exception in a connection's thread, except when the client closed the connection.

        Args:
            request: The socket of the connection.
            client_address: The address of the client.
        """
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client has already closed it


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "spark-cache-stand-in"
    sys_version = ""
    disable_nagle_algorithm = True  # otherwise small writes wait for the client's delayed acknowledgement
    wbufsize = -1
    server: LoopbackServer

    def _exchange(self) -> None:
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = HttpRequest(self.command, urlsplit(self.path).path, headers, self.rfile.read(int(length)))
        reply = self.server.respond(request)
        if reply is None:
            self.close_connection = True
        elif isinstance(reply.content, Iterator):
            self._send_stream(reply, Stream(_EVENT_STREAM, _framed(reply.content)))
        elif isinstance(reply.content, Stream):
            self._send_stream(reply, reply.content)
        else:
            self._send_whole(reply, reply.content)

    do_GET = do_POST = do_DELETE = _exchange  # noqa: N815 - http.server requires these names

    def _send_whole(self, reply: Reply, content: dict[str, Any] | str) -> None:
        if isinstance(content, str):
            content_type, payload = "text/plain; charset=utf-8", content.encode()
        else:
            content_type, payload = "application/json", json.dumps(content).encode()
        self._send_head(reply, content_type)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _send_stream(self, reply: Reply, stream: Stream) -> None:
        self._send_head(reply, stream.content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in stream.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, reply: Reply, content_type: str) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Do nothing: the provider records requests itself."""


def _framed(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for event in events:
        yield f"data: {json.dumps(event)}\n\n".encode()
    yield b"data: [DONE]\n\n"
