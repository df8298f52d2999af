"""What is done in passing, a slice with each write: noticing other programs' changes, scanning, expiry, tidying up."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.stores.index.removal import BEGINNING, Cleaner
from spark_cache.stores.index.rescan import Rescan

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.stores.base import Address, Lifetime
    from spark_cache.stores.index.change import Change
    from spark_cache.stores.index.removal import Position, Removed

__all__ = ["Upkeep"]

_COMPARE_EVERY = 1.0
"""How often to look for folders that another program changed, in seconds."""

_SHARE = 50
"""Of how much time one part goes into looking: there may be thousands of folders that are not the cache's."""

_EXPIRED_AT_ONCE = 32
"""The number of entries that a write looks at to remove those that have expired: a millisecond at most."""

_PURGED_AT_ONCE = 500
"""The number of rows that a write looks at to delete those of an earlier scan: half a millisecond."""

_FREED_AT_ONCE = 64
"""The number of pages that a write gives back to the file system."""


class Upkeep:
    """The upkeep of one index. The caller holds the lock of the index.

    Args:
        clock: Returns the time in seconds since the epoch.
        sweep_interval: Returns how often expired entries are searched for, in seconds; None is never.
        lifetime_of: Reads when an entry begins and ends by its own word; None if it cannot be read.
        is_entry: Whether the file at a path is the entry of a name, by what it says.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        sweep_interval: Callable[[], float | None],
        lifetime_of: Callable[[Address], Lifetime | None],
        is_entry: Callable[[str, str], bool],
    ) -> None:
        self._clock = clock
        self._sweep_interval = sweep_interval
        self._lifetime_of = lifetime_of
        self._is_entry = is_entry
        self.forget()

    def forget(self) -> None:
        """Start again: the database is another one, or the process is a forked child."""
        self._compare_after = 0.0
        self._rescan: Rescan | None = None
        self._rescan_after = 0.0
        self._rescan_seconds = 0.0
        self._is_tidy = False
        self._swept_at: float | None = None
        self._position: Position = BEGINNING

    def before(self, change: Change) -> None:
        """Do what comes before a change of the files: look for folders that another program changed."""
        started = monotonic()
        if started >= self._compare_after:
            change.compare()
            ended = monotonic()
            self._compare_after = ended + max(_COMPARE_EVERY, _SHARE * (ended - started))
            self._is_tidy = False

    def after(self, change: Change) -> list[Removed]:
        """Do a slice of what is due after a change of the files, and return the entries that were removed."""
        if change.found_stale or self._rescan is not None or not self._is_tidy:
            self._scan(change)
        if not self._is_tidy:
            self._is_tidy = self._tidy_up(change)
        return self._sweep(change)

    def _tidy_up(self, change: Change) -> bool:
        """Delete some of the rows of earlier scans, and return whether there are no more."""
        change.rows.shrink(_FREED_AT_ONCE)
        state = change.rows.state()
        if state.purged_to < state.purge_to:
            change.rows.purge(state, _PURGED_AT_ONCE)
            return False
        return True

    def _sweep(self, change: Change) -> list[Removed]:
        interval, now = self._sweep_interval(), self._clock()
        if interval is None or (
            self._swept_at is not None and self._swept_at <= now < self._swept_at + interval
        ):
            return []
        # Another process may have swept meanwhile.
        swept_at = change.rows.state().swept_at
        if swept_at > now:
            # The clock was set back, which must not put off the next sweep for long.
            swept_at = now
            change.rows.note_sweep(now)
        self._swept_at = swept_at
        if now < swept_at + interval:
            return []
        cleaner = Cleaner(change, now)
        position = cleaner.expire(self._position, _EXPIRED_AT_ONCE, self._lifetime_of)
        if position is None:
            change.rows.note_sweep(now)
            self._swept_at = now
        self._position = position or BEGINNING
        return cleaner.removed

    def _scan(self, change: Change) -> None:
        started = monotonic()
        if self._rescan is None:
            found = change.rows.stale_folder() if started >= self._rescan_after else None
            if found is None:
                return
            rescan = Rescan(*found, is_entry=self._is_entry)
            if not rescan.begin(change, take_over=False):
                return
            self._rescan, self._rescan_seconds = rescan, 0.0
        more = self._rescan.step(change)
        ended = monotonic()
        self._rescan_seconds += ended - started
        if not more:
            self._rescan = None
            # Another program may change a folder all the time.
            self._rescan_after = ended + self._rescan_seconds
