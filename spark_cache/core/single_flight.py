"""One call per missing key: equal requests that arrive at the same time share one call to the provider."""

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


class _RunningCall:
    """A running call. ``client`` made it, in ``loop``. ``waiters`` holds a future and its loop for each caller that waits."""

    __slots__ = ("client", "error", "finished", "joined", "loop", "result", "started_at", "task", "waiters")

    def __init__(self, client: object, loop: asyncio.AbstractEventLoop) -> None:
        self.client = client
        self.loop = loop
        self.joined = 0
        self.task: asyncio.Task[Any] | None = None
        self.waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self.started_at: float | None = None
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None


class SingleFlight:
    """The running calls, by key. Safe for tasks and threads. A forked child starts with none."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[Hashable, _RunningCall] = {}
        at_fork(after_in_child=self.forget)

    @property
    def running_count(self) -> int:
        """The number of calls that are running."""
        return len(self._calls)

    async def share(
        self, key: Hashable, call: Callable[[], Awaitable[T]], *, client: object, timeout_seconds: float
    ) -> tuple[T, bool]:
        """Make a call, or wait for the result of an equal call that is running.

        Cancelling a waiter does not cancel the call while others wait for it; cancelling the last waiter does. An exception is
        raised for every waiter of the client that made the call. The waiters of other clients make their own attempt.

        Args:
            key: Calls with the same key are equal.
            call: The call.
            client: The client that makes the call.
            timeout_seconds: How long to wait for another caller's call, in seconds, before making a separate call. The limit is
                twice as long for a call that is not marked as started.

        Returns:
            The result of the call, and whether other callers got it too.
        """
        loop = asyncio.get_running_loop()
        while True:
            finished: asyncio.Future[None] = loop.create_future()
            with self._lock:
                running = self._calls.get(key)
                own = running is None or running.loop.is_closed()
                if running is None or own:
                    running = self._calls[key] = _RunningCall(client, loop)
                running.waiters[finished] = loop
                running.joined += 1
            try:
                if own:
                    # Not under the lock: an eager task starts to run here.
                    running.task = loop.create_task(_run(call))
                    # A callback, because a task that is cancelled before its first step runs none of its code.
                    running.task.add_done_callback(partial(self._finish, key, running))
                if own:
                    await finished
                else:
                    await _wait(finished, running, timeout_seconds)
            finally:
                self._stop_waiting(running, finished)
            if not finished.done():
                # The wait timed out. Later callers must not wait for this call as well.
                self._remove(key, running)
                return await call(), False
            if running.error is None:
                return running.result, running.joined > 1
            if own or (running.client is client and isinstance(running.error, Exception)):
                raise running.error
            # Another client's call failed, or the call was cancelled: try again.

    def mark_started(self, key: Hashable) -> None:
        """Note that the call for a key is sent now, after any wait for a lease.

        Args:
            key: The key of the call.
        """
        with self._lock:
            running = self._calls.get(key)
            if running is not None:
                running.started_at = monotonic()

    def _finish(self, key: Hashable, running: _RunningCall, task: asyncio.Task[Any]) -> None:
        running.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if running.error is None:
            running.result = task.result()
        # Removed before its waiters wake up: a caller that arrives now finds the response in the cache.
        self._remove(key, running)
        with self._lock:
            running.finished = True
            waiters = list(running.waiters.items())
        for finished, loop in waiters:
            if loop is running.loop:
                _wake(finished)
                continue
            try:
                loop.call_soon_threadsafe(_wake, finished)
            except RuntimeError:
                # The loop is closed, so its waiter no longer exists.
                continue

    def _remove(self, key: Hashable, running: _RunningCall) -> None:
        with self._lock:
            if self._calls.get(key) is running:
                del self._calls[key]

    def _stop_waiting(self, running: _RunningCall, finished: asyncio.Future[None]) -> None:
        """Remove a waiter, and cancel the call if no waiter is left."""
        with self._lock:
            del running.waiters[finished]
            abandoned = not running.waiters and not running.finished
        if abandoned and running.task is not None:
            try:
                running.loop.call_soon_threadsafe(running.task.cancel)
            except RuntimeError:
                # The loop is closed, so the call has ended too.
                return

    def forget(self) -> None:
        """Start again in a forked child: the running calls belong to the parent, and its lock may have been held."""
        self._lock = Lock()
        self._calls = {}


async def _run(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _wait(finished: asyncio.Future[None], running: _RunningCall, timeout_seconds: float) -> None:
    arrived_at = monotonic()
    while not finished.done():
        # The caller that makes the call may first wait just as long for another process. Do not give up before it does.
        deadline = (
            arrived_at + 2 * timeout_seconds
            if running.started_at is None
            else max(arrived_at, running.started_at) + timeout_seconds
        )
        remaining = deadline - monotonic()
        if remaining <= 0:
            return
        await asyncio.wait((finished,), timeout=remaining)


def _wake(finished: asyncio.Future[None]) -> None:
    if not finished.done():
        finished.set_result(None)
