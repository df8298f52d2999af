"""The bodies of responses, as httpx and httpx2 take them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from spark_cache.calls.threads import CallerThread
    from spark_cache.clients.http import Arriving

__all__ = ["body_for"]


class _Streams(NamedTuple):
    """The classes of a library.

    Attributes:
        replayed: For pieces from the cache.
        arriving_async: For pieces that are still to arrive, in an asynchronous client.
        arriving: The same in a synchronous one.
    """

    replayed: Any
    arriving_async: Any
    arriving: Any


def body_for(library: Any, body: bytes | list[bytes] | Arriving, thread: CallerThread | None) -> Any:
    """Return a body as a stream of the HTTP library.

    Args:
        library: The HTTP library.
        body: The body.
        thread: The thread of a synchronous client; None if the client is asynchronous.
    """
    if isinstance(body, bytes):
        return library.ByteStream(body)
    streams = _streams(library)
    if isinstance(body, list):
        return streams.replayed(body)
    return streams.arriving_async(body) if thread is None else streams.arriving(body, thread)


@cache
def _streams(library: Any) -> _Streams:
    return _Streams(_replayed(library), _arriving_async(library), _arriving(library))


def _replayed(library: Any) -> Any:
    class Replayed(library.AsyncByteStream, library.SyncByteStream):  # type: ignore[misc]  # either library
        def __init__(self, pieces: list[bytes]) -> None:
            self._pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._pieces)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self._pieces:
                yield piece

    return Replayed


def _arriving_async(library: Any) -> Any:
    class AsyncPieces(library.AsyncByteStream):  # type: ignore[misc]  # either library
        def __init__(self, arriving: Arriving) -> None:
            self._arriving = arriving

        async def __aiter__(self) -> AsyncIterator[bytes]:
            while (piece := await self._arriving.get()) is not None:
                yield piece

        async def aclose(self) -> None:
            await self._arriving.end()

    return AsyncPieces


def _arriving(library: Any) -> Any:
    class Pieces(library.SyncByteStream):  # type: ignore[misc]  # either library
        def __init__(self, arriving: Arriving, thread: CallerThread) -> None:
            self._arriving = arriving
            self._thread = thread

        def __iter__(self) -> Iterator[bytes]:
            while (piece := self._thread.run(self._arriving.get())) is not None:
                yield piece

        def close(self) -> None:
            if not self._arriving.is_over:
                # What is left to read must not keep this thread.
                self._thread.leave()
                self._thread.run(self._arriving.end())

    return Pieces
