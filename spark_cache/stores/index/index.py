"""The index of one store. Every change of its files runs in a transaction of the index, under one lock.

A fault of the index never becomes a fault of the store: the change is made without it, and noticed later by the modification time
of the folder.
"""

from __future__ import annotations

import time
import weakref
from contextlib import closing, contextmanager
from functools import partial
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from spark_cache._lazy import at_fork
from spark_cache.stores.filesystems import is_remote
from spark_cache.stores.index.database import INDEX_FILE, IndexFile, is_transient
from spark_cache.stores.index.lock import IndexLock
from spark_cache.stores.index.removal import BEGINNING, Cleaner
from spark_cache.stores.index.rescan import Rescan
from spark_cache.stores.index.rows import Folder, Rows
from spark_cache.stores.index.transaction import FAULTS, Transaction
from spark_cache.stores.index.upkeep import Upkeep
from spark_cache.stores.names import LOCKS
from spark_cache.stores.walk import model_folders

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import Address, Lifetime
    from spark_cache.stores.index.change import Change
    from spark_cache.stores.index.removal import Position, Removed

__all__ = ["Index"]

T = TypeVar("T")

_PATIENCE = 2.0
"""How long a change waits for the lock, in seconds. Its holder may have been stopped."""

_IMPATIENT_TIMES = 5
"""After a change has waited in vain, the next ones do not wait, for this many times as long."""

_OUT_FOR = 60.0
"""How long the index is not used after a fault of the machine, in seconds."""

_CLEANED_AT_ONCE = 256
"""The number of entries that a clean-up looks at in one transaction."""


