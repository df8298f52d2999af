"""One call per missing key: equal requests that come together share one call to the provider."""

from __future__ import annotations

import asyncio
import os
import weakref
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

__all__ = ["Flights"]

T = TypeVar("T")


class _AbandonedError(Exception):
    """The call was cancelled before it had an answer: nobody's answer, so the next one asks again."""


class _Flight:
    """A call under way. ``client`` made it; ``waiters`` want its answer."""

    __slots__ = ("client", "future", "loop", "task", "waiters")

    def __init__(self, client: object, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop
        self.future: Future[Any] = Future()
        self.task: asyncio.Task[None] | None = None
        self.waiters = 0


class Flights:
    """The calls under way, by key. Safe for tasks and threads; a forked child begins with none."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._flights: dict[Hashable, _Flight] = {}
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forget_if_alive(itself))

    async def share(
        self, key: Hashable, call: Callable[[], Awaitable[T]], *, client: object, patience: float
    ) -> T:
        """Make a call, or wait for the answer of an equal one that is under way.

        A waiter that is cancelled leaves the call to the others; the last one takes it along. An exception goes to every waiter
        of the client that made the call; another client's waiters make their own attempt.

        Args:
            key: What makes calls equal.
            call: The call.
            client: Who asks.
            patience: How long to wait for somebody else's call, in seconds, before making one's own.

        Returns:
            The answer.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                own = flight is None or flight.loop.is_closed()
                if flight is None or own:
                    flight = self._flights[key] = _Flight(client, asyncio.get_running_loop())
                    flight.task = flight.loop.create_task(self._fly(key, flight, call))
                flight.waiters += 1
            try:
                waiting = asyncio.shield(asyncio.wrap_future(flight.future))
                return await (waiting if own else asyncio.wait_for(waiting, patience))
            except _AbandonedError:
                continue
            except Exception as error:
                if isinstance(error, TimeoutError) and not flight.future.done():
                    # The end of our patience, not an answer: whoever comes next need not wait as long.
                    self._land(key, flight)
                    return await call()
                if flight.client is client:
                    raise
            finally:
                self._leave(flight)

    async def _fly(self, key: Hashable, flight: _Flight, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            answer = await call()
        except asyncio.CancelledError:
            self._land(key, flight)
            flight.future.set_exception(_AbandonedError())
            raise
        except BaseException as error:
            self._land(key, flight)
            flight.future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._land(key, flight)
            flight.future.set_result(answer)

    def _land(self, key: Hashable, flight: _Flight) -> None:
        """Take the flight off the board before its answer is out: whoever comes now finds the answer in the cache."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _leave(self, flight: _Flight) -> None:
        with self._lock:
            flight.waiters -= 1
            deserted = flight.waiters == 0 and not flight.future.done()
        if deserted and flight.task is not None and not flight.loop.is_closed():
            flight.loop.call_soon_threadsafe(flight.task.cancel)

    def forget(self) -> None:
        """Begin anew in a forked child: the calls under way are the parent's, and its lock may have been held."""
        self._lock = Lock()
        self._flights = {}


def _forget_if_alive(flights: weakref.ref[Flights]) -> None:
    alive = flights()
    if alive is not None:
        alive.forget()
