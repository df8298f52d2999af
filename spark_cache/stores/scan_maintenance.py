"""Keeping a file store within its cap and free of expired entries by listing it, where there is no index.

There is no lock here. Two processes that do the same work at the same time remove the same files, and one of them finds them gone.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.base import block_size, is_over, victims

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.stores.base import Address, Lifetime, Store, Stored

__all__ = ["ScanMaintenance"]


class ScanMaintenance:
    """Counts what a store occupies, evicts entries when it is too much, and removes expired entries in passing.

    Args:
        store: The store.
        clock: Returns the time in seconds since the epoch.
        interval: Returns how often expired entries are searched for, in seconds; None is never.
        lifetime: Returns when an entry with these bytes begins and ends.
        on_removed: Called with each entry that is removed: its address, its size, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        interval: Callable[[], float | None],
        lifetime: Callable[[bytes], Lifetime],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval
        self._lifetime = lifetime
        self._on_removed = on_removed
        self._occupied: int | None = None
        self._next_sweep: float | None = None
        self._lock = Lock()

    def forget(self) -> None:
        """Use a new lock in a forked child."""
        self._lock = Lock()

    def pause(self) -> None:
        """Leave the work to the index. What was counted here is out of date from now on."""
        self._occupied = None

    def after_write(self, size_bytes: int, cap_bytes: float | None) -> None:
        """Do what is due. A fault is not the fault of the write: the next one tries again.

        Args:
            size_bytes: The size of what was written.
            cap_bytes: The bytes that the store may occupy; None is no limit.
        """
        # A second writer need not wait to do the same work.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if cap_bytes is not None:
                self._evict(size_bytes, cap_bytes)
            self._expire()
        except StoreError:
            self._occupied = None
        finally:
            self._lock.release()

    def _evict(self, size_bytes: int, cap: float) -> None:
        if self._occupied is not None:
            # An entry that replaces another is counted twice until the next listing.
            self._occupied += block_size(size_bytes)
            if self._occupied <= cap:
                return
        listed = list(self._store.scan())
        self._occupied = sum(block_size(stored.size_bytes) for stored in listed)
        for stored in victims(listed, int(cap)):
            self._remove(stored, "evict")

    def _expire(self) -> None:
        interval, now = self._interval(), self._clock()
        if interval is None:
            return
        if self._next_sweep is None or self._next_sweep > now + interval:
            # The first write, or the clock was set back.
            self._next_sweep = now + interval
        if now < self._next_sweep:
            return
        for stored in self._store.scan():
            data = self._store.read(stored.address, note_use=False)
            if isinstance(data, bytes) and is_over(self._lifetime(data), now):
                self._remove(stored, "expire")
        self._next_sweep = now + interval

    def _remove(self, stored: Stored, why: str) -> None:
        if self._store.remove(stored.address):
            self._on_removed(stored.address, stored.size_bytes, why)
        if self._occupied is not None:
            self._occupied -= block_size(stored.size_bytes)
