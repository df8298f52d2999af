"""What the tests of clients share: clients of the official SDKs, and a server whose every byte is scripted."""

from __future__ import annotations

import inspect
import socket
import threading
from contextlib import suppress
from typing import Any

import anthropic
import openai
from google import genai

QUESTION = [{"role": "user", "content": "What is Python?"}]

SDKS = ("openai", "responses", "anthropic", "gemini")


def client_of(sdk: str, base_url: str, *, is_async: bool = False, retries: int = 0, **options: Any) -> Any:
    """Return a client of an SDK for a server; ``base_url`` ends in ``/v1``."""
    if sdk == "gemini":
        http = {"base_url": base_url.removesuffix("/v1"), **options}
        return genai.Client(api_key="test", http_options=genai.types.HttpOptions(**http))
    if sdk == "anthropic":
        kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
        base_url = base_url.removesuffix("/v1")
    else:
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
    return kind(base_url=base_url, api_key="test", max_retries=retries, **options)


def start(
    sdk: str, client: Any, text: str = "What is Python?", *, stream: bool = False, **options: Any
) -> Any:
    """Ask a question. Asynchronous clients return an awaitable; those of Gemini are given as ``client.aio``."""
    messages = [{"role": "user", "content": text}]
    if sdk == "gemini":
        call = client.models.generate_content_stream if stream else client.models.generate_content
        config = {"http_options": {"headers": options.pop("extra_headers", None)}, **options}
        return call(model="gemini-2.5-flash", contents=text, config=config)
    if stream:
        options["stream"] = True
    if sdk == "anthropic":
        return client.messages.create(model="claude", max_tokens=100, messages=messages, **options)
    if sdk == "responses":
        return client.responses.create(model="gpt-4o", input=text, **options)
    return client.chat.completions.create(model="gpt-4o", messages=messages, **options)


async def got(result: Any) -> Any:
    """Return a result, whether the client is asynchronous or not."""
    return await result if inspect.isawaitable(result) else result


async def ask(sdk: str, client: Any, *arguments: Any, stream: bool = False, **options: Any) -> Any:
    """Ask a question and return the answer, or all items of the stream."""
    client = client.aio if sdk == "gemini" and options.pop("is_async", False) else client
    options.pop("is_async", None)
    answer = await got(start(sdk, client, *arguments, stream=stream, **options))
    return await items(answer) if stream else answer


async def items(stream: Any) -> list[Any]:
    """Return the items of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        return [item async for item in stream]
    return list(stream)


async def close(client: Any) -> None:
    """Close a client of either kind."""
    await got(client.close())
    if hasattr(client, "aio"):
        await client.aio.aclose()


def told(value: Any) -> Any:
    """Return what an object of an SDK says, as JSON values. What HTTP says beside it is left out."""
    if isinstance(value, list):
        return [told(item) for item in value]
    if not hasattr(value, "model_dump"):
        return value
    said = value.model_dump(mode="json", exclude_unset=True, warnings=False)
    said.pop("sdk_http_response", None)
    return [type(value).__name__, said]


def chunk(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk of a chat stream."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def head(
    length: int | None = None, *more: str, status: str = "200 OK", kind: str = "application/json"
) -> bytes:
    """Return the head of a response. Without a length the body ends with the connection."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", "connection: close", *more]
    if length is not None:
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def whole(body: bytes, *more: str, status: str = "200 OK") -> list[Any]:
    """Return the script of a whole response."""
    return [head(len(body), *more, status=status) + body]


STREAM_HEAD = head(kind="text/event-stream")


class Server:
    """A server on loopback that sends what a script says, one script for each request; the last one is repeated.

    A script is a list of bytes to send and of events to wait for. At its end the connection is closed, or reset after None.
    """

    def __init__(self, *scripts: list[Any]) -> None:
        self.requests: list[bytes] = []
        self._scripts = list(scripts)
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open = threading.Event()
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536) or _closed()
            top, _, body = received.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in top.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            while len(body) < length:
                body += connection.recv(65536) or _closed()
            with self._lock:
                self.requests.append(top + b"\r\n\r\n" + body)
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            for step in script:
                if isinstance(step, threading.Event):
                    step.wait(20)
                elif step is None:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                else:
                    connection.sendall(step)


def _closed() -> bytes:
    raise ConnectionAbortedError
