"""When expired entries are looked for: every so often, whichever process comes first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spark_cache.stores.private import own_file

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExpirySchedule"]


class ExpirySchedule:
    """The times of sweeps, which the processes tell each other by the time of a file.

    Args:
        marker: The file; its folder has to be there when it is asked.
        clock: The time in seconds since the epoch.
    """

    def __init__(self, marker: str, clock: Callable[[], float]) -> None:
        self._marker = marker
        self._clock = clock
        self._interval: float | None = None
        self._next: float | None = None

    def require(self, interval: float) -> None:
        """Sweep every ``interval`` seconds, or more often where somebody else asked for that."""
        self._interval = interval if self._interval is None else min(self._interval, interval)

    def due(self, now: float) -> bool:
        """Whether a sweep is to be made at a time.

        Raises:
            OSError: The marker could not be made.
        """
        if self._next is None:
            self._next = self._last() + (self._interval or 0)
        return now >= self._next

    def done(self) -> None:
        """Note that one was made.

        Raises:
            OSError: It could not be noted.
        """
        self._next = self._clock() + (self._interval or 0)
        self._note()

    def _last(self) -> float:
        try:
            # A marker from the future, after the clock was set back, must not put sweeps off for long.
            return min(os.stat(self._marker).st_mtime, self._clock())
        except OSError:
            # Never swept, as far as anybody knows: a new directory holds nothing old, so the count begins now.
            self._note()
            return self._clock()

    def _note(self) -> None:
        now = self._clock()
        fd = own_file(self._marker, create=True)
        try:
            os.utime(fd, (now, now))
        finally:
            os.close(fd)
