"""Whoever changes, counts or cleans up a file store does it through its bookkeeper.

A fault of the books is nobody else's: each verb then says that it did nothing.
"""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import suppress
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, TypeVar

from spark_cache._lazy import at_fork
from spark_cache.stores.index.maintenance import IndexMaintenance
from spark_cache.stores.index.removal import expire, remove_all
from spark_cache.stores.index.rescan import rescan
from spark_cache.stores.index.transaction import IndexTransaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.stores.base import Address, Stored
    from spark_cache.stores.expiry import ExpirySchedule
    from spark_cache.stores.index.journal import Noted
    from spark_cache.stores.index.removal import Removed
    from spark_cache.stores.index.totals import IndexTotals
    from spark_cache.stores.index.transaction import IndexChange, Work

__all__ = ["IndexWriter"]

T = TypeVar("T")

_FAULTS = (OSError, sqlite3.Error, ValueError)

_CLEANED_AT_ONCE = 1024
"""How many entries are removed at once where somebody asked for it, in some ten milliseconds."""

_TRIES = 3
"""How often a clean-up looks for more where somebody else changes folders meanwhile."""

_OUT_FOR = 60.0
"""How long to do without books that the machine failed to keep, in seconds."""

_OUT_WHILE_HELD = 10.0
"""How long to do without books that somebody else holds and does not let go of, in seconds."""


