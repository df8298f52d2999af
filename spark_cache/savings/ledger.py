"""The ledger: how often the cache answered, and what that saved.

Counted in memory, and added once a second to a small SQLite file beside the cache by those who may write there. The file can be
deleted at any time: only the past figures go with it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
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
    _Note = tuple[tuple[str, str, str, str, str, str], bool, float, _Usage | None]

__all__ = ["Ledger"]

_FLUSH_AFTER = 0.9
"""How long a count waits in memory, in seconds: with the time to write it, a killed process loses one second at the most."""


_MOST_NOTED = 256
"""How many counts wait to be added up: that many take less than a millisecond."""


_MOST_REMEMBERED = 4096

_remembered: dict[_Usage, tuple[int, Sums]] = {}
"""What usages lately came to."""

_ONE = Sums(1)
"""An event that consumed nothing, or nobody knows what."""


class Ledger:
    """Adds up what happens in one cache. Safe for threads and after a fork; a fault of its file loses figures, nothing else.

    Args:
        folder: The folder for its file, made when the folder above it is there; None keeps everything in memory.
        clock: The time in seconds since the epoch.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self._file = None if folder is None else LedgerFile(folder)
        self._clock = clock
        self._today = (-1, "")
        self._lock = Lock()
        self._writing = Lock()
        self._noted: deque[_Note] = deque()
        # Each count is in one of them: done with, being written, and waiting for that.
        self._done: dict[Line, Sums] = {}
        self._batch: dict[Line, Sums] = {}
        self._pending: dict[Line, Sums] = {}
        self._timer: Timer | None = None
        at_exit(self.flush)
        at_fork(after_in_child=self.forget)

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
        """Count one event (``hit``, ``shared``, ``miss``, ``store``, ``evict``, ``expire``).

        Args:
            event: What happened.
            provider: The provider of the request.
            model: Its model.
            profile: The profile in force.
            keep: Whether it also goes into the file; a reader that writes nothing says no.
            reason: Why, for a miss.
            seconds: How long the call took that was spared.
            usage: What it consumed, as a stored answer has it.
        """
        # A hit only notes what is to be added up later. The usage is copied: whoever got the answer may change it.
        noted = None if usage is None else tuple(usage.items())
        names = self._day(), profile or "", provider, model, event, reason
        self._noted.append((names, keep, seconds, noted))
        if len(self._noted) >= _MOST_NOTED:
            with self._lock:
                self._add_up()
        if keep and self._timer is None and self._file is not None:
            with self._lock:
                if self._timer is None:
                    self._timer = self._started_timer()

    def process(self) -> Totals:
        """What this process did."""
        return total(self._of_process())

    def lifetime(self) -> Totals:
        """What all processes did since the file was made; this process alone where there is none."""
        return total(self.lines())

    def lines(self) -> dict[Line, Sums]:
        """The lines behind :meth:`lifetime`."""
        with self._writing:
            self._write()
            lines = None if self._file is None else self._file.read()
            if lines is None:
                return self._of_process()
            with self._lock:
                self._add_up()
                # What could not be written still happened.
                _add_all(lines, self._pending)
            return lines

    def flush(self) -> None:
        """Add what is counted to the file now; on a fault it waits for the next time."""
        with self._writing:
            self._write()

    def forget(self) -> None:
        """Begin anew in a forked child: the parent's counts are the parent's, and its locks may have been held."""
        self._lock = Lock()
        self._writing = Lock()
        self._noted = deque()
        self._done, self._batch, self._pending = {}, {}, {}
        self._timer = None

    def _of_process(self) -> dict[Line, Sums]:
        lines: dict[Line, Sums] = {}
        with self._lock:
            self._add_up()
            for part in (self._done, self._batch, self._pending):
                _add_all(lines, part)
        return lines

    def _add_up(self) -> None:
        """Add what was noted to the lines; ``_lock`` is held."""
        # As many as there are now: others go on noting.
        for _ in range(len(self._noted)):
            names, keep, seconds, usage = self._noted.popleft()
            size, sums = (UNKNOWN_SIZE, _ONE) if usage is None else _consumed(usage)
            lines = self._pending if keep and self._file is not None else self._done
            # A plain tuple finds its line, and is made in a third of the time.
            known = lines.get((*names, size))  # type: ignore[call-overload]  # equal to a Line
            if known is None:
                known = lines[Line(*names, size)] = Sums()
            known.add(sums)
            known.seconds += seconds

    def _write(self) -> None:
        """Write what waits; ``_writing`` is held, so that there is one batch, and no reader sees half of one."""
        with self._lock:
            timer, self._timer = self._timer, None
            self._add_up()
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

    def _started_timer(self) -> Timer | None:
        timer = Timer(_FLUSH_AFTER, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The machine has no more threads, or the interpreter is ending: the next count tries again.
            return None
        return timer

    def _day(self) -> str:
        now = self._clock()
        number = int(now // 86400)
        if self._today[0] != number:
            self._today = (number, strftime("%Y-%m-%d", gmtime(now)))
        return self._today[1]


def _consumed(usage: _Usage) -> tuple[int, Sums]:
    """What :func:`consumed` makes of a usage, not to be changed: the same answers are given again and again, so it is remembered."""
    try:
        known = _remembered.get(usage)
    except TypeError:
        # A list or a dictionary stands in a figure's place.
        return consumed(dict(usage))
    if known is None:
        known = consumed(dict(usage))
        # Whole numbers alone: True equals 1, and must not stand for it.
        if all(type(figure) is int for _, figure in usage):
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[usage] = known
    return known


def _add_all(lines: dict[Line, Sums], more: Mapping[Line, Sums]) -> None:
    for line, sums in more.items():
        lines.setdefault(line, Sums()).add(sums)
