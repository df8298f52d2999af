"""The file store: one JSON file per entry, ``<root>/<provider>/<model>/<name>.json``.

Reads take no lock: a file is replaced in one step, so a reader has the old one or the new one. Everything else that the store keeps
lives in the hidden folder and can be deleted at any time.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spark_cache.errors import StoreError
from spark_cache.stores.atomic import (
    MAX_BYTES,
    commit,
    discard,
    failure,
    read_file,
    sync_folder,
    write_temporary,
)
from spark_cache.stores.base import GONE, UNKNOWN, Address, FolderTotals, added_up, block_size
from spark_cache.stores.expiry import ExpirySchedule
from spark_cache.stores.layout import Layout
from spark_cache.stores.scan_maintenance import ScanMaintenance
from spark_cache.stores.walk import ENDING, folders, is_there, leads_out, remove_if_empty, scan_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spark_cache.stores.base import Stored
    from spark_cache.stores.index.transaction import IndexChange
    from spark_cache.stores.index.writer import IndexWriter
    from spark_cache.types import MissReason

__all__ = ["FileStore"]

_USE_RESOLUTION = 60.0
"""A use is noted in the file's time when the last one is this many seconds old: order within a minute does not matter to eviction."""

_SWEPT = "swept"
"""The file in the hidden folder whose time says when expired entries were last looked for."""

_FEW = 200
"""So many entries are counted by looking at them, in a few milliseconds: that also tells what was changed inside a file."""

_SUSPECT = "a symbolic link on its path is another user's, or leads into a place that everybody may write to"


