"""Keeping a file store within its cap and free of expired entries in passing, a slice with every write.

Costs the same for a thousand entries and for a million. No thread and no timer: who writes does the work.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from spark_cache.stores.base import LOW_WATER, Address, block_size
from spark_cache.stores.index.removal import Bounds, evict, expire
from spark_cache.stores.index.rescan import rescan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.expiry import ExpirySchedule
    from spark_cache.stores.index.journal import Noted
    from spark_cache.stores.index.removal import Removed
    from spark_cache.stores.index.transaction import IndexTransaction

__all__ = ["IndexMaintenance"]

_FOLDED_AT_ONCE = 128
"""How many records of the journal are folded at once: less than a millisecond."""

_EVICTED_AT_ONCE = 16
"""How many entries a write evicts, unless it takes more room than they did."""

_EVICTED_WITHIN = 0.005
"""How long a write evicts, in seconds, unless it takes more room: to remove a file that has reached the disk may take a millisecond."""

_EVICTED_AFTER = 8
"""How many writes lie between two that evict on the way down to the low-water mark: twice as much goes as comes."""

_EXPIRED_AT_ONCE = 128
"""How many entries one write looks at to remove those whose life is over: some 2 ms at the most."""

_LISTING_TIME = 0.003
"""How long one write looks through folders that somebody else changed, in seconds."""

_LISTING_SHARE = 10
"""Of how much time one part goes into looking through folders: somebody else may change them all the time."""

_LOOK_AROUND = 1.0
"""How often to look for folders that somebody else changed, in seconds."""


class IndexMaintenance:
    """The upkeep of one store. Safe for threads.

    Args:
        root: The cache directory.
        transaction: The index transaction.
        schedule: When expired entries are looked for; None is never.
        clock: The time in seconds since the epoch.
        end_of: When the life of the entry at an address ends by its own word, and its length; None when there is none.
        on_removed: Told of each entry that is removed: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        root: str,
        transaction: IndexTransaction,
        *,
        schedule: ExpirySchedule | None,
        clock: Callable[[], float],
        end_of: Callable[[Address], tuple[float, int] | None],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._root = root
        self._transaction = transaction
        self._schedule = schedule
        self._clock = clock
        self._end_of = end_of
        self._on_removed = on_removed
        self._evicting = False
        self._listing: Iterator[None] | None = None
        self._list_after = 0.0
        self._look_after = 0.0
        self._lock = Lock()

    def forget(self) -> None:
        """Begin with a new lock in a forked child."""
        self._lock = Lock()
        self._listing = None

    def make_room(self, size_bytes: int, cap_bytes: float) -> None:
        """Evict a slice before something is written that would not fit; a second writer meanwhile need not wait to do the same.

        Args:
            size_bytes: The length of what is to be written.
            cap_bytes: What the store may occupy.

        Raises:
            OSError, sqlite3.Error, ValueError: The books or the entries could not be worked on.
        """
        if not self._lock.acquire(blocking=False):
            return
        room = block_size(size_bytes)
        removed: list[tuple[Removed, str]] = []
        try:
            self._evict(cap_bytes, room, removed, ahead=room)
        finally:
            self._lock.release()
            self._report(removed)

    def tend(self, noted: Noted, size_bytes: int, cap_bytes: float | None, now: float) -> None:
        """Do a slice of whatever is due after a write; a second writer meanwhile need not wait to do the same.

        Args:
            noted: What the journal said of the write.
            size_bytes: The length of what was written.
            cap_bytes: What the store may occupy; None is no bound.
            now: The time in seconds since the epoch.

        Raises:
            OSError, sqlite3.Error, ValueError: The books or the entries could not be worked on.
        """
        sweep = self._schedule is not None and self._schedule.due(now)
        fold = noted.waiting >= _FOLDED_AT_ONCE
        going_on = self._evicting and noted.waiting >= _EVICTED_AFTER
        full = cap_bytes is not None and (going_on or noted.occupied > cap_bytes)
        if not (fold or full or sweep or self._transaction.stale_models or self._listing is not None):
            return
        if not self._lock.acquire(blocking=False):
            return
        removed: list[tuple[Removed, str]] = []
        try:
            if fold:
                with self._transaction.open(around=self._is_time_to_look()):
                    pass
            if self._transaction.stale_models or self._listing is not None:
                self._look_through_some()
            if full and cap_bytes is not None:
                self._evict(cap_bytes, block_size(size_bytes), removed)
            if sweep:
                self._sweep(removed)
        finally:
            self._lock.release()
            self._report(removed)

    def _report(self, removed: list[tuple[Removed, str]]) -> None:
        for gone, why in removed:
            for folder, entries in gone.items():
                for name, size in entries:
                    self._on_removed(Address(*folder, name), size, why)

    def _is_time_to_look(self) -> bool:
        """Whether to look for folders that somebody else changed."""
        now = monotonic()
        if now < self._look_after:
            return False
        self._look_after = now + _LOOK_AROUND
        return True

    def _evict(self, cap: float, grown: int, removed: list[tuple[Removed, str]], *, ahead: int = 0) -> None:
        """Evict a slice: because of what was written, or so that what will be written ``ahead`` fits."""
        with self._transaction.open(around=self._is_time_to_look()) as work:
            occupied = work.index_totals.occupied_bytes + ahead
            if occupied <= cap and not self._evicting:
                return
            low = cap * LOW_WATER
            bounds = Bounds(low - ahead, grown, _EVICTED_AT_ONCE, perf_counter() + _EVICTED_WITHIN)
            gone, error = evict(self._root, work, bounds)
            left = work.index_totals.occupied_bytes + ahead
        removed.append((gone, "evict"))
        # Where nothing could be removed, what is too much is not known yet, or not the cache's.
        self._evicting = bool(gone) and error is None and left > low
        if error is not None:
            raise error

    def _sweep(self, removed: list[tuple[Removed, str]]) -> None:
        with self._transaction.open(around=self._is_time_to_look()) as work:
            more, gone, error = expire(self._root, work, self._clock(), _EXPIRED_AT_ONCE, None, self._end_of)
        removed.append((gone, "expire"))
        if error is not None:
            raise error
        if not more and self._schedule is not None:
            self._schedule.done()

    def _look_through_some(self) -> None:
        now = monotonic()
        if self._listing is None:
            if now < self._list_after:
                return
            folder = self._transaction.stale_models[0]
            self._listing = rescan(self._root, self._transaction, folder, at_once=False)
        started = perf_counter()
        try:
            while next(self._listing, self) is not self:
                if perf_counter() - started > _LISTING_TIME:
                    return
            self._listing = None
        except BaseException:
            self._listing = None
            raise
        finally:
            self._list_after = now + (perf_counter() - started) * _LISTING_SHARE
