"""Looking through a folder that somebody else changed, a slice at a time, while it is written to."""

from __future__ import annotations

from array import array
from time import monotonic
from typing import TYPE_CHECKING

from spark_cache.stores.base import UNKNOWN, block_size
from spark_cache.stores.index.segments import Known
from spark_cache.stores.index.totals import fresh_mark
from spark_cache.stores.walk import ENDING, scan_folder, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cache.stores.index.rows import Folder
    from spark_cache.stores.index.totals import ModelTotals
    from spark_cache.stores.index.transaction import IndexTransaction, Work

__all__ = ["rescan"]

_SLICE = 128
"""How many files are looked at at once: some 0.5 ms."""

_FILED_AT_ONCE = 4096
"""How many are filed together, in the order of their last use: of more than these, the order is a rough one."""

_GIVEN_UP = 60.0
"""Who has not gone on looking through a folder for so long, in seconds, was stopped."""


def rescan(root: str, transaction: IndexTransaction, folder: Folder, *, at_once: bool) -> Iterator[None]:
    """Count and file the entries of a folder anew, a slice at each step.

    What this cache's own writers change meanwhile is asked for again at the end. What somebody else changes meanwhile leaves the
    folder in doubt.

    Args:
        root: The cache directory.
        transaction: The index transaction.
        folder: The folders of the provider and of the model.
        at_once: Whether to take over from a process that is at it; else it is left to that one.

    Raises:
        OSError: The machine failed.
        sqlite3.Error, ValueError: The books could not be kept.
    """
    return _Listing(root, transaction, folder).steps(at_once=at_once)


class _Listing:
    def __init__(self, root: str, transaction: IndexTransaction, folder: Folder) -> None:
        self._root = root
        self._transaction = transaction
        self._folder = folder
        self._series = fresh_mark()
        self._filed = 0
        # By what a name hashes to in this process: a million names take a few megabytes.
        self._names = array("q")
        self._sizes = array("q")

    def steps(self, *, at_once: bool) -> Iterator[None]:
        with self._transaction.open(around=True) as work:
            model_totals = work.index_totals.folders.get(self._folder)
            now = monotonic()
            # A time ahead of the clock is one from before the machine was started.
            busy = now - _GIVEN_UP < work.index.listed_at() <= now
            if model_totals is None or (busy and not at_once):
                return
            model_totals.stale = mark = fresh_mark()
            work.index.begin_listing(self._folder, self._series, now)
        found: list[Known] = []
        # A folder that goes meanwhile ends the listing, and the look around below tells.
        for number, stored in enumerate(scan_folder(self._root, *self._folder), 1):
            name, size = stored.address.name, stored.size_bytes
            self._names.append(hash(name))
            self._sizes.append(size)
            found.append(Known(name, size, UNKNOWN, stored.used_at))
            if len(found) == _FILED_AT_ONCE:
                if not self._file(found):
                    return
                found = []
            if number % _SLICE == 0:
                yield
        if not self._file(found):
            return
        with self._transaction.open(around=True) as work:
            model_totals = work.index_totals.folders.get(self._folder)
            if model_totals is not None and model_totals.stale == mark:
                self._settle(work, model_totals)
            work.index.end_listing(self._series, self._folder)

    def _file(self, found: list[Known]) -> bool:
        """File what was found; False when somebody else has begun to look through a folder."""
        with self._transaction.open() as work:
            if not work.index.go_on_listing(self._series, monotonic()):
                return False
            if found:
                work.index.file_in(self._series, found)
        self._filed += len(found)
        return True

    def _settle(self, work: Work, model_totals: ModelTotals) -> None:
        """Make what was counted the account of the folder, with what changed since the counting began."""
        touched = work.index.touched(self._folder)
        hashes = set(map(hash, touched))
        # One that was replaced meanwhile may have been listed twice.
        counted = [size for name, size in zip(self._names, self._sizes, strict=True) if name in hashes]
        path = f"{self._root}/{self._folder[0]}/{self._folder[1]}"
        there = [
            Known(name, status.st_size, UNKNOWN, status.st_mtime)
            for name in touched
            if (status := status_of(f"{path}/{name}{ENDING}")) is not None
        ]
        work.index_totals.dead.append(model_totals.series)
        model_totals.series, model_totals.stale = self._series, 0
        model_totals.entries = len(self._sizes) - len(counted) + len(there)
        model_totals.size_bytes = sum(self._sizes) - sum(counted) + sum(known.size for known in there)
        model_totals.occupied_bytes = (
            sum(map(block_size, self._sizes))
            - sum(map(block_size, counted))
            + sum(block_size(known.size) for known in there)
        )
        model_totals.filed = self._filed
        work.index.file(model_totals, there)
        # What was touched is filed twice by now.
        model_totals.certain_from = work.index.next_number
