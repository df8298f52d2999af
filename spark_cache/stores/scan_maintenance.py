"""Keeping a file store within its cap and free of expired entries by looking through it: where no books can be kept.

No thread and no lock: two processes that do the same work at the same time remove the same files, and one of them finds them gone.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.base import block_size, victims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import Address, Store, Stored
    from spark_cache.stores.expiry import ExpirySchedule

__all__ = ["ScanMaintenance"]

_SLICE = 32
"""How many entries one write looks at or removes: some 0.5 ms at the most."""


class ScanMaintenance:
    """Counts what a store occupies, evicts when it is too much, and removes expired entries in passing.

    Args:
        store: The store.
        schedule: When expired entries are looked for; None is never.
        clock: The time in seconds since the epoch.
        ends_at: When the life of an entry with these bytes ends, in seconds since the epoch.
        on_removed: Told of each entry that is removed: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        store: Store,
        *,
        schedule: ExpirySchedule | None,
        clock: Callable[[], float],
        ends_at: Callable[[bytes], float],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._clock = clock
        self._ends_at = ends_at
        self._on_removed = on_removed
        self._occupied: int | None = None
        self._victims: list[Stored] = []
        self._sweep: Iterator[None] | None = None
        self._lock = Lock()

    def forget(self) -> None:
        """Begin with a new lock in a forked child."""
        self._lock = Lock()

    def pause(self) -> None:
        """Leave it to the books: what was counted here is out of date from now on."""
        self._occupied = None
        self._victims = []
        self._sweep = None

    def after_write(self, size_bytes: int, cap_bytes: float | None) -> None:
        """Do a slice of whatever is due. A fault here is not the write's: the next one tries again.

        Args:
            size_bytes: The length of what was written.
            cap_bytes: What the store may occupy; None is no bound.
        """
        # A slice is short; a second writer need not wait for it to do the same work.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if cap_bytes is not None:
                self._evict(size_bytes, cap_bytes)
            self._expire()
        except (StoreError, OSError):
            self._occupied = None
            self._sweep = None
        finally:
            self._lock.release()

    def _evict(self, size_bytes: int, cap: float) -> None:
        if self._occupied is None:
            self._occupied = sum(block_size(stored.size_bytes) for stored in self._store.scan())
        else:
            # An entry that replaces another is counted twice until the listing below counts again.
            self._occupied += block_size(size_bytes)
        if not self._victims and self._occupied > cap:
            listed = list(self._store.scan())
            self._occupied = sum(block_size(stored.size_bytes) for stored in listed)
            self._victims = victims(listed, int(cap))[::-1]
        for _ in range(min(_SLICE, len(self._victims))):
            stored = self._victims.pop()
            if self._store.remove(stored.address):
                self._on_removed(stored.address, stored.size_bytes, "evict")
            self._occupied -= block_size(stored.size_bytes)

    def _expire(self) -> None:
        if self._schedule is None or (self._sweep is None and not self._schedule.due(self._clock())):
            return
        if self._sweep is None:
            self._sweep = self._swept()
        for _ in range(_SLICE):
            if next(self._sweep, self) is self:
                self._sweep = None
                # Count anew with the next write: other processes have written and removed meanwhile.
                self._occupied = None
                self._schedule.done()
                return

    def _swept(self) -> Iterator[None]:
        for stored in self._store.scan():
            data = self._store.read(stored.address, note_use=False)
            if (
                isinstance(data, bytes)
                and self._ends_at(data) <= self._clock()
                and self._store.remove(stored.address)
            ):
                self._on_removed(stored.address, stored.size_bytes, "expire")
                if self._occupied is not None:
                    self._occupied -= block_size(stored.size_bytes)
            yield
