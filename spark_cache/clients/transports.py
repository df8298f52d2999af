"""Transports for httpx and httpx2, asynchronous and synchronous, which answer from the cache what it can answer."""

from __future__ import annotations

import asyncio
import copy
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spark_cache.calls.handled import is_handled
from spark_cache.calls.threads import CallerThread
from spark_cache.clients.bodies import body_for
from spark_cache.clients.call_options import HEADER, options_of
from spark_cache.clients.errors import for_client
from spark_cache.clients.exchange import Pending
from spark_cache.clients.http import WaitedTooLongError
from spark_cache.clients.recognise import may_recognise, recognise
from spark_cache.errors import CacheMissError
from spark_cache.types import Mode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from spark_cache.clients.exchange import Exchange
    from spark_cache.clients.http import Reply

__all__ = ["handle_async", "handle_sync"]

_MARK = "spark_cache"
"""The extension of a request that a layer above has handled."""

_HEADER = HEADER.encode()


async def handle_async(
    exchange: Exchange, request: Any, send: Callable[[Any], Awaitable[Any]], *, only_genuine: bool
) -> Any:
    """Answer a request of an asynchronous client from the cache, or send it.

    Args:
        exchange: Answers the requests of the client.
        request: The request of the HTTP library.
        send: Sends it.
        only_genuine: Whether only responses from the network are stored.
    """
    request, found = _look_up(exchange, request, only_genuine=only_genuine)
    if found is None or (isinstance(found, Pending) and not _in_asyncio()):
        return await send(request)
    library = _library_of(request)
    if isinstance(found, Pending):

        async def get() -> _Upstream:
            return _Upstream(library, await send(request), only_genuine=only_genuine)

        try:
            found = await found.fetch(get, _patience_seconds(request))
        except WaitedTooLongError:
            raise _timeout(library, request) from None
    return _response(library, found, None)


def handle_sync(exchange: Exchange, request: Any, send: Callable[[Any], Any], *, only_genuine: bool) -> Any:
    """Answer a request of a synchronous client from the cache, or send it; arguments as for :func:`handle_async`.

    Args:
        exchange: Answers the requests of the client.
        request: The request of the HTTP library.
        send: Sends it.
        only_genuine: Whether only responses from the network are stored.
    """
    request, found = _look_up(exchange, request, only_genuine=only_genuine)
    if found is None:
        return send(request)
    library, thread = _library_of(request), CallerThread()
    if isinstance(found, Pending):

        async def get() -> _SyncUpstream:
            response = await thread.do(lambda: send(request))
            return _SyncUpstream(library, response, thread, only_genuine=only_genuine)

        try:
            found = thread.run(found.fetch(get, _patience_seconds(request)))
        except WaitedTooLongError:
            raise _timeout(library, request) from None
        except BaseException:
            thread.leave()
            raise
    return _response(library, found, thread)