class Index:
    """The index of one store. Safe for threads and processes, and in a forked child.

    Args:
        root: The cache directory.
        hidden: The hidden folder.
        clock: Returns the time in seconds since the epoch.
        sweep_interval: Returns how often expired entries are searched for in passing, in seconds; None is never.
        lifetime_of: Reads when an entry begins and ends by its own word; None if it cannot be read.
        is_entry: Whether the file at a path is the entry of a name, by what it says.
    """

    def __init__(
        self,
        root: str,
        *,
        hidden: str,
        clock: Callable[[], float],
        sweep_interval: Callable[[], float | None],
        lifetime_of: Callable[[Address], Lifetime | None],
        is_entry: Callable[[str, str], bool],
    ) -> None:
        self._root = root
        self._clock = clock
        self._lifetime_of = lifetime_of
        self._is_entry = is_entry
        self._file = IndexFile(f"{hidden}/{INDEX_FILE}")
        self._lock = Lock()
        self._lock_file = IndexLock(f"{hidden}/{LOCKS}/index")
        self._upkeep = Upkeep(
            clock, sweep_interval=sweep_interval, lifetime_of=lifetime_of, is_entry=is_entry
        )
        self._on_network: bool | None = None
        self._out_until = 0.0
        self._impatient_until = 0.0
        self._is_held = False
        self._is_forking = False
        weakref.finalize(self, self._file.close)
        weakref.finalize(self, self._lock_file.close)
        # No fork happens in the middle of a transaction: its copy in the child would roll it back.
        at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._forget)

    @property
    def on_network(self) -> bool:
        """Whether the directory is on a network file system, where no index is kept."""
        if self._on_network is None:
            # Neither locks nor the modification times of folders can be relied on there.
            self._on_network = is_remote(self._root)
        return self._on_network

    @contextmanager
    def change(
        self, *, removed: list[Removed] | None = None, deadline: float | None = None
    ) -> Iterator[Transaction]:
        """Change files in a ``with`` block, under the lock.

        Args:
            removed: Takes the entries that are evicted, or removed by a slice of the upkeep. Without it there is no upkeep.
            deadline: When to stop waiting for the lock, by the monotonic clock; None waits for two seconds.

        Raises:
            BlockingIOError: The lock could not be had in time. Nothing may be changed.
        """
        locked = self._acquire(deadline)
        transaction = Transaction(
            self._root,
            self._begin() if locked else None,
            [] if removed is None else removed,
            on_change=self._lock_file.mark,
            on_fault=self._suffer,
        )
        try:
            if removed is not None:
                transaction.attempt(self._upkeep.before)
            yield transaction
            if removed is not None:
                transaction.tend(self._upkeep.after)
            transaction.end()
        finally:
            transaction.abort()
            if locked:
                self._release(is_sound=transaction.is_sound)

    def folders(self) -> list[Folder] | None:
        """Return the totals of every folder; None if there is no index. Folders that another program changed are scanned first."""
        found = self._run(_compared)
        stale = [folder for folder in found or () if folder.stale]
        for folder in stale:
            self._rescan(folder)
        return self._run(_compared) if stale else found

    def inspect(self) -> list[Folder] | None:
        """Return the totals of every folder without writing anything; None if there is no index, or none that can be read."""
        try:
            with closing(self._file.open_read_only()) as database:
                folders = Rows(database).folders()
        except FAULTS:
            return None
        on_disk = model_folders(self._root)
        for folder in folders:
            if on_disk.pop((folder.provider, folder.model), 0) != folder.seen_ns:
                folder.stale = 1
        return folders + [Folder(0, *names, stale=1) for names in on_disk]

    def expire(self, provider_folder: str | None) -> tuple[int, bool]:
        """Remove every expired entry.

        Args:
            provider_folder: Removes only entries of this provider.

        Returns:
            How many there were, and whether that is all of them: there may be no index.

        Raises:
            OSError: An entry could not be removed.
        """
        if self.folders() is None:
            return 0, False
        number = 0
        position: Position | None = BEGINNING
        while position is not None:
            done = self._run(partial(self._expire_some, position, provider_folder))
            if done is None:
                return number, False
            cleaner, next_position = done
            number += len(cleaner.removed)
            if cleaner.error is not None:
                raise cleaner.error
            # The first rows again, while there were some: more entries may be dated in the future.
            position = BEGINNING if next_position is None and cleaner.removed else next_position
        return number, True

    def _expire_some(
        self, after: Position, provider_folder: str | None, change: Change
    ) -> tuple[Cleaner, Position | None]:
        cleaner = Cleaner(change, self._clock())
        return cleaner, cleaner.expire(after, _CLEANED_AT_ONCE, self._lifetime_of, provider_folder)

    def _rescan(self, folder: Folder) -> None:
        rescan = Rescan(folder.provider, folder.model, is_entry=self._is_entry)
        more = self._run(partial(rescan.begin, take_over=True))
        while more:
            more = self._run(rescan.step)

    def _run(self, verb: Callable[[Change], T]) -> T | None:
        """Use the index in a transaction of its own; None if there is no index, or if it fails."""
        # Other threads that write have a turn.
        time.sleep(0)
        try:
            with self.change() as transaction:
                return transaction.attempt(verb)
        except BlockingIOError:
            return None

    # -- the lock and the database -----------------------------------------------------------------

    def _acquire(self, deadline: float | None) -> bool:
        """Take the lock. Return False if there can be none: the change is made without the index.

        Raises:
            BlockingIOError: It could not be had in time.
        """
        if self.on_network:
            return False
        while self._is_forking:
            # A thread that waits for the fork would otherwise rarely get the lock.
            time.sleep(0.001)
        now = monotonic()
        timeout = _PATIENCE if deadline is None else max(0.0, min(_PATIENCE, deadline - now))
        if not self._lock.acquire(timeout=timeout):
            raise BlockingIOError
        is_patient = now >= self._impatient_until
        try:
            self._lock_file.acquire(timeout if is_patient else 0.0)
        except BlockingIOError:
            if is_patient:
                self._impatient_until = monotonic() + _IMPATIENT_TIMES * timeout
            self._lock.release()
            raise
        except OSError:
            self._lock.release()
            return False
        except BaseException:
            self._lock.release()
            raise
        self._impatient_until = 0.0
        return True

    def _release(self, *, is_sound: bool) -> None:
        try:
            self._lock_file.release(is_sound=is_sound)
        finally:
            self._lock.release()

    def _begin(self) -> sqlite3.Connection | None:
        if monotonic() < self._out_until:
            return None
        try:
            if self._lock_file.is_marked():
                self._file.delete()
            if not self._file.exists:
                self._lock_file.mark()
            database = self._file.open(self._clock())
            database.execute("BEGIN IMMEDIATE")
        except FAULTS as fault:
            self._suffer(fault)
            return None
        return database

    def _suffer(self, fault: Exception) -> None:
        """Go on without the index after a fault: for a while, or until it is rebuilt by the next change."""
        self._upkeep.forget()
        if is_transient(fault):
            self._file.close()
            self._out_until = monotonic() + _OUT_FOR
        else:
            self._file.delete()

    # -- fork --------------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._is_forking = True
        self._is_held = self._lock.acquire(timeout=1.0)

    def _let_go(self) -> None:
        self._is_forking = False
        if self._is_held:
            self._lock.release()

    def _forget(self) -> None:
        self._is_forking = False
        self._lock = Lock()
        self._lock_file.close()
        self._upkeep.forget()
        self._file.forget(close=self._is_held)


def _compared(change: Change) -> list[Folder]:
    """Return the totals of every folder, after those that another program changed were marked."""
    change.compare()
    change.save()
    return change.rows.folders()
