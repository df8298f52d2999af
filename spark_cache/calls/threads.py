"""Synchronous callers: the part of the cache runs in an event loop of its own, other work in the thread of the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

# Here, and not with the first call: it cannot be imported any more while the interpreter exits.
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any, TypeVar

from spark_cache._lazy import at_fork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

__all__ = ["CallerThread", "SyncStream"]

T = TypeVar("T")

_Work = tuple["Callable[[], Any]", "asyncio.Future[Any]"]

_END: Any = object()

_MOST_THREADS = 1000
"""How many threads may work for the event loop. Tools of agents wait in them for other calls, which need a thread themselves."""


class _LoopThread:
    """The event loop and its thread, started by the first call. A forked child starts its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        at_fork(after_in_child=self.forget)

    @property
    def is_current(self) -> bool:
        """Whether this code runs in the event loop."""
        return current_thread() is self._thread

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(ThreadPoolExecutor(_MOST_THREADS, "spark-cache-work"))
                # A daemon, so that it does not keep the program from ending.
                self._thread = Thread(
                    target=_run_forever, args=(self._loop,), name="spark-cache-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def forget(self) -> None:
        """Start again in a forked child, which has no threads."""
        self._lock = Lock()
        self._loop = self._thread = None


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        # A task that raises one of these ends the loop, which other callers need. Its own caller gets the exception.
        with suppress(KeyboardInterrupt, SystemExit):
            loop.run_forever()


_loop_thread = _LoopThread()


class CallerThread:
    """The thread of a synchronous caller. While it waits for the event loop, it does the work that the loop has for it."""

    def __init__(self) -> None:
        self._work: SimpleQueue[_Work | asyncio.Task[Any]] = SimpleQueue()
        self._lock = Lock()
        self._has_left = False

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop, and work for it until it has ended.

        If this thread is interrupted (``KeyboardInterrupt``), the coroutine is cancelled and the interrupt raised as soon as it
        has ended. A second interrupt is raised at once.

        Args:
            coroutine: The coroutine. It sees the context variables of the caller.

        Raises:
            RuntimeError: The caller runs in the event loop, which would wait for itself.
        """
        if _loop_thread.is_current:
            coroutine.close()
            raise RuntimeError(
                "this code runs in the event loop of synchronous calls, which would wait for itself: await the async method instead"
            )
        loop = _loop_thread.loop
        started: list[asyncio.Task[T]] = []

        def start() -> None:
            task = loop.create_task(coroutine)
            started.append(task)
            task.add_done_callback(self._work.put)

        def cancel() -> None:
            started[0].cancel()

        loop.call_soon_threadsafe(start)
        try:
            task = self._work_until_end(started)
        except BaseException:
            loop.call_soon_threadsafe(cancel)
            self._work_until_end(started)
            raise
        try:
            return task.result()
        finally:
            # An exception refers to this frame, which must not refer to the exception.
            started.clear()
            del task

    def _work_until_end(self, started: list[asyncio.Task[T]]) -> asyncio.Task[T]:
        """Work until the task that was started has ended, and return it."""
        while True:
            work = self._work.get()
            if isinstance(work, tuple):
                _do(work)
            elif work in started:
                return work

    async def do(self, function: Callable[[], T]) -> T:
        """Call a function in the thread of the caller, and return its result.

        Args:
            function: The function.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._has_left:
                _hand_over((function, done))
            else:
                self._work.put((function, done))
        return await done

    async def each(self, items: Iterable[T], close: Callable[[], object]) -> AsyncGenerator[T, None]:
        """Yield items that are made in the thread of the caller.

        Args:
            items: The items.
            close: Called in that thread at the end.
        """
        iterator = iter(items)
        try:
            while (item := await self.do(lambda: next(iterator, _END))) is not _END:
                yield item
        finally:
            await self.do(close)

    def leave(self) -> None:
        """Hand over the rest of the work: the caller wants nothing more, but others may wait for the response."""
        with self._lock:
            self._has_left = True
        ended = []
        # Another thread may take work at the same time.
        with suppress(Empty):
            while True:
                work = self._work.get_nowait()
                if isinstance(work, tuple):
                    _hand_over(work)
                else:
                    ended.append(work)
        for task in ended:
            self._work.put(task)


def _hand_over(work: _Work) -> None:
    Thread(target=_do, args=(work,), daemon=True).start()


def _do(work: _Work) -> None:
    function, done = work
    settle: Callable[[], object] = done.cancel
    try:
        settle = partial(done.set_result, function())
    except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
        settle = partial(done.set_exception, error)
    finally:
        # An interrupt belongs to this thread. In the event loop it would end the loop.
        done.get_loop().call_soon_threadsafe(lambda: None if done.done() else settle())


class SyncStream(Iterator[T]):
    """The items of an asynchronous generator, for synchronous programs.

    A stream that is no longer referenced is closed without waiting for its end.

    Args:
        items: The generator.
    """

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items

    def __next__(self) -> T:
        item: T = CallerThread().run(_next(self._items))
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Stop early, and wait until the call has ended."""
        CallerThread().run(self._items.aclose())


async def _next(items: AsyncGenerator[T, None]) -> T:
    return await anext(items, _END)