def _in_asyncio() -> bool:
    """Return whether asyncio runs this code, and not another event loop such as trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _look_up(exchange: Exchange, request: Any, *, only_genuine: bool) -> tuple[Any, Reply | Pending | None]:
    """Return the request as it is sent, and what the cache has for it; None if it has nothing to do with it."""
    names = [name for name, _ in request.headers.raw if name[: len(_HEADER)].lower() == _HEADER]
    asked = {name.decode().lower(): request.headers[name.decode()] for name in names}
    if asked:
        request = _copy(request)
        for name in asked:
            del request.headers[name]
    if is_handled() or _MARK in request.extensions or not may_recognise(request.method, request.url.path):
        return request, None
    try:
        options = options_of(asked)
    except ValueError as error:
        provider = "anthropic" if request.url.path.endswith("/v1/messages") else ""
        raise for_client(error, provider) from None
    if exchange.is_off and options.mode is not Mode.REPLAY:
        # A client that was told to pass the cache passes that of the process too.
        return (request if only_genuine else _marked(request)), None
    try:
        content = request.content
    except Exception:  # noqa: BLE001 - the body is a stream, which can be read only once
        return request, None
    headers = {name.lower(): value for name, value in request.headers.items()}
    recognised = recognise(request.method, str(request.url), headers, content)
    if recognised is None:
        return request, None
    try:
        return _marked(request), exchange.look_up(recognised, options)
    except CacheMissError as error:
        raise for_client(error, error.provider) from None


def _marked(request: Any) -> Any:
    """Return a copy of a request that every transport below passes untouched. The client may send the request again."""
    made = _copy(request)
    made.extensions = {**request.extensions, _MARK: True}
    return made


def _copy(request: Any) -> Any:
    made = copy.copy(request)
    # The HTTP library leaves out these.
    made.stream, made.extensions = request.stream, request.extensions
    made.headers = request.headers.copy()
    return made


def _patience_seconds(request: Any) -> float | None:
    """Return how long the client of a request waits for the provider."""
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds


def _timeout(library: Any, request: Any) -> Exception:
    error: Exception = library.ReadTimeout("timed out waiting for an equal call", request=request)
    return error


def _library_of(value: Any) -> Any:
    """Return the HTTP library whose class an object has, which may be derived."""
    libraries = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return import_module(next(name for name in libraries if name in ("httpx", "httpx2")))


class _Upstream:
    """The response of an asynchronous transport."""

    is_paced = False

    def __init__(self, library: Any, response: Any, *, only_genuine: bool) -> None:
        self._library = library
        self._response = response
        self.status: int = response.status_code
        self.headers = list(response.headers.raw)
        self.extensions = response.extensions
        self.is_genuine = not only_genuine or "network_stream" in response.extensions

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in self._response.stream:
                yield piece
        finally:
            await self._response.stream.aclose()

    def leave(self) -> None:
        self.is_paced = False

    def decoded(self, content: bytes) -> bytes:
        decoded: bytes = self._library.Response(self.status, headers=self.headers, content=content).content
        return decoded


class _SyncUpstream(_Upstream):
    """The response of a synchronous transport, read in the thread of the caller."""

    is_paced = True

    def __init__(self, library: Any, response: Any, thread: CallerThread, *, only_genuine: bool) -> None:
        super().__init__(library, response, only_genuine=only_genuine)
        self._thread = thread

    def leave(self) -> None:
        super().leave()
        self._thread.leave()

    def pieces(self) -> AsyncGenerator[bytes, None]:
        return self._thread.each(self._response.stream, self._response.stream.close)


def _response(library: Any, reply: Reply, thread: CallerThread | None) -> Any:
    """Return a reply as a response of the HTTP library."""
    stream = body_for(library, reply.body, thread)
    return library.Response(
        reply.status, headers=reply.headers, stream=stream, extensions={**reply.extensions, _MARK: True}
    )


def cached_transport(client: Any, inner: Any, exchange: Exchange) -> Any:
    """Return a transport that answers from the cache and sends the rest with another one, which it does not close.

    Args:
        client: The client of httpx or httpx2 that sends.
        inner: Its transport.
        exchange: Answers the requests.
    """
    library = _library_of(client)
    asynchronous, synchronous = _transports(library)
    return (asynchronous if isinstance(client, library.AsyncClient) else synchronous)(inner, exchange)


@cache
def _transports(library: Any) -> tuple[Any, Any]:
    """Return the asynchronous and the synchronous class of transports."""

    class AsyncCachedTransport(library.AsyncBaseTransport):  # type: ignore[misc]  # either library
        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self._inner = inner
            self._exchange = exchange

        async def handle_async_request(self, request: Any) -> Any:
            send = self._inner.handle_async_request
            return await handle_async(self._exchange, request, send, only_genuine=False)

    class CachedTransport(library.BaseTransport):  # type: ignore[misc]  # either library
        def __init__(self, inner: Any, exchange: Exchange) -> None:
            self._inner = inner
            self._exchange = exchange

        def handle_request(self, request: Any) -> Any:
            send = self._inner.handle_request
            return handle_sync(self._exchange, request, send, only_genuine=False)

    return AsyncCachedTransport, CachedTransport
