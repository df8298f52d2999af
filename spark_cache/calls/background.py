"""Work that must not block an event loop runs in one thread of the process."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from spark_cache._lazy import at_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["in_background"]

T = TypeVar("T")


class _Background:
    """The thread, which is started by the first piece of work. A forked child starts its own."""

    def __init__(self) -> None:
        self._executor: Executor | None = None

    @property
    def executor(self) -> Executor:
        """The executor. One thread is enough: writers of a directory wait for each other anyway."""
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a hit needs no thread

            # Of two event loops that get here at once, one uses an executor of its own, once.
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="spark-cache")
            at_fork(after_in_child=self.forget)
        return self._executor

    def forget(self) -> None:
        """Start again in a forked child, which has no threads."""
        self._executor = None


_background = _Background()


async def in_background(work: Callable[[], T]) -> T:
    """Run something outside the event loop and return its result. Once begun, it ends, even if the caller is cancelled.

    Args:
        work: The work. It sees the context variables of the caller.
    """
    loop = asyncio.get_running_loop()
    try:
        running = loop.run_in_executor(_background.executor, copy_context().run, work)
    except RuntimeError:
        # The interpreter is about to exit.
        return work()
    return await asyncio.shield(running)