class IndexWriter:
    """Keeps the books of a store, and removes by them what is too much or too old. Safe for threads, and in a forked child.

    Args:
        root: The cache directory.
        hidden: The folder for the books; it has to be there when something is noted.
        schedule: When expired entries are looked for in passing; None is never.
        clock: The time in seconds since the epoch.
        end_of: When the life of the entry at an address ends by its own word (``NEVER``), and its length; None when there is none.
        on_removed: Told of each entry that is removed in passing: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        root: str,
        *,
        hidden: str,
        schedule: ExpirySchedule | None,
        clock: Callable[[], float],
        end_of: Callable[[Address], tuple[float, int] | None],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._root = root
        self._transaction = IndexTransaction(root, hidden)
        self._clock = clock
        self._end_of = end_of
        self._maintenance = IndexMaintenance(
            root, self._transaction, schedule=schedule, clock=clock, end_of=end_of, on_removed=on_removed
        )
        self._out_until = 0.0
        self._held = False
        weakref.finalize(self, self._transaction.close)
        # Nobody forks in the middle of a change: a copy of it in the child would undo the parent's.
        at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._forget)

    @property
    def working(self) -> bool:
        """Whether the books are kept; else others have to see to what they are for."""
        return monotonic() >= self._out_until

    def begin(self, at: Address, *, create: bool) -> IndexChange | None:
        """Announce a change of what stands at an address; :meth:`end` or :meth:`cancel` follows, and soon.

        Args:
            at: The place.
            create: Whether books may be begun where there are none.

        Returns:
            The change; None when it will not be noted, and nothing need follow.
        """
        if self._out_until and not self.working:
            return None
        try:
            return self._transaction.begin(at, create=create)
        except _FAULTS as fault:
            self._suffer(fault)
            return None

    def end(
        self, at: Address, change: IndexChange, size: int, *, expires_at: float, used_at: float
    ) -> Noted | None:
        """Note a change that was made.

        Args:
            at: Its place.
            change: What :meth:`begin` said.
            size: The length of the file that is there now; ``GONE``.
            expires_at: When its life ends.
            used_at: The time that it was given.
        """
        try:
            return self._transaction.end(at, change, size, expires_at=expires_at, used_at=used_at)
        except _FAULTS as fault:
            self._suffer(fault)
            return None

    def miss(self) -> None:
        """Say that a change was made which was not announced, or not to be noted."""
        with suppress(*_FAULTS):
            self._transaction.stale()

    def cancel(self) -> None:
        """Take back what was announced: nothing was changed."""
        self._tried(self._transaction.cancel)

    def make_room(self, size_bytes: int, cap_bytes: float) -> None:
        """Make room for what is to be written; arguments as for :meth:`IndexMaintenance.make_room`."""
        self._tried(partial(self._maintenance.make_room, size_bytes, cap_bytes))

    def tend(self, noted: Noted, size_bytes: int, cap_bytes: float | None, now: float) -> None:
        """Do a slice of the upkeep that is due after a write; arguments as for :meth:`IndexMaintenance.tend`."""
        try:
            self._maintenance.tend(noted, size_bytes, cap_bytes, now)
        except _FAULTS as fault:
            self._suffer(fault)

    def index_totals(self, *, write: bool) -> IndexTotals | None:
        """What the folders hold; None when there are no books.

        Args:
            write: Whether folders that somebody else changed may be looked through now; else they stay in doubt.
        """
        if not self.working:
            return None
        if write:
            self._tried(self._look_through_all)
        return self._tried(self._transaction.view)

    def expire_all(self, provider_folder: str | None) -> tuple[int, bool]:
        """Remove every entry whose life is over.

        Args:
            provider_folder: Whose entries; None is everybody's.

        Returns:
            How many there were, and whether it is done: else others have to go on.

        Raises:
            OSError: One could not be removed.
        """
        if not self.working:
            return 0, False
        now, count = self._clock(), 0

        def step(work: Work) -> tuple[bool, int, OSError | None]:
            more, removed, error = expire(
                self._root, work, now, _CLEANED_AT_ONCE, provider_folder, self._end_of
            )
            return more, _number(removed), error

        for _ in range(_TRIES):
            more = True
            while more:
                if (done := self._worked(step, around=True)) is None:
                    return count, False
                more, removed, error = done
                count += removed
                if error is not None:
                    raise error
            if not self._transaction.stale_models:
                return count, True
            # What somebody else brought is not filed yet.
            self._tried(self._look_through_all)
        return count, False

    def remove_all(self, listed: list[Stored]) -> tuple[int, bool]:
        """Remove these entries; how many were there, and whether it is done: else others have to go on.

        Raises:
            OSError: One could not be removed.
        """
        count = 0
        for start in range(0, len(listed), _CLEANED_AT_ONCE):
            step = partial(_remove_all, self._root, listed[start : start + _CLEANED_AT_ONCE])
            if (done := self._worked(step)) is None:
                return count, False
            removed, error = done
            count += removed
            if error is not None:
                raise error
        return count, True

    # -- at once ----------------------------------------------------------------------------------

    def _look_through_all(self) -> None:
        try:
            index_totals = self._transaction.view()
        except ValueError:
            index_totals = self._begun_anew()
        for folder, model_totals in index_totals.folders.items():
            if model_totals.stale:
                for _ in rescan(self._root, self._transaction, folder, at_once=True):
                    # Threads that write meanwhile have a turn.
                    sleep(0)

    def _begun_anew(self) -> IndexTotals:
        """The accounts of books that are damaged: who opens them gives them up, and who opens them next begins them."""
        with suppress(ValueError), self._transaction.open():
            pass
        with self._transaction.open(around=True) as work:
            return work.index_totals

    def _worked(self, step: Callable[[Work], T], *, around: bool = False) -> T | None:
        """Do a step with the books, with a look around or not; None when it could not be done."""

        def work() -> T:
            with self._transaction.open(around=around) as opened:
                return step(opened)

        # Threads that write meanwhile have a turn.
        sleep(0)
        return self._tried(work)

    def _tried(self, verb: Callable[[], T]) -> T | None:
        """Do something with the books; None when it could not be done."""
        try:
            return verb()
        except _FAULTS as fault:
            self._suffer(fault)
            return None

    def _suffer(self, fault: Exception) -> None:
        """Do without the books for a while, where it was not a passing fault."""
        if isinstance(fault, BlockingIOError):
            self._out_until = monotonic() + _OUT_WHILE_HELD
        # Not begun; damaged, and begun anew by the next: these pass at once.
        elif not isinstance(fault, FileNotFoundError | ValueError):
            self._out_until = monotonic() + _OUT_FOR

    # -- at a fork --------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._held = self._transaction.lock.acquire(timeout=1.0)

    def _let_go(self) -> None:
        if self._held:
            self._transaction.lock.release()

    def _forget(self) -> None:
        self._maintenance.forget()
        self._transaction.forget()


def _remove_all(root: str, listed: list[Stored], work: Work) -> tuple[int, OSError | None]:
    removed, error = remove_all(root, work, listed)
    return _number(removed), error


def _number(removed: Removed) -> int:
    return sum(map(len, removed.values()))
