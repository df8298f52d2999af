"""Keeping a file store within its cap and free of expired entries, a slice with every write.

No thread and no lock: two processes that do the same work at the same time remove the same files, and one of them finds them gone.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.eviction import block_size, victims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import Address, Store, Stored

__all__ = ["ORPHAN_AGE", "Upkeep"]

_SLICE = 32
"""How many entries one write looks at or removes: some 0.5 ms at the most."""

ORPHAN_AGE = 3600.0
"""A temporary file this old, in seconds, has lost its writer."""

_MARKER = "swept"


class Upkeep:
    """Counts what a store occupies, evicts when it is too much, and removes expired entries in passing."""

    def __init__(
        self,
        store: Store,
        *,
        hidden: str,
        clock: Callable[[], float],
        expired: Callable[[bytes, float], bool],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._store = store
        self._marker = f"{hidden}/{_MARKER}"
        self._clock = clock
        self._expired = expired
        self._on_removed = on_removed
        self._cap: float | None = None
        self._interval: float | None = None
        self._occupied: int | None = None
        self._victims: list[Stored] = []
        self._sweep: Iterator[None] | None = None
        self._next_sweep: float | None = None
        self._lock = Lock()

    def require(self, *, cap_bytes: float | None, interval: float) -> None:
        """Hold the store to a cap, and look for expired entries every ``interval`` seconds; the strictest of all holds."""
        if cap_bytes is not None:
            self._cap = cap_bytes if self._cap is None else min(self._cap, cap_bytes)
        self._interval = interval if self._interval is None else min(self._interval, interval)

    def forget(self) -> None:
        """Begin with a new lock in a forked child."""
        self._lock = Lock()

    def fits(self, size_bytes: int) -> bool:
        """Whether an entry of this length can be kept at all."""
        return self._cap is None or block_size(size_bytes) <= self._cap

    def after_write(self, size_bytes: int) -> None:
        """Do a slice of whatever is due. A fault here is not the write's: the next one tries again."""
        # A slice is short; a second writer need not wait for it to do the same work.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._cap is not None:
                self._evict(size_bytes, self._cap)
            self._expire()
        except (StoreError, OSError):
            self._occupied = None
            self._sweep = None
        finally:
            self._lock.release()

    def sweep_orphans(self, scratch: str) -> None:
        """Remove temporary files whose writers are gone."""
        limit = self._clock() - ORPHAN_AGE
        with os.scandir(scratch) as listing:
            for item in listing:
                try:
                    if item.stat(follow_symlinks=False).st_mtime < limit:
                        os.unlink(item.path)
                except OSError:
                    continue

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
        now = self._clock()
        if self._sweep is None:
            if self._next_sweep is None:
                self._next_sweep = self._last_sweep() + (self._interval or 0)
            if now < self._next_sweep:
                return
            self._sweep = self._swept()
        for _ in range(_SLICE):
            if next(self._sweep, self) is self:
                self._sweep = None
                self._next_sweep = self._clock() + (self._interval or 0)
                # Count anew with the next write: other processes have written and removed meanwhile.
                self._occupied = None
                self._note_sweep()
                return

    def _swept(self) -> Iterator[None]:
        for stored in self._store.scan():
            data = self._store.read(stored.address, note_use=False)
            if (
                isinstance(data, bytes)
                and self._expired(data, self._clock())
                and self._store.remove(stored.address)
            ):
                self._on_removed(stored.address, stored.size_bytes, "expire")
                if self._occupied is not None:
                    self._occupied -= block_size(stored.size_bytes)
            yield

    def _last_sweep(self) -> float:
        try:
            # A marker from the future, after the clock was set back, must not put sweeps off for long.
            return min(os.stat(self._marker).st_mtime, self._clock())
        except OSError:
            # Never swept, as far as anybody knows: a new directory holds nothing old, so the count begins now.
            self._note_sweep()
            return self._clock()

    def _note_sweep(self) -> None:
        now = self._clock()
        with open(self._marker, "a", opener=_owner_only) as marker:
            # The umask may have taken from the owner too; a file that has another name as well is somebody else's.
            if os.fstat(marker.fileno()).st_nlink == 1:
                os.fchmod(marker.fileno(), 0o600)
        os.utime(self._marker, (now, now))


def _owner_only(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    # The umask may have taken from the owner too.
    os.fchmod(fd, 0o600)
    return fd
