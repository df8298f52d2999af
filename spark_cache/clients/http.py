"""Responses on their way from a provider to a client, whatever HTTP library carries them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from spark_cache.clients.call_options import HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

__all__ = [
    "OK",
    "Arriving",
    "Headers",
    "NoAnswerError",
    "Reply",
    "Sent",
    "Upstream",
    "WaitedTooLongError",
    "end",
    "marks",
]

OK = 200

Headers = list[tuple[bytes, bytes]]


class Reply(NamedTuple):
    """What the client gets.

    Attributes:
        status: The status.
        headers: The headers.
        body: The body, its pieces from the cache, or the pieces that are still to arrive.
        extensions: What the HTTP library says of the response of the provider.
    """

    status: int
    headers: Headers
    body: bytes | list[bytes] | Arriving
    extensions: Mapping[str, Any]


class Upstream(Protocol):
    """The response of the provider."""

    status: int
    headers: Headers
    extensions: Mapping[str, Any]
    is_genuine: bool
    """Whether it came from the network. What a test double answers is not stored."""
    is_paced: bool
    """Whether each piece of a stream is read when the client asks for it: the client reads it itself, in its own thread."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives, and close the response at the end."""
        ...

    def leave(self) -> None:
        """Read the rest without the client, which may even wait for this response in another call."""
        ...

    def decoded(self, content: bytes) -> bytes:
        """Return the whole body without its content encoding."""
        ...


class NoAnswerError(Exception):
    """The provider sent something that is no answer, such as an error. Everyone who waits for the call gets it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


_PAUSE_SECONDS = 0.5
"""How long a client may pause between two pieces before others, who may wait for the response, no longer depend on it."""


class WaitedTooLongError(Exception):
    """An equal call takes longer than the client lets its own call take."""


class Sent:
    """The response of the provider on its way to the client that caused the call.

    Attributes:
        is_asked: Whether the request was sent for this client.
        reply: The response. That of a stream has no body.
        opened: Set when a stream begins.
        pieces: The pieces of the stream as they arrive, an exception that breaks it off, and None at the end.
        has_ended: Returns whether the last event of the stream has arrived.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.reply: Reply | None = None
        self.opened = asyncio.Event()
        self.pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue()
        self.has_ended: Callable[[], bool] = bool
        self._wanted = asyncio.Semaphore(0)
        self._has_left = False

    def require_asked(self, *, unless: bool) -> None:
        """Raise if this client has waited for an equal call for as long as it waits for its own.

        Args:
            unless: Whether that call has ended.

        Raises:
            WaitedTooLongError: It has not, and the request was not sent for this client.
        """
        if not unless and not self.is_asked:
            raise WaitedTooLongError

    async def get(self) -> bytes | BaseException | None:
        """Ask for the next of the pieces, and return it."""
        self._wanted.release()
        return await self.pieces.get()

    async def is_wanted_soon(self) -> bool:
        """Wait until the client asks for a piece or has left; return False if it does something else for long."""
        if not self._has_left:
            try:
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._wanted.acquire()
            except TimeoutError:
                return False
        return True

    def leave(self) -> None:
        """Note that the client takes no more pieces. Others may wait for the response."""
        self._has_left = True
        self._wanted.release()


class Arriving:
    """The pieces of a stream that a provider sends. The stream ends when the response is stored.

    Args:
        sent: Takes the pieces.
        call: The call that reads them.
    """

    def __init__(self, sent: Sent, call: asyncio.Task[Any]) -> None:
        self.is_over = False
        self._sent = sent
        self._call = call
        call.add_done_callback(lambda _: sent.pieces.put_nowait(None))

    async def get(self) -> bytes | None:
        """Return the next piece; None at the end.

        Raises:
            Exception: What breaks the stream off.
        """
        if self.is_over:
            return None
        try:
            piece = await self._sent.get()
        except BaseException:
            await self.end()
            raise
        if isinstance(piece, bytes):
            return piece
        await self.end()
        if piece is not None:
            raise piece
        return None

    async def end(self) -> None:
        """End the call, unless others wait for it or the response only has to be stored."""
        self.is_over = True
        self._sent.leave()
        if not self._call.done() and self._sent.has_ended():
            # Clients close a stream after its last event, without reading the end of the connection.
            await asyncio.wait((self._call,), timeout=_LAST_SECONDS)
        await end(self._call)


_LAST_SECONDS = 1.0
"""How long a stream whose last event has arrived may take to end."""


async def end(call: asyncio.Task[Any]) -> None:
    """Cancel a call that nothing waits for any more, and wait for its end.

    Args:
        call: The call.
    """
    if not call.done():
        call.cancel()
        await asyncio.wait((call,))
    if not call.cancelled():
        # Retrieved, so that asyncio does not report an exception that the client got in another way.
        call.exception()


def marks(came_to: str, name: str | None) -> Headers:
    """Return the headers that say what a request came to.

    Args:
        came_to: ``hit``, ``miss`` or ``shared``.
        name: The name of the entry; None if there is none.
    """
    said = [(HEADER.encode(), came_to.encode())]
    if name is not None:
        said.append((f"{HEADER}-key".encode(), name[:12].encode()))
    return said
