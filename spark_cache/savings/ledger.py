"""The ledger: how many calls the cache answered, and what that saved.

Events are counted in memory. Processes that may write to the cache directory add them once a second to a small SQLite file beside
the cache. The file can be deleted at any time: only past totals are lost.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from math import inf
from threading import Lock, Timer
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any

from spark_cache._lazy import at_exit, at_fork
from spark_cache.savings.ledger_file import LedgerFile
from spark_cache.savings.totals import UNKNOWN_SIZE, Line, Sums, consumed, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spark_cache.savings.totals import Totals

    _Usage = tuple[tuple[str, Any], ...]
    _QueuedEvent = tuple[tuple[str, str, str, str, str, str], bool, float, _Usage | None]

__all__ = ["Ledger"]

_FLUSH_DELAY = 0.9
"""How long a count waits in memory, in seconds. With the time to write it, a killed process loses at most one second."""


_MAX_QUEUED = 256
"""How many events wait to be added up. Adding up that many takes less than a millisecond."""


_MAX_CACHED_USAGES = 4096

_cached_usages: dict[_Usage, tuple[int, Sums]] = {}
"""The results of :func:`consumed` for recent usages."""

_ONE_EVENT = Sums(1)
"""An event that consumed no tokens, or whose usage is not known."""


class Ledger:
    """Counts the events of one cache. Safe for threads and after a fork. If its file fails, only counts are lost.

    Args:
        folder: The folder of the ledger file, created if its parent exists. None keeps everything in memory.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self._file = None if folder is None else LedgerFile(folder)
        self._clock = clock
        self._today = (inf, "")
        self._lock = Lock()
        self._writing = Lock()
        self._queue: deque[_QueuedEvent] = deque()
        # Each count is in exactly one of these: finished, being written, or waiting to be written.
        self._done: dict[Line, Sums] = {}
        self._batch: dict[Line, Sums] = {}
        self._pending: dict[Line, Sums] = {}
        self._timer: Timer | None = None
        at_exit(self.flush)
        self._is_held = False
        # A fork while another thread uses SQLite would leave the child with a lock of that library that nothing releases.
        at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self.forget)

    def record(
        self,
        event: str,
        *,
        provider: str,
        model: str,
        profile: str | None,
        keep: bool,
        reason: str = "",
        seconds: float = 0.0,
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        """Count one event (``hit``, ``shared``, ``miss``, ``store``, ``evict`` or ``expire``).

        Args:
            event: The event.
            provider: The provider of the request.
            model: The model of the request.
            profile: The active profile.
            keep: Whether to write the count to the file. False for a process that writes nothing.
            reason: The reason of a miss.
            seconds: How long the saved call took when it was made.
            usage: The usage of the saved call, as the stored response has it.
        """
        # A hit only queues its event. The usage is copied, because the caller may change the response.
        copied = None if usage is None else tuple(usage.items())
        names = self._day(), profile or "", provider, model, event, reason
        self._queue.append((names, keep, seconds, copied))
        if len(self._queue) >= _MAX_QUEUED:
            with self._lock:
                self._drain_queue()
        if keep and self._timer is None and self._file is not None:
            with self._lock:
                if self._timer is None:
                    self._timer = self._start_timer()

    def process(self) -> Totals:
        """Return the totals of this process."""
        return total(self._process_lines())

    def lifetime(self) -> Totals:
        """Return the totals of all processes since the file was created, or of this process if there is no file."""
        return total(self.lines())

    def lines(self) -> dict[Line, Sums]:
        """Return the lines that :meth:`lifetime` adds up."""
        with self._writing:
            self._write()
            lines = None if self._file is None else self._file.read()
            if lines is None:
                return self._process_lines()
            with self._lock:
                self._drain_queue()
                # Counts that could not be written still belong to the total.
                _add_all(lines, self._pending)
            return lines

    def flush(self) -> None:
        """Write pending counts to the file now. If writing fails, they wait for the next attempt."""
        with self._writing:
            self._write()

    def _hold(self) -> None:
        self._is_held = self._writing.acquire(timeout=1.0)

    def _let_go(self) -> None:
        if self._is_held:
            self._writing.release()

    def forget(self) -> None:
        """Reset a forked child: the counts belong to the parent, which may have held the locks during the fork."""
        self._lock = Lock()
        self._writing = Lock()
        self._queue = deque()
        self._done, self._batch, self._pending = {}, {}, {}
        self._timer = None

    def _process_lines(self) -> dict[Line, Sums]:
        lines: dict[Line, Sums] = {}
        with self._lock:
            self._drain_queue()
            for part in (self._done, self._batch, self._pending):
                _add_all(lines, part)
        return lines

    def _drain_queue(self) -> None:
        """Add queued events to the lines. The caller holds ``_lock``."""
        # A fixed number of events, because other threads keep adding to the queue.
        for _ in range(len(self._queue)):
            names, keep, seconds, usage = self._queue.popleft()
            size, sums = (UNKNOWN_SIZE, _ONE_EVENT) if usage is None else _consumed(usage)
            lines = self._pending if keep and self._file is not None else self._done
            # A plain tuple finds the line, and is created in a third of the time.
            line_sums = lines.get((*names, size))  # type: ignore[call-overload]  # equal to a Line
            if line_sums is None:
                line_sums = lines[Line(*names, size)] = Sums()
            line_sums.add(sums)
            line_sums.seconds += seconds

    def _write(self) -> None:
        """Write pending counts. The caller holds ``_writing``, so there is one batch and no reader sees half of it."""
        with self._lock:
            timer, self._timer = self._timer, None
            self._drain_queue()
            self._batch, self._pending = self._pending, {}
        if timer is not None:
            timer.cancel()
        if not self._batch or self._file is None:
            return
        try:
            self._file.add(self._batch)
        except (OSError, sqlite3.Error):
            into = self._pending
        else:
            into = self._done
        with self._lock:
            _add_all(into, self._batch)
            self._batch = {}

    def _start_timer(self) -> Timer | None:
        timer = Timer(_FLUSH_DELAY, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter is shutting down. The next event tries again.
            return None
        return timer

    def _day(self) -> str:
        now = self._clock()
        began, day = self._today
        if not began <= now < began + 86400:
            began, day = self._today = now // 86400 * 86400, strftime("%Y-%m-%d", gmtime(now))
        return day


def _consumed(usage: _Usage) -> tuple[int, Sums]:
    """Return the cached result of :func:`consumed`, since the same responses are served many times. Do not modify it."""
    try:
        result = _cached_usages.get(usage)
    except TypeError:
        # The usage contains a list or a dictionary, and cannot be hashed.
        return consumed(dict(usage))
    if result is None:
        result = consumed(dict(usage))
        # Only integers are cached: True equals 1, and must not share its result.
        if all(type(value) is int for _, value in usage):
            if len(_cached_usages) >= _MAX_CACHED_USAGES:
                _cached_usages.clear()
            _cached_usages[usage] = result
    return result


def _add_all(lines: dict[Line, Sums], more: Mapping[Line, Sums]) -> None:
    for line, sums in more.items():
        lines.setdefault(line, Sums()).add(sums)
