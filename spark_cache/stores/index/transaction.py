"""A change of files and of the index. A fault of the index ends its part in the change, and never the change."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from spark_cache.stores.index.change import Change
from spark_cache.stores.index.removal import Cleaner
from spark_cache.stores.index.rows import Rows
from spark_cache.stores.walk import folder_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_cache.stores.base import Address
    from spark_cache.stores.index.removal import Removed
    from spark_cache.stores.index.rows import Row

__all__ = ["FAULTS", "Transaction"]

T = TypeVar("T")

FAULTS = (OSError, sqlite3.Error, ValueError, OverflowError)
"""What the machine raises, and what is raised for a damaged database."""


class Transaction:
    """One change under the lock of the index.

    Args:
        root: The cache directory.
        database: The connection, in a transaction; None if the change is made without the index.
        removed: Takes the entries that are evicted or removed by the upkeep.
        on_change: Called before something is changed, at least once.
        on_fault: Called with a fault of the index, after the rollback.
    """

    def __init__(
        self,
        root: str,
        database: sqlite3.Connection | None,
        removed: list[Removed],
        *,
        on_change: Callable[[], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._root = root
        self._database = database
        self._change = None if database is None else Change(root, Rows(database))
        self._on_change = on_change
        self._on_fault = on_fault
        self._changes_before = 0 if database is None else database.total_changes
        self._unnoted: set[str] = set()
        self.is_sound = True
        """Whether the transaction was committed or rolled back completely."""
        self._removed = removed

    @property
    def is_indexed(self) -> bool:
        """Whether the index takes part."""
        return self._change is not None

    def attempt(self, verb: Callable[[Change], T]) -> T | None:
        """Use the index; None if it takes no part, or no longer."""
        if self._change is None:
            return None
        try:
            return verb(self._change)
        except FAULTS as fault:
            self._fail(fault)
            return None

    def announce(self, at: Address) -> None:
        """Note the state of a folder before its files are changed."""

        def announce(change: Change) -> None:
            self._on_change()
            change.folder(at.provider_folder, at.model_folder)

        self.attempt(announce)

    def make_room(self, at: Address, needed: int, cap_bytes: float, now: float) -> OSError | None:
        """Evict entries until the store has room.

        Args:
            at: The address that is written to.
            needed: The bytes that are to be added, in blocks.
            cap_bytes: The bytes that the store may occupy.
            now: The time, in seconds since the epoch.

        Returns:
            Why there is no room; None if there is, or if the index takes no part.
        """

        def evict(change: Change) -> OSError | None:
            cleaner = Cleaner(change, now)
            has_room = cleaner.make_room(needed, cap_bytes, at)
            self._note(cleaner.removed)
            return None if has_room else cleaner.error

        return self.attempt(evict)

    def tend(self, upkeep: Callable[[Change], list[Removed]]) -> None:
        """Do a slice of the upkeep."""
        self._note(self.attempt(upkeep) or [])

    def find(self, at: Address, status: os.stat_result) -> Row | None:
        """Return the row of a file, if the index has one for its size and modification time."""
        return self.attempt(lambda change: change.find(at, status))

    def add(self, at: Address, *, expires: float) -> None:
        """Count a file that was put in place."""
        self._unnoted.add(folder_path(self._root, at))
        self.attempt(lambda change: change.add(at, expires=expires))

    def subtract(self, at: Address, size: int, row: Row | None) -> None:
        """Stop counting a file that was removed or replaced."""
        self._unnoted.add(folder_path(self._root, at))
        self.attempt(lambda change: change.subtract(at, size, row))

    def _note(self, removed: list[Removed]) -> None:
        self._removed += removed
        self._unnoted |= {folder_path(self._root, gone.address) for gone in removed}

    def end(self) -> None:
        """Commit the transaction."""
        self.attempt(Change.save)
        if self._database is not None and self._change is not None:
            try:
                if self._database.total_changes != self._changes_before:
                    self._on_change()
                self._database.execute("COMMIT")
                self._database = None
            except FAULTS as fault:
                self._fail(fault)
        if self._change is None:
            self._mark_changed()
        self._unnoted = set()

    def abort(self) -> None:
        """Roll the transaction back, unless it has ended."""
        if self._database is not None:
            self._change = None
            try:
                self._database.execute("ROLLBACK")
            except FAULTS:
                self.is_sound = False
            self._database = None
            self._mark_changed()

    def _mark_changed(self) -> None:
        """Give the folders whose files were changed a modification time that the index has not seen.

        The kernel's own time advances in steps of milliseconds, so two changes in a row may leave the same time.
        """
        now_ns = time.time_ns()
        for folder in self._unnoted:
            with suppress(OSError):
                os.utime(folder, ns=(now_ns, now_ns))

    def _fail(self, fault: Exception) -> None:
        self.abort()
        self._on_fault(fault)
