"""What a cache directory counts and notes, and the background writer that brings it into the database once a second."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from itertools import chain
from threading import Lock, Timer
from typing import TYPE_CHECKING

from spark_cache._lazy import at_exit, at_fork
from spark_cache.savings.database import Database
from spark_cache.savings.ledger import Ledger
from spark_cache.savings.notes import MissLog, MissNote, RemovalNote, queue
from spark_cache.savings.totals import add_all, total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.savings.totals import Line, Sums, Totals

__all__ = ["Savings"]

_DELAY = 0.9
"""How long counts and notes wait in memory, in seconds. With the time to write them, a killed process loses at most one second."""


class Savings:
    """The ledger and the miss log of one cache. Safe for threads and after a fork. If the database fails, only they are lost.

    Args:
        folder: The folder of the database, created if its parent exists. None keeps everything in memory.
        clock: Returns the time in seconds since the epoch.

    Attributes:
        ledger: Counts events.
        miss_log: Notes misses and removals.
    """

    def __init__(self, folder: str | None, *, clock: Callable[[], float]) -> None:
        self.ledger = Ledger(clock=clock, wake=self._wake)
        self.miss_log = MissLog(clock=clock, wake=self._wake)
        self._database = None if folder is None else Database(folder)
        self._is_held = False
        self.forget()
        at_exit(self.flush)
        # A fork while another thread uses SQLite would leave the child with a lock of that library that nothing releases.
        at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self.forget)

    def flush(self) -> None:
        """Write pending counts and notes now. If writing fails, they wait for the next attempt."""
        with self._writing:
            self._write()

    def lifetime(self) -> Totals:
        """Return the totals of all processes since the file was created, or of this process if there is no file."""
        return total(self.lines())

    def lines(self) -> dict[Line, Sums]:
        """Return the lines that :meth:`lifetime` adds up."""
        with self._writing:
            self._write()
            lines = None if self._database is None else self._database.counts()
            if lines is None:
                return self.ledger.lines()
            # Counts that could not be written still belong to the total.
            add_all(lines, self._counts)
            return lines

    def misses(self, prefix: str = "") -> list[MissNote]:
        """Return the noted misses, newest first.

        Args:
            prefix: The start of the names of the entries.
        """
        with self._writing:
            written = [] if self._database is None else self._database.misses(prefix)
            pending = [note for note in self._pending() if isinstance(note, MissNote)]
        return [note for note in pending if note.name.startswith(prefix)] + written

    def removals(self, name: str, provider_folder: str = "", model_folder: str = "") -> list[RemovalNote]:
        """Return the noted removals that may have removed an entry, newest first.

        Args:
            name: The name of the entry.
            provider_folder: Its provider folder. Empty if it is not known.
            model_folder: Its model folder. Empty if it is not known.
        """
        with self._writing:
            written = [] if self._database is None else self._database.removals(name)
            pending = [note for note in self._pending() if isinstance(note, RemovalNote)]
        return [note for note in pending + written if note.concerns(name, provider_folder, model_folder)]

    def forget(self) -> None:
        """Reset a forked child: counts and notes belong to the parent, which may have held the locks during the fork."""
        self.ledger.forget()
        self.miss_log.pending = queue()
        # What was taken and is not written yet.
        self._counts: dict[Line, Sums] = {}
        self._notes = queue()
        self._writing = Lock()
        self._timer: Timer | None = None

    def _pending(self) -> Iterator[MissNote | RemovalNote]:
        """Yield the notes that are not written yet, newest first. The caller holds ``_writing``."""
        return chain(reversed(self.miss_log.pending.copy()), reversed(self._notes))

    def _hold(self) -> None:
        self._is_held = self._writing.acquire(timeout=1.0)

    def _let_go(self) -> None:
        if self._is_held:
            self._writing.release()

    def _wake(self) -> None:
        """Start the background writer unless it waits already. Two threads may both start one; the second finds nothing to write."""
        if self._timer is not None or self._database is None:
            return
        timer = self._timer = Timer(_DELAY, self.flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system has no more threads, or the interpreter is shutting down. The next event tries again.
            self._timer = None

    def _write(self) -> None:
        """Write what is pending. The caller holds ``_writing``, so no reader sees half of it."""
        # Before anything is taken: what is recorded from now on starts the next writer.
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._database is None:
            return
        add_all(self._counts, self.ledger.take())
        self._notes.extend(self.miss_log.take())
        if not self._counts and not self._notes:
            return
        with suppress(OSError, sqlite3.Error):
            self._database.add(self._counts, self._notes)
            self._counts = {}
            self._notes.clear()
