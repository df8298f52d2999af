"""One call per missing key: equal requests that come together share one call to the provider."""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from spark_cache._lazy import at_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

__all__ = ["SingleFlight"]

T = TypeVar("T")


class _Flight:
    """A call under way. ``client`` made it, in ``loop``; ``waiting`` are those who want its answer, each with its loop."""

    __slots__ = ("answer", "client", "error", "finished", "loop", "started_at", "task", "waiting")

    def __init__(self, client: object, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop
        self.task: asyncio.Task[Any] | None = None
        self.waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self.started_at: float | None = None
        self.finished = False
        self.answer: Any = None
        self.error: BaseException | None = None


class SingleFlight:
    """The calls under way, by key. Safe for tasks and threads; a forked child begins with none."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[Hashable, _Flight] = {}
        at_fork(after_in_child=self.forget)

    @property
    def running_count(self) -> int:
        """The number of calls that are running."""
        return len(self._calls)

    async def share(
        self, key: Hashable, call: Callable[[], Awaitable[T]], *, client: object, timeout_seconds: float
    ) -> T:
        """Make a call, or wait for the answer of an equal one that is under way.

        A waiter that is cancelled leaves the call to the others; the last one takes it along. An exception goes to every waiter
        of the client that made the call; another client's waiters make their own attempt.

        Args:
            key: What makes calls equal.
            call: The call.
            client: Who asks.
            timeout_seconds: How long to wait for somebody else's call, in seconds, before making one's own; twice as long for one that
                does not say that it goes out.

        Returns:
            The answer.
        """
        loop = asyncio.get_running_loop()
        while True:
            finished: asyncio.Future[None] = loop.create_future()
            with self._lock:
                flight = self._calls.get(key)
                own = flight is None or flight.loop.is_closed()
                if flight is None or own:
                    flight = self._calls[key] = _Flight(client, loop)
                flight.waiting[finished] = loop
            try:
                if own:
                    # Not under the lock: an eager task begins to run right here.
                    flight.task = loop.create_task(_made(call))
                    # Not in the task: one that is cancelled before its first step runs no code of its own.
                    flight.task.add_done_callback(partial(self._arrive, key, flight))
                if own:
                    await asyncio.wait((finished,))
                else:
                    await _wait(finished, flight, timeout_seconds)
            finally:
                self._leave(flight, finished)
            if not finished.done():
                # The end of our patience, not an answer: whoever comes next need not wait as long.
                self._land(key, flight)
                return await call()
            if flight.error is None:
                answer: T = flight.answer
                return answer
            if own or (flight.client is client and isinstance(flight.error, Exception)):
                raise flight.error
            # Another client's failure, or a call that was cancelled: nobody's answer, so ask again.

    def mark_started(self, key: Hashable) -> None:
        """Note that the call of a key is made now, after it waited for others than the provider."""
        with self._lock:
            flight = self._calls.get(key)
            if flight is not None:
                flight.started_at = monotonic()

    def _arrive(self, key: Hashable, flight: _Flight, task: asyncio.Task[Any]) -> None:
        flight.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if flight.error is None:
            flight.answer = task.result()
        # Off the board before its answer is out: whoever comes now finds the answer in the cache.
        self._land(key, flight)
        with self._lock:
            flight.finished = True
            waiting = list(flight.waiting.items())
        for finished, loop in waiting:
            try:
                loop.call_soon_threadsafe(_set, finished)
            except RuntimeError:
                # That loop is closed: nobody waits there any more.
                continue

    def _land(self, key: Hashable, flight: _Flight) -> None:
        with self._lock:
            if self._calls.get(key) is flight:
                del self._calls[key]

    def _leave(self, flight: _Flight, finished: asyncio.Future[None]) -> None:
        """One waits no longer; the last one takes the call along."""
        with self._lock:
            del flight.waiting[finished]
            deserted = not flight.waiting and not flight.finished
        if deserted and flight.task is not None:
            try:
                flight.loop.call_soon_threadsafe(flight.task.cancel)
            except RuntimeError:
                # Its loop is closed, and the call with it.
                return

    def forget(self) -> None:
        """Begin anew in a forked child: the calls under way are the parent's, and its lock may have been held."""
        self._lock = Lock()
        self._calls = {}


async def _made(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _wait(finished: asyncio.Future[None], flight: _Flight, timeout_seconds: float) -> None:
    came = monotonic()
    while not finished.done():
        # Who makes the call may wait as long for another process first, and does not give up before us.
        until = (
            came + 2 * timeout_seconds
            if flight.started_at is None
            else max(came, flight.started_at) + timeout_seconds
        )
        left = until - monotonic()
        if left <= 0:
            return
        await asyncio.wait((finished,), timeout=left)


def _set(finished: asyncio.Future[None]) -> None:
    if not finished.done():
        finished.set_result(None)
