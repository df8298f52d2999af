"""The ledger: how many calls the cache answered, and what that saved. It counts in memory."""

from __future__ import annotations

from collections import deque
from math import inf
from threading import Lock
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any

from spark_cache.savings.totals import UNKNOWN_SIZE, Line, Sums, add_all, consumed, encodable, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spark_cache.savings.totals import Totals

    _Usage = tuple[tuple[str, Any], ...]
    _QueuedEvent = tuple[tuple[str, str, str, str, str, str], bool, float, _Usage | None]

__all__ = ["Ledger"]

_MAX_QUEUED = 256
"""How many events wait to be added up. Adding up that many takes less than a millisecond."""

_MAX_CACHED_USAGES = 4096

_cached_usages: dict[_Usage, tuple[int, Sums]] = {}
"""The results of :func:`consumed` for recent usages."""

_ONE_EVENT = Sums(1)
"""An event that consumed no tokens, or whose usage is not known."""


class Ledger:
    """Counts the events of one cache. Safe for threads.

    Args:
        clock: Returns the time in seconds since the epoch.
        wake: Called after each event that is to be written.
    """

    def __init__(self, *, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._today = (inf, "")
        self.forget()

    def forget(self) -> None:
        """Reset a forked child: the counts belong to the parent, which may have held the lock during the fork."""
        self._lock = Lock()
        self._queue: deque[_QueuedEvent] = deque()
        self._lines: dict[Line, Sums] = {}
        # Lines that are to be written are here until they are taken.
        self._new: dict[Line, Sums] = {}

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
            keep: Whether to write the count to the database. False for a process that writes nothing.
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
        if keep:
            self._wake()

    def process(self) -> Totals:
        """Return the totals of this process."""
        return total(self.lines())

    def lines(self) -> dict[Line, Sums]:
        """Return the lines of this process."""
        with self._lock:
            self._drain_queue()
            lines: dict[Line, Sums] = {}
            add_all(lines, self._lines)
            add_all(lines, self._new)
        return lines

    def take(self) -> dict[Line, Sums]:
        """Return the lines that are to be written and have not been taken yet."""
        with self._lock:
            self._drain_queue()
            taken, self._new = self._new, {}
            add_all(self._lines, taken)
        return taken

    def _drain_queue(self) -> None:
        """Add queued events to the lines. The caller holds ``_lock``."""
        # A fixed number of events, because other threads keep adding to the queue.
        for _ in range(len(self._queue)):
            names, keep, seconds, usage = self._queue.popleft()
            size, sums = (UNKNOWN_SIZE, _ONE_EVENT) if usage is None else _consumed(usage)
            lines = self._new if keep else self._lines
            # A plain tuple finds the line, and is created in a third of the time.
            line_sums = lines.get((*names, size))  # type: ignore[call-overload]  # equal to a Line
            if line_sums is None:
                line_sums = lines.setdefault(Line._make((*map(encodable, names), size)), Sums())
            line_sums.add(sums)
            line_sums.seconds += seconds

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
