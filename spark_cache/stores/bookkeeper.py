"""Keeping a file store within its cap and free of expired entries by its books, a slice with every write.

Costs the same for a thousand entries and for a million. A fault of the books is nobody else's: each verb then says that it did nothing.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from contextlib import suppress
from functools import partial
from threading import Lock
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, TypeVar

from spark_cache.stores.base import Address
from spark_cache.stores.books import Books
from spark_cache.stores.eviction import block_size
from spark_cache.stores.listing import look_through
from spark_cache.stores.removal import evict, expire, remove_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.accounts import Accounts
    from spark_cache.stores.base import Stored
    from spark_cache.stores.books import Change, Work
    from spark_cache.stores.journal import Noted
    from spark_cache.stores.removal import Removed
    from spark_cache.stores.sweeps import Sweeps

__all__ = ["Bookkeeper"]

T = TypeVar("T")

_FAULTS = (OSError, sqlite3.Error, ValueError)

_FOLDED_AT_ONCE = 128
"""How many records of the journal are folded at once: less than a millisecond."""

_EVICTED_AT_ONCE = 32
_EXPIRED_AT_ONCE = 128
_CLEANED_AT_ONCE = 512

_LISTING_TIME = 0.003
"""How long one write looks through folders that somebody else changed, in seconds."""

_LISTING_SHARE = 10
"""Of how much time one part goes into looking through folders: somebody else may change them all the time."""

_LOOK_AROUND = 1.0
"""How often to look for folders that somebody else changed, in seconds."""

_OUT_FOR = 60.0
"""How long to do without books that the machine failed to keep, in seconds."""


class Bookkeeper:
    """Keeps the books of a store, and removes by them what is too much or too old. Safe for threads, and in a forked child.

    Args:
        root: The cache directory.
        hidden: The folder for the books; it has to be there when something is noted.
        sweeps: When expired entries are looked for in passing; None is never.
        clock: The time in seconds since the epoch.
        end_of: When the life of the entry at an address ends by its own word (``NEVER``), and its length; None when there is none.
        on_removed: Told of each entry that is removed in passing: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        root: str,
        *,
        hidden: str,
        sweeps: Sweeps | None,
        clock: Callable[[], float],
        end_of: Callable[[Address], tuple[float, int] | None],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self._root = root
        self._books = Books(root, hidden)
        self._sweeps = sweeps
        self._clock = clock
        self._end_of = end_of
        self._on_removed = on_removed
        self._out_until = 0.0
        self._evicting = False
        self._listing: Iterator[None] | None = None
        self._list_after = 0.0
        self._look_after = 0.0
        self._tending = Lock()
        self._held = False
        weakref.finalize(self, self._books.close)
        itself = weakref.ref(self)
        # Nobody forks in the middle of a change: a copy of it in the child would undo the parent's.
        os.register_at_fork(
            before=lambda: _at_fork(itself, Bookkeeper._hold),
            after_in_parent=lambda: _at_fork(itself, Bookkeeper._let_go),
            after_in_child=lambda: _at_fork(itself, Bookkeeper._forget),
        )

    @property
    def working(self) -> bool:
        """Whether the books are kept; else others have to see to what they are for."""
        return monotonic() >= self._out_until

    def begin(self, at: Address, *, create: bool) -> Change | None:
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
            return self._books.begin(at, create=create)
        except _FAULTS as fault:
            self._suffer(fault)
            return None

    def end(
        self, at: Address, change: Change, size: int, *, expires_at: float, used_at: float
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
            return self._books.end(at, change, size, expires_at=expires_at, used_at=used_at)
        except _FAULTS as fault:
            self._suffer(fault)
            return None

    def cancel(self) -> None:
        """Take back what was announced: nothing was changed."""
        self._tried(self._books.cancel)

    def tend(self, noted: Noted, size_bytes: int, cap_bytes: float | None, now: float) -> None:
        """Do a slice of whatever is due after a write; a second writer meanwhile need not wait to do the same.

        Args:
            noted: What the journal said of the write.
            size_bytes: The length of what was written.
            cap_bytes: What the store may occupy; None is no bound.
            now: The time in seconds since the epoch.
        """
        try:
            sweep = self._sweeps is not None and self._sweeps.due(now)
        except OSError as fault:
            self._suffer(fault)
            return
        fold = noted.waiting >= _FOLDED_AT_ONCE
        full = cap_bytes is not None and (self._evicting or noted.occupied > cap_bytes)
        if not (fold or full or sweep or self._books.doubted or self._listing is not None):
            return
        if not self._tending.acquire(blocking=False):
            return
        removed: list[tuple[Removed, str]] = []
        try:
            cap = cap_bytes if full else None
            self._tried(lambda: self._tend(removed, block_size(size_bytes), fold=fold, cap=cap, sweep=sweep))
        finally:
            self._tending.release()
            self._report(removed)

    def accounts(self, *, write: bool) -> Accounts | None:
        """What the folders hold; None when there are no books.

        Args:
            write: Whether folders that somebody else changed may be looked through now; else they stay in doubt.
        """
        if not self.working:
            return None
        if write:
            self._tried(self._look_through_all)
        return self._tried(self._books.view)

    def expire_all(self, provider_folder: str | None) -> tuple[int, bool]:
        """Remove every entry whose life is over.

        Args:
            provider_folder: Whose entries; None is everybody's.

        Returns:
            How many there were, and whether it is done: else others have to go on.

        Raises:
            OSError: One could not be removed.
        """
        self._tried(self._look_through_all)
        now, count = self._clock(), 0

        def step(work: Work) -> tuple[bool, int, OSError | None]:
            more, removed, error = expire(
                self._root, work, now, _CLEANED_AT_ONCE, provider_folder, self._end_of
            )
            return more, _number(removed), error

        while (done := self._worked(step)) is not None:
            more, removed, error = done
            count += removed
            if error is not None:
                raise error
            if not more:
                return count, not self._books.doubted
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

    # -- in passing -------------------------------------------------------------------------------

    def _tend(
        self,
        removed: list[tuple[Removed, str]],
        grown: int,
        *,
        fold: bool,
        cap: float | None,
        sweep: bool,
    ) -> None:
        if fold:
            with self._books.open(around=self._is_time_to_look()):
                pass
        if self._books.doubted or self._listing is not None:
            self._look_through_some()
        if cap is not None:
            self._evict(cap, grown, removed)
        if sweep:
            self._sweep(removed)

    def _report(self, removed: list[tuple[Removed, str]]) -> None:
        for gone, why in removed:
            for folder, entries in gone.items():
                for known in entries:
                    self._on_removed(Address(*folder, known.name), known.size, why)

    def _is_time_to_look(self) -> bool:
        """Whether to look for folders that somebody else changed."""
        now = monotonic()
        if now < self._look_after:
            return False
        self._look_after = now + _LOOK_AROUND
        return True

    def _evict(self, cap: float, grown: int, removed: list[tuple[Removed, str]]) -> None:
        with self._books.open(around=self._is_time_to_look()) as work:
            occupied = work.accounts.occupied_bytes
            if occupied <= cap and not self._evicting:
                return
            gone, error = evict(self._root, work, cap, entries=_EVICTED_AT_ONCE, grown=grown)
        removed.append((gone, "evict"))
        self._evicting = bool(gone) and error is None
        if error is not None:
            raise error

    def _sweep(self, removed: list[tuple[Removed, str]]) -> None:
        with self._books.open(around=self._is_time_to_look()) as work:
            more, gone, error = expire(self._root, work, self._clock(), _EXPIRED_AT_ONCE, None, self._end_of)
        removed.append((gone, "expire"))
        if error is not None:
            raise error
        if not more and self._sweeps is not None:
            self._sweeps.done()

    def _look_through_some(self) -> None:
        now = monotonic()
        if self._listing is None:
            if now < self._list_after:
                return
            folder = self._books.doubted[0]
            self._listing = look_through(self._root, self._books, folder, at_once=False)
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

    # -- at once ----------------------------------------------------------------------------------

    def _look_through_all(self) -> None:
        try:
            accounts = self._books.view()
        except ValueError:
            accounts = self._begun_anew()
        for folder, account in accounts.folders.items():
            if account.doubt:
                for _ in look_through(self._root, self._books, folder, at_once=True):
                    # Threads that write meanwhile have a turn.
                    sleep(0)

    def _begun_anew(self) -> Accounts:
        """The accounts of books that are damaged: who opens them gives them up, and who opens them next begins them."""
        with suppress(ValueError), self._books.open():
            pass
        with self._books.open(around=True) as work:
            return work.accounts

    def _worked(self, step: Callable[[Work], T]) -> T | None:
        """Do a step with the books; None when it could not be done."""

        def work() -> T:
            with self._books.open() as opened:
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
        # Held by somebody for too long; not begun; damaged, and begun anew by the next: all of these pass.
        if not isinstance(fault, BlockingIOError | FileNotFoundError | ValueError):
            self._out_until = monotonic() + _OUT_FOR

    # -- at a fork --------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._held = self._books.lock.acquire(timeout=1.0)

    def _let_go(self) -> None:
        if self._held:
            self._books.lock.release()

    def _forget(self) -> None:
        self._tending = Lock()
        self._listing = None
        self._books.forget()


def _remove_all(root: str, listed: list[Stored], work: Work) -> tuple[int, OSError | None]:
    removed, error = remove_all(root, work, listed)
    return _number(removed), error


def _number(removed: Removed) -> int:
    return sum(map(len, removed.values()))


def _at_fork(bookkeeper: weakref.ref[Bookkeeper], verb: Callable[[Bookkeeper], None]) -> None:
    alive = bookkeeper()
    if alive is not None:
        verb(alive)