class FileStore:
    """Keeps entries as files below one directory, which is made when something is first written.

    Args:
        root: The directory, absolute.
        clock: The time in seconds since the epoch.
        commit_entries: Whether entries may be committed to version control, which decides the ``.gitignore`` it writes.
        suspect: Whether others may have a hand in where the directory lies: it is then neither read nor written.
        ends_at: When the life of an entry with these bytes ends, in seconds since the epoch; infinity for never.
        on_removed: Told of each entry that upkeep removes: where it stood, its length, and ``evict`` or ``expire``.
    """

    def __init__(
        self,
        root: str,
        *,
        clock: Callable[[], float],
        commit_entries: bool,
        suspect: bool = False,
        ends_at: Callable[[bytes], float],
        on_removed: Callable[[Address, int, str], None],
    ) -> None:
        self.root = root
        self._layout = Layout(root, clock=clock, commit_entries=commit_entries)
        self._suspect = suspect
        self._clock = clock
        self._ends_at = ends_at
        self._fsync = False
        self._cap: float | None = None
        self._schedule = ExpirySchedule(f"{self._layout.hidden}/{_SWEPT}", clock)
        # What may be committed is not swept away in passing: only who asks for a clean-up gets one.
        schedule = None if commit_entries else self._schedule
        self._sweep = schedule
        self._on_removed = on_removed
        self._opened: dict[str, IndexWriter] = {}
        self._scan_maintenance = ScanMaintenance(
            self, schedule=schedule, clock=clock, ends_at=ends_at, on_removed=on_removed
        )

    @property
    def _index(self) -> IndexWriter:
        """The index. It is made when it is first needed, because a hit needs neither the index nor sqlite3."""
        index = self._opened.get(self.root)
        if index is None:
            from spark_cache.stores.index.writer import IndexWriter  # noqa: PLC0415 - see above

            made = IndexWriter(
                self.root,
                hidden=self._layout.hidden,
                schedule=self._sweep,
                clock=self._clock,
                end_of=self._end_of,
                on_removed=self._on_removed,
            )
            # Of two threads that get here at once, both use the one that is set first. A lock would not survive a fork.
            index = self._opened.setdefault(self.root, made)
        return index

    def require(self, *, fsync: bool, cap_bytes: float | None, cleanup_interval: float) -> None:
        """Take on what one of the managers that share the store asks for; the strictest holds.

        Args:
            fsync: Whether a write waits for the disk.
            cap_bytes: What the store may occupy; None is no bound.
            cleanup_interval: How often expired entries are looked for, in seconds.
        """
        self._fsync = self._fsync or fsync
        if cap_bytes is not None:
            self._cap = cap_bytes if self._cap is None else min(self._cap, cap_bytes)
        self._schedule.require(cleanup_interval)

    def forget(self) -> None:
        """Begin with new locks in a forked child: another thread of the parent may have held the old ones."""
        self._layout.forget()
        self._scan_maintenance.forget()

    def read(self, at: Address, *, note_use: bool) -> bytes | MissReason:
        """The bytes at an address, or why there are none.

        Raises:
            StoreError: The machine failed to read, or the entry belongs to another user where this one also writes.
        """
        if self._suspect:
            raise StoreError("read", _SUSPECT)
        path = f"{self.root}/{'/'.join(at)}{ENDING}"
        found = read_file(path)
        if not isinstance(found, tuple):
            return found
        data, modified, owner = found
        if note_use:
            if owner != os.geteuid():
                raise StoreError("read", "the entry belongs to another user")
            now = self._clock()
            # Either way: a time ahead of the clock would pass for the latest use until the clock is there.
            if abs(now - modified) > _USE_RESOLUTION:
                _note_use(path, now)
        return data

    def write(
        self, at: Address, data: bytes, *, replace: bool = True, expires_at: float | None = None
    ) -> bool:
        """Put an entry in place; False when it is larger than the store may be, or may not replace the one that is there.

        Raises:
            StoreError: It could not be written; nothing of it is left behind.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        if leads_out(self.root, at.provider_folder, at.model_folder):
            raise StoreError("write", "a folder of entries is a symbolic link")
        if len(data) > MAX_BYTES or (self._cap is not None and block_size(len(data)) > self._cap):
            return False
        end = UNKNOWN if expires_at is None else expires_at
        try:
            self._layout.prepare()
            try:
                return self._put(at, data, end, replace=replace)
            except FileNotFoundError:
                # The directory was deleted while the program runs: make it anew, once.
                self._layout.prepare(again=True)
                return self._put(at, data, end, replace=replace)
        except OSError as error:
            raise failure("write", error) from None

    def prepare(self) -> None:
        """Make the directory ready to be written to, though it was before; :meth:`write` does it by itself.

        Raises:
            OSError: It could not be made.
            StoreError: It is not to be used.
        """
        if self._suspect:
            raise StoreError("write", _SUSPECT)
        self._layout.prepare(again=True)

    def remove(self, at: Address) -> bool:
        """Remove an entry; whether there was one.

        Raises:
            StoreError: It is there and could not be removed.
        """
        path = self.path(at)
        if leads_out(self.root, at.provider_folder, at.model_folder):
            return False
        with _told("remove"):
            if not is_there(path):
                return False
        change = self._index.begin(at, create=False)
        removed = False
        try:
            os.unlink(path)
            removed = True
            remove_if_empty(os.path.dirname(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise failure("remove", error) from None
        finally:
            if change is None:
                self._index.miss()
            elif removed:
                self._index.end(at, change, GONE, expires_at=UNKNOWN, used_at=0.0)
            else:
                self._index.cancel()
        return True

    def find(self, name: str) -> list[Address]:
        """Every address with this name, in whatever folder."""
        with _told("list"):
            return [
                Address(provider, model, name)
                for provider in folders(self.root)
                for model in folders(f"{self.root}/{provider}")
                if os.path.lexists(f"{self.root}/{provider}/{model}/{name}{ENDING}")
            ]

    def scan(self, provider_folder: str | None = None, model_folder: str | None = None) -> Iterator[Stored]:
        """Every entry, or those of a provider or of one of its models."""
        with _told("list"):
            for provider in folders(self.root) if provider_folder is None else [provider_folder]:
                for model in folders(f"{self.root}/{provider}") if model_folder is None else [model_folder]:
                    yield from scan_folder(self.root, provider, model)

    def totals(self, *, write: bool) -> list[FolderTotals]:
        """What the entries of each model add up to: by the books, or by looking where there are none."""
        index_totals = self._index.index_totals(write=write)
        if (
            index_totals is None
            or sum(model_totals.entries for model_totals in index_totals.folders.values()) <= _FEW
        ):
            return added_up(self.scan())
        known = [
            FolderTotals(*folder, model_totals.entries, model_totals.size_bytes, model_totals.occupied_bytes)
            for folder, model_totals in index_totals.folders.items()
            if model_totals.entries and not model_totals.stale
        ]
        stale_models = [folder for folder, model_totals in index_totals.folders.items() if model_totals.stale]
        return known + [totals for folder in stale_models for totals in added_up(self.scan(*folder))]

    def compare_index(self) -> tuple[int, int] | None:
        """Compare what is derived from the entries with the entries, and write nothing.

        Returns:
            How many models there are, and for how many the books are not right; None when no books could be read.

        Raises:
            StoreError: The entries could not be listed.
        """
        index_totals = self._index.index_totals(write=False)
        if index_totals is None:
            return None
        there = {totals[:2]: totals[2:] for totals in added_up(self.scan())}
        known = {
            folder: (model_totals.entries, model_totals.size_bytes, model_totals.occupied_bytes)
            for folder, model_totals in index_totals.folders.items()
            if model_totals.entries or model_totals.stale
        }
        stale_models = {folder for folder, model_totals in index_totals.folders.items() if model_totals.stale}
        folders = there.keys() | known.keys()
        return len(folders), sum(
            folder in stale_models or there.get(folder) != known.get(folder) for folder in folders
        )

    def expire(self, provider_folder: str | None = None) -> int:
        """Remove every entry whose life is over, or those of a provider; how many there were.

        Raises:
            StoreError: One could not be removed.
        """
        with _told("remove"):
            count, done = self._index.expire_all(provider_folder)
        if done:
            return count
        now = self._clock()
        listed = list(self.scan(provider_folder))
        return count + sum(
            self._is_over(stored.address, now) and self.remove(stored.address) for stored in listed
        )

    def clear(self, provider_folder: str | None = None, model_folder: str | None = None) -> int:
        """Remove every entry, or those of a provider or of one of its models; how many there were.

        Raises:
            StoreError: One could not be removed.
        """
        listed = list(self.scan(provider_folder, model_folder))
        with _told("remove"):
            count, done = self._index.remove_all(listed)
        return count if done else count + sum([self.remove(stored.address) for stored in listed])

    def path(self, at: Address) -> str:
        """The path of the file of an entry."""
        return f"{self.root}/{'/'.join(at)}{ENDING}"

    def _put(self, at: Address, data: bytes, end: float, *, replace: bool) -> bool:
        """Put bytes in place, note it, and do a slice of the upkeep that is due; whether they are there."""
        folder = f"{self.root}/{at.provider_folder}/{at.model_folder}"
        now = self._clock()
        transaction = self._index
        temporary = write_temporary(self._layout.scratch, data, fsync=self._fsync, now=now)
        placed, noted, cap = False, None, self._cap
        try:
            change = transaction.begin(at, create=True)
            if cap is not None and change is not None and _grown(change, len(data)) > cap:
                transaction.cancel()
                transaction.make_room(len(data), cap)
                # One slice for one write.
                cap = None
                change = transaction.begin(at, create=True)
            try:
                placed = commit(temporary, folder, at.name + ENDING, replace=replace)
            finally:
                if change is None:
                    transaction.miss()
                elif placed:
                    noted = transaction.end(at, change, len(data), expires_at=end, used_at=now)
                else:
                    transaction.cancel()
        except BaseException:
            discard(temporary)
            raise
        if self._fsync and placed:
            sync_folder(folder)
        if noted is not None:
            self._scan_maintenance.pause()
            transaction.tend(noted, len(data), cap, now)
        elif placed and not transaction.working:
            self._scan_maintenance.after_write(len(data), self._cap)
        return placed

    def _end_of(self, at: Address) -> tuple[float, int] | None:
        """When the life of an entry ends by its own word, and its length; None when there is none."""
        data = self.read(at, note_use=False)
        return (self._ends_at(data), len(data)) if isinstance(data, bytes) else None

    def _is_over(self, at: Address, now: float) -> bool:
        try:
            told = self._end_of(at)
        except StoreError:
            return False
        return told is not None and told[0] <= now


@contextmanager
def _told(operation: str) -> Iterator[None]:
    """Make the machine's errors a store's."""
    try:
        yield
    except OSError as error:
        raise failure(operation, error) from None


def _grown(change: IndexChange, size_bytes: int) -> int:
    """What the store occupies with a file of this length."""
    return change.occupied + block_size(size_bytes) - block_size(max(0, change.old_size))


def _note_use(path: str, now: float) -> None:
    folder = os.path.dirname(path)
    if os.path.islink(folder) or os.path.islink(os.path.dirname(folder)):
        # What a link leads to is not the cache's to change.
        return
    try:
        # Under two names, such as a backup's by hard links, the file is not the cache's alone.
        if os.lstat(path).st_nlink == 1:
            os.utime(path, (now, now), follow_symlinks=False)
    except OSError:
        # Least recently used is then judged by an older time; the answer is right all the same.
        return
