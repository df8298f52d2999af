"""One call per missing key: equal requests that come together share one call to the provider."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from spark_cache.lifetimes import while_alive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

__all__ = ["Flights"]

T = TypeVar("T")


class _Flight:
    """A call under way. ``client`` made it, in ``loop``; ``waiting`` are those who want its answer, each with its loop."""

    __slots__ = ("answer", "asked_at", "client", "error", "landed", "loop", "task", "waiting")

    def __init__(self, client: object, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop
        self.task: asyncio.Task[Any] | None = None
        self.waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self.asked_at: float | None = None
        self.landed = False
        self.answer: Any = None
        self.error: BaseException | None = None


class Flights:
    """The calls under way, by key. Safe for tasks and threads; a forked child begins with none."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._flights: dict[Hashable, _Flight] = {}
        os.register_at_fork(after_in_child=while_alive(self.forget))

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
            patience: How long to wait for somebody else's call, in seconds, before making one's own; twice as long for one that
                does not say that it goes out.

        Returns:
            The answer.
        """
        loop = asyncio.get_running_loop()
        while True:
            landed: asyncio.Future[None] = loop.create_future()
            with self._lock:
                flight = self._flights.get(key)
                own = flight is None or flight.loop.is_closed()
                if flight is None or own:
                    flight = self._flights[key] = _Flight(client, loop)
                flight.waiting[landed] = loop
            try:
                if own:
                    # Not under the lock: an eager task begins to run right here.
                    flight.task = loop.create_task(_made(call))
                    # Not in the task: one that is cancelled before its first step runs no code of its own.
                    flight.task.add_done_callback(partial(self._arrive, key, flight))
                if own:
                    await asyncio.wait((landed,))
                else:
                    await _wait(landed, flight, patience)
            finally:
                self._leave(flight, landed)
            if not landed.done():
                # The end of our patience, not an answer: whoever comes next need not wait as long.
                self._land(key, flight)
                return await call()
            if flight.error is None:
                answer: T = flight.answer
                return answer
            if own or (flight.client is client and isinstance(flight.error, Exception)):
                raise flight.error
            # Another client's failure, or a call that was cancelled: nobody's answer, so ask again.

    def goes_out(self, key: Hashable) -> None:
        """Note that the call of a key is made now, after it waited for others than the provider."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                flight.asked_at = monotonic()

    def _arrive(self, key: Hashable, flight: _Flight, task: asyncio.Task[Any]) -> None:
        flight.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if flight.error is None:
            flight.answer = task.result()
        # Off the board before its answer is out: whoever comes now finds the answer in the cache.
        self._land(key, flight)
        with self._lock:
            flight.landed = True
            waiting = list(flight.waiting.items())
        for landed, loop in waiting:
            try:
                loop.call_soon_threadsafe(_set, landed)
            except RuntimeError:
                # That loop is closed: nobody waits there any more.
                continue

    def _land(self, key: Hashable, flight: _Flight) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _leave(self, flight: _Flight, landed: asyncio.Future[None]) -> None:
        """One waits no longer; the last one takes the call along."""
        with self._lock:
            del flight.waiting[landed]
            deserted = not flight.waiting and not flight.landed
        if deserted and flight.task is not None:
            try:
                flight.loop.call_soon_threadsafe(flight.task.cancel)
            except RuntimeError:
                # Its loop is closed, and the call with it.
                return

    def forget(self) -> None:
        """Begin anew in a forked child: the calls under way are the parent's, and its lock may have been held."""
        self._lock = Lock()
        self._flights = {}


async def _made(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _wait(landed: asyncio.Future[None], flight: _Flight, patience: float) -> None:
    came = monotonic()
    while not landed.done():
        # Who makes the call may wait as long for another process first, and does not give up before us.
        until = came + 2 * patience if flight.asked_at is None else max(came, flight.asked_at) + patience
        left = until - monotonic()
        if left <= 0:
            return
        await asyncio.wait((landed,), timeout=left)


def _set(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)
