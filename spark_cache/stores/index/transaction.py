"""The books of a store: the journal that changes are noted in, and the index that it is folded into, many records at once.

Raises what the machine does, and ``ValueError`` for a file that is damaged and given up: the caller goes on without books.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from spark_cache.stores.base import GONE
from spark_cache.stores.index.database import INDEX_FILE, IndexFile
from spark_cache.stores.index.journal import Journal, Record
from spark_cache.stores.index.rows import Folded, Index
from spark_cache.stores.index.totals import IndexTotals, fresh_mark
from spark_cache.stores.private import own_file
from spark_cache.stores.walk import ENDING, folder_time, is_there, model_folders, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Lock

    from spark_cache.stores.base import Address
    from spark_cache.stores.index.journal import Noted
    from spark_cache.stores.index.rows import Folder

__all__ = ["JOURNAL_FILE", "IndexChange", "IndexTransaction", "Work"]

JOURNAL_FILE = "journal"
"""The name of the journal in the hidden folder."""

_UNNOTED_FILE = "unnoted"
"""The file that is there when something was changed without the lock, which the folders' times may not tell."""


class IndexChange(NamedTuple):
    """A change under way.

    Attributes:
        occupied: The bytes in blocks that the store occupies.
        old_size: The length of the file that stands at the place; ``GONE`` when none does.
        before: The folder's time, in nanoseconds; 0 when there is no folder.
    """

    occupied: int
    old_size: int
    before: int


@dataclass(frozen=True, slots=True)
class Work:
    """The books, up to date and locked."""

    index_totals: IndexTotals
    index: Index


class IndexTransaction:
    """The books of one store.

    Args:
        root: The cache directory.
        hidden: The folder for the journal and the index.
    """

    def __init__(self, root: str, hidden: str) -> None:
        self._root = root
        self._journal = Journal(f"{hidden}/{JOURNAL_FILE}")
        self._file = IndexFile(f"{hidden}/{INDEX_FILE}")
        self._unnoted = f"{hidden}/{_UNNOTED_FILE}"
        self.stale_models: list[Folder] = []
        """The folders that somebody else changed, when the books were last open."""

    @property
    def lock(self) -> Lock:
        """What the threads of this process share; who forks holds it meanwhile."""
        return self._journal.lock

    def forget(self) -> None:
        """Begin anew in a forked child."""
        self._journal.forget()
        self._file.close()
        self.stale_models = []

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()
        self._file.close()

    def begin(self, at: Address, *, create: bool) -> IndexChange:
        """Take the lock, to change what stands at an address; :meth:`end` or :meth:`cancel` lets go of it.

        Args:
            at: The place.
            create: Whether the journal may be made; else there are no books where there is none.
        """
        self._journal.acquire(create=create)
        try:
            if not self._journal.begun:
                self._begin_journal()
            folder = f"{self._root}/{at.provider_folder}/{at.model_folder}"
            old_size = size_of(f"{folder}/{at.name}{ENDING}")
            return IndexChange(
                self._journal.occupied, GONE if old_size is None else old_size, folder_time(folder)
            )
        except BaseException:
            self._journal.release()
            raise

    def end(self, at: Address, change: IndexChange, size: int, *, expires_at: float, used_at: float) -> Noted:
        """Note a change that was made.

        Args:
            at: Its place.
            change: What :meth:`begin` said.
            size: The length of the file that is there now; ``GONE``.
            expires_at: When its life ends.
            used_at: The time it was given.
        """
        occupied, old_size, before = change
        try:
            after = folder_time(f"{self._root}/{at.provider_folder}/{at.model_folder}")
            return self._journal.append(
                "/".join(at),
                old_size,
                size,
                occupied=occupied,
                expires_at=expires_at,
                used_at=used_at,
                before=before,
                after=after,
            )
        except ValueError:
            self._journal.end()
            raise
        finally:
            self._journal.release()

    def cancel(self) -> None:
        """Note nothing, and let go of the lock."""
        self._journal.release()

    def stale(self) -> None:
        """Say, without the lock, that something was changed which is not noted; nothing, where there are no books."""
        if self._journal.exists:
            os.close(own_file(self._unnoted, create=True))

    @contextmanager
    def open(self, *, around: bool = False) -> Iterator[Work]:
        """Have the books up to date and locked in a ``with`` block; what it does to them is kept when it ends well.

        Args:
            around: Whether to look for folders that somebody else changed.
        """
        self._journal.acquire()
        try:
            with self._folded(around=around) as work:
                yield work
        finally:
            self._journal.release()

    def view(self) -> IndexTotals:
        """The accounts as they are now, with folders that somebody else changed marked; nothing is written."""
        self._journal.acquire(create=False)
        try:
            with self._file.view() as database:
                index = None if database is None else Index(database)
                index_totals = IndexTotals({} if index is None else index.index_totals())
                mark, records = self._journal.records() if self._journal.begun else (0, [])
                folded = Folded(0, 0) if index is None else index.folded()
            index_totals.post(records[folded.records if folded.mark == mark else 0 :])
            index_totals.compare(model_folders(self._root), doubt_all=is_there(self._unnoted))
            return index_totals
        finally:
            self._journal.release()

    @contextmanager
    def _folded(self, *, around: bool) -> Iterator[Work]:
        mark = 0
        records: list[Record] = []
        if self._journal.begun:
            try:
                mark, records = self._journal.records()
            except ValueError:
                self._journal.end()
        with self._file.change() as database:
            index = Index(database)
            index_totals = IndexTotals(index.index_totals())
            unnoted = is_there(self._unnoted)
            # A new index knows nothing of what was folded into an earlier one.
            around = around or unnoted or not index_totals.folders or not self._journal.begun
            folded = index.folded()
            # A process that was killed between the two steps below has folded them already.
            index_totals.post(records[folded.records if folded.mark == mark else 0 :])
            if around:
                index_totals.compare(model_folders(self._root), doubt_all=unnoted)
            index.save(index_totals)
            index.note_folded(Folded(mark, len(records)))
            yield Work(index_totals, index)
            index.save(index_totals)
        self.stale_models = [
            folder for folder, model_totals in index_totals.folders.items() if model_totals.stale
        ]
        if unnoted:
            os.unlink(self._unnoted)
        self._journal.begin(index_totals.occupied_bytes, fresh_mark())

    def _begin_journal(self) -> None:
        if not self._file.exists and not model_folders(self._root):
            # A new store: the index can wait until there is something to fold.
            self._journal.begin(0, fresh_mark())
            return
        with self._folded(around=True):
            pass
