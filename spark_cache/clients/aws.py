"""boto3's calls of Bedrock through the cache, at the place where botocore sends them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spark_cache.calls.handled import is_handled
from spark_cache.calls.threads import CallerThread
from spark_cache.clients.call_options import HEADER, options_of
from spark_cache.clients.exchange import Pending
from spark_cache.clients.http import Arriving
from spark_cache.clients.recognise import may_recognise, recognise

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from spark_cache.clients.exchange import Exchange
    from spark_cache.clients.http import Headers, Reply

__all__ = ["handle_aws", "let_through"]

_MARK = "spark_cache_handled"
_OPERATIONS = ("Converse", "ConverseStream")


def let_through(client: Any, exchange: Exchange) -> None:
    """Let the calls of a client of boto3 go through the cache. A client has one cache: the last one.

    Args:
        client: A client of ``bedrock-runtime``.
        exchange: Answers the requests.
    """

    def before_send(request: Any, **_: object) -> Any:
        # The SDK has no public name for what sends.
        send = client._endpoint.http_session.send  # noqa: SLF001 - see above
        return handle_aws(exchange, request, send)

    for operation in _OPERATIONS:
        event, name = f"before-send.bedrock-runtime.{operation}", f"spark-cache-{operation}"
        client.meta.events.unregister(event, unique_id=name)
        client.meta.events.register_first(event, before_send, unique_id=name)


def handle_aws(exchange: Exchange, request: Any, send: Callable[[Any], Any]) -> Any | None:
    """Answer a request of botocore from the cache, or send it; None if the cache has nothing to do with it.

    Args:
        exchange: Answers the requests of the client.
        request: The request of botocore.
        send: Sends it.
    """
    if (
        exchange.is_off
        or is_handled()
        or hasattr(request, _MARK)
        or not may_recognise(request.method, urlsplit(request.url).path)
    ):
        return None
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    options = options_of(headers)
    for name in [name for name in headers if name.startswith(HEADER)]:
        del request.headers[name]
        del headers[name]
    body = request.body.encode() if isinstance(request.body, str) else request.body
    recognised = recognise(request.method, request.url, headers, body) if isinstance(body, bytes) else None
    found = None if recognised is None else exchange.look_up(recognised, options)
    if found is None:
        return None
    setattr(request, _MARK, True)
    thread = CallerThread()
    if isinstance(found, Pending):

        async def get() -> _Upstream:
            return _Upstream(await thread.do(lambda: send(request)), thread)

        try:
            found = thread.run(found.fetch(get))
        except BaseException:
            thread.leave()
            raise
    return _response(request.url, found, thread)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class _Upstream:
    """The response of botocore, read in the thread of the caller."""

    is_genuine = True
    is_paced = True

    def __init__(self, response: Any, thread: CallerThread) -> None:
        self._response = response
        self._thread = thread
        self.status: int = response.status_code
        self.headers: Headers = [
            (name.encode(), _text(value).encode()) for name, value in response.headers.items()
        ]
        self.extensions: Mapping[str, Any] = {}

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        if self._response._content is not None:  # noqa: SLF001 - it is read already, unless it is a stream
            yield self._response.content
            return
        raw = self._response.raw
        async with aclosing(self._thread.each(raw.stream(), raw.close)) as pieces:
            async for piece in pieces:
                yield piece

    def leave(self) -> None:
        self.is_paced = False
        self._thread.leave()

    def decoded(self, content: bytes) -> bytes:
        return content


def _response(url: str, reply: Reply, thread: CallerThread) -> Any:
    from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]  # boto3 ships no types  # noqa: PLC0415 - the caller has imported it

    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return AWSResponse(url, reply.status, headers, _Body(reply.body, thread))


class _Body:
    """A body as urllib3 gives it to botocore."""

    def __init__(self, body: bytes | list[bytes] | Arriving, thread: CallerThread) -> None:
        self._body = body
        self._thread = thread

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        if isinstance(self._body, Arriving):
            while (piece := self._thread.run(self._body.get())) is not None:
                yield piece
        else:
            yield from [self._body] if isinstance(self._body, bytes) else self._body

    def close(self) -> None:
        """Stop reading."""
        if isinstance(self._body, Arriving) and not self._body.is_over:
            self._thread.leave()
            self._thread.run(self._body.end())
